import stat
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from bot.errors import ExitCode, StorageError
from bot.storage.archive import files as archive_files
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.errors import SegmentRemoved
from bot.storage.archive.ports import SegmentInfo, SegmentStore
from bot.storage.archive.store import ArchiveStore, Gap
from tests.unit.archive_rows import (
    BTC,
    DAY_NS,
    ETH,
    HOUR_NS,
    KNOWN,
    MINUTE_NS,
    START_NS,
    by_instrument,
    files,
    quotes,
    views,
)

ALWAYS = (0, 2**62)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ArchiveStore]:
    with ArchiveStore.open(tmp_path) as opened:
        yield opened


def write(store: SegmentStore, start_ns: int, scope: str = "binance.spot", rows: int = 20) -> SegmentInfo:
    segment = store.write(Channel.QUOTES, scope, quotes(start_ns, rows), KNOWN)
    assert segment is not None
    return segment


def write_minutes(
    store: SegmentStore, count: int, start_ns: int = START_NS, scope: str = "binance.spot"
) -> list[SegmentInfo]:
    return [write(store, start_ns + minute * MINUTE_NS, scope) for minute in range(count)]


def test_a_segment_says_what_it_is(store: ArchiveStore, tmp_path: Path) -> None:
    segment = write(store, START_NS)
    assert (segment.channel, segment.scope, segment.rows) == (Channel.QUOTES, "binance.spot", 20)
    assert (segment.start_ns, segment.stop_ns) == (START_NS, START_NS + 19 * 3_000_000_000 + 1)
    assert segment.merged_from == ()
    path = tmp_path / "archive" / segment.path
    assert path.stat().st_size == segment.size_bytes
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "archive.db").stat().st_mode) == 0o600
    assert list(store.segments()) == list(store.segments(written=True)) == [segment]


def test_no_rows_make_no_segment(store: ArchiveStore, tmp_path: Path) -> None:
    assert store.write(Channel.QUOTES, "binance.spot", SCHEMAS[Channel.QUOTES].empty_table(), {}) is None
    assert list(store.segments()) == files(tmp_path) == []


@pytest.mark.parametrize("scope", ["", "../up", "/root", "a/b", "Binance", "."])
def test_a_scope_is_no_path(store: ArchiveStore, scope: str) -> None:
    with pytest.raises(ValueError, match="no scope"):
        store.write(Channel.QUOTES, scope, quotes(START_NS), {})


def test_rows_of_another_channel_are_refused(store: ArchiveStore) -> None:
    with pytest.raises(KeyError):
        store.write(Channel.TRADES, "all", quotes(START_NS), {})


def test_segments_are_chosen_by_number_channel_and_span(store: ArchiveStore) -> None:
    first, second, third = write_minutes(store, 3)
    view = store.write(Channel.VIEWS, "all", views(START_NS, ["{}"]), {})
    assert [s.number for s in store.segments()] == [1, 2, 3, 4]
    assert list(store.segments(Channel.VIEWS)) == [view]
    assert list(store.segments(after=2)) == [third, view]
    assert list(store.segments(Channel.QUOTES, start_ns=second.start_ns, stop_ns=third.start_ns)) == [second]
    assert list(store.segments(Channel.QUOTES, stop_ns=second.start_ns)) == [first]


def test_the_newest_metadata_of_an_instrument_is_kept(store: ArchiveStore) -> None:
    assert store.instrument(ETH.id) is None
    write(store, START_NS)
    assert (store.instrument(ETH.id), store.instrument(BTC.id)) == (ETH, BTC)
    finer = ETH.model_copy(update={"tick_size": ETH.tick_size / 10})
    store.write(Channel.QUOTES, "binance.spot", quotes(START_NS, instruments=(ETH.id,)), {ETH.id: finer, BTC.id: finer})
    assert (store.instrument(ETH.id), store.instrument(BTC.id)) == (finer, BTC)
    assert list(store.instruments(Channel.QUOTES)) == [BTC.id, ETH.id]
    assert list(store.instruments(Channel.TRADES)) == []


def test_some_columns_of_some_rows(store: ArchiveStore) -> None:
    segment = write(store, START_NS)
    assert store.read(segment, ["ask_price", "instrument"]).equals(
        by_instrument(quotes(START_NS)).select(["ask_price", "instrument"])
    )
    rows = store.rows(Channel.QUOTES, ETH.id, START_NS + 1, START_NS + 12_000_000_001, ["bid_qty"])
    assert rows.column("bid_qty").to_pylist() == [3e-4, 5e-4]
    assert store.rows(Channel.QUOTES, "binance:XRP/USDT", *ALWAYS).schema.equals(SCHEMAS[Channel.QUOTES])


def test_hours_and_days_are_merged(store: ArchiveStore, tmp_path: Path) -> None:
    minutes = write_minutes(store, 4) + write_minutes(store, 3, START_NS + HOUR_NS)
    assert store.merge(START_NS + HOUR_NS + MINUTE_NS) == []
    (hour,) = store.merge(START_NS + HOUR_NS + 5 * MINUTE_NS)
    assert (hour.number, hour.merged_from, hour.rows) == (8, (1, 2, 3, 4), 80)
    assert list(store.segments()) == [*minutes[4:], hour]
    (day,) = store.merge(START_NS + 2 * DAY_NS)
    assert day.merged_from == (1, 2, 3, 4, 5, 6, 7, 8)
    assert list(store.segments()) == [day]
    assert list(store.segments(written=True)) == minutes
    assert files(tmp_path) == [day.path]
    assert store.merge(START_NS + 2 * DAY_NS) == []
    expected = by_instrument(pa.concat_tables([quotes(segment.start_ns) for segment in minutes]))
    assert store.read(day).combine_chunks().equals(expected)


def test_feeds_and_channels_are_merged_apart(store: ArchiveStore) -> None:
    write_minutes(store, 2)
    write_minutes(store, 2, scope="bybit.spot")
    store.write(Channel.VIEWS, "all", views(START_NS, ["{}"]), {})
    merged = store.merge(START_NS + 2 * DAY_NS)
    assert sorted((one.scope, one.merged_from) for one in merged) == [("binance.spot", (1, 2)), ("bybit.spot", (3, 4))]


def test_files_that_are_large_enough_stay_as_they_are(tmp_path: Path) -> None:
    with ArchiveStore.open(tmp_path) as store:
        sizes = [segment.size_bytes for segment in write_minutes(store, 5)]
    with ArchiveStore.open(tmp_path, merge_limit_bytes=max(sizes) * 2) as store:
        merged = store.merge(START_NS + 2 * DAY_NS)
        assert [one.merged_from for one in merged] == [(1, 2), (3, 4)]
        assert len(store.segments()) == 3


def test_a_late_minute_joins_its_hour(store: ArchiveStore) -> None:
    write_minutes(store, 2, START_NS + 10 * MINUTE_NS)
    now_ns = START_NS + HOUR_NS + 5 * MINUTE_NS
    store.merge(now_ns)
    write(store, START_NS)
    (hour,) = store.merge(now_ns)
    assert hour.merged_from == (1, 2, 3, 4)
    assert store.read(hour).equals(
        by_instrument(pa.concat_tables([quotes(START_NS + at * MINUTE_NS) for at in (0, 10, 11)]))
    )


def test_what_was_merged_away_is_read_as_it_was_written(store: ArchiveStore) -> None:
    minutes = write_minutes(store, 3) + write_minutes(store, 3)
    (hour,) = store.merge(START_NS + HOUR_NS + 5 * MINUTE_NS)
    store.merge(START_NS + 2 * DAY_NS)
    write_minutes(store, 2, START_NS + 2 * HOUR_NS)
    store.merge(START_NS + 2 * DAY_NS)
    for minute in minutes:
        assert store.read(minute).equals(by_instrument(quotes(minute.start_ns)))
        assert store.read(minute, ["sequence"]).equals(by_instrument(quotes(minute.start_ns)).select(["sequence"]))
    assert store.read(hour).num_rows == hour.rows == 120


def test_a_reading_goes_on_through_a_merge(store: ArchiveStore) -> None:
    write_minutes(store, 30)
    expected = store.rows(Channel.QUOTES, ETH.id, *ALWAYS)
    chunks = store.chunks(Channel.QUOTES, ETH.id, *ALWAYS)
    read = [next(chunks), next(chunks)]
    store.merge(START_NS + HOUR_NS + 5 * MINUTE_NS)
    read += chunks
    assert len(store.segments()) == 1
    assert pa.concat_tables(read).equals(expected)


def test_a_block_is_read_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_files, "BLOCK_ROWS", 100)
    with ArchiveStore.open(tmp_path) as store:
        segment = write(store, START_NS, rows=1_000)
        damage(tmp_path, segment, segment.size_bytes // 8)
        with pytest.raises(StorageError, match=segment.path):
            store.read(segment)
        with pytest.raises(StorageError, match=segment.path):
            store.rows(Channel.QUOTES, BTC.id, *ALWAYS)
        half = START_NS + MINUTE_NS // 2
        eth = by_instrument(quotes(START_NS, 1_000)).slice(500)
        assert store.rows(Channel.QUOTES, ETH.id, half, START_NS + MINUTE_NS).equals(eth.slice(250))


def damage(data_dir: Path, segment: SegmentInfo, offset: int) -> None:
    path = data_dir / "archive" / segment.path
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["flipped at the start", "flipped at the end", "cut short", "longer", "gone"])
def test_a_damaged_file_is_named_and_the_rest_is_read(store: ArchiveStore, tmp_path: Path, how: str) -> None:
    first, second, third = write_minutes(store, 3)
    path = tmp_path / "archive" / second.path
    data = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how in ("cut short", "longer"):
        path.write_bytes(data[:-10] if how == "cut short" else data + b"x")
    else:
        damage(tmp_path, second, 20 if how.endswith("start") else len(data) - 20)
    with pytest.raises(StorageError, match=second.path) as told:
        store.read(second)
    assert told.value.exit_code is ExitCode.STORAGE
    assert store.read(first).num_rows == store.read(third).num_rows == 20
    assert store.rows(Channel.QUOTES, ETH.id, third.start_ns, third.stop_ns).num_rows == 10


def test_a_damaged_file_stays_out_of_merging(store: ArchiveStore, tmp_path: Path) -> None:
    broken, _ = write_minutes(store, 2)
    write_minutes(store, 2, scope="bybit.spot")
    damage(tmp_path, broken, 1_000)
    with pytest.raises(StorageError, match=broken.path):
        store.merge(START_NS + 2 * DAY_NS)
    assert [one.merged_from for one in store.segments()] == [(), (), (3, 4)]
    assert len(files(tmp_path)) == 3


def test_gaps_that_touch_a_span(store: ArchiveStore) -> None:
    rows = [
        {
            "instrument": ETH.id,
            "ts_recv_ns": at,
            "channel": channel,
            "start_ns": at - 10,
            "stop_ns": at,
            "reason": "away",
        }
        for at, channel in ((100, "quotes"), (50, "quotes"), (80, "trades"), (200, "quotes"))
    ]
    store.write(Channel.GAPS, "all", pa.Table.from_pylist(rows, SCHEMAS[Channel.GAPS]), {})
    assert store.gaps(ETH.id, Channel.QUOTES, 49, 91) == [Gap(40, 50, "away"), Gap(90, 100, "away")]
    assert store.gaps(ETH.id, Channel.QUOTES, 50, 90) == []
    assert store.gaps(BTC.id, Channel.QUOTES, 0, 1_000) == []


def test_another_process_reads_while_one_writes(store: ArchiveStore, tmp_path: Path) -> None:
    with ArchiveStore.open(tmp_path, read_only=True) as reader:
        first, second = write_minutes(store, 2)
        assert list(reader.segments()) == [first, second]
        store.merge(START_NS + 2 * DAY_NS)
        assert reader.read(first).equals(by_instrument(quotes(START_NS)))
        with pytest.raises(StorageError, match="reading only"):
            write(reader, START_NS)
        with pytest.raises(StorageError, match="reading only"):
            reader.merge(START_NS + 2 * DAY_NS)
        with pytest.raises(StorageError, match="reading only"):
            reader.retain(START_NS + 2 * DAY_NS, {}, 0)
    assert len(store.segments()) == 1


def test_one_process_writes(store: ArchiveStore, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="another process"):
        ArchiveStore.open(tmp_path)
    store.close()
    store.close()
    ArchiveStore.open(tmp_path).close()


def test_an_archive_that_is_not_there_is_read_as_empty(tmp_path: Path) -> None:
    with ArchiveStore.open(tmp_path / "nothing", read_only=True) as store:
        assert list(store.segments()) == list(store.instruments(Channel.QUOTES)) == []
        assert store.rows(Channel.QUOTES, ETH.id, *ALWAYS).num_rows == 0
    assert not (tmp_path / "nothing").exists()


def test_a_closed_archive_says_so(tmp_path: Path) -> None:
    store = ArchiveStore.open(tmp_path)
    store.close()
    with pytest.raises(StorageError, match="archive"):
        store.segments()


def test_a_removed_segment_is_told_from_a_lost_one(store: ArchiveStore) -> None:
    minutes = write_minutes(store, 2)
    store.merge(START_NS + 2 * DAY_NS)
    store.retain(START_NS + 2 * DAY_NS, {Channel.QUOTES: DAY_NS // 2}, None)
    for minute in minutes:
        with pytest.raises(SegmentRemoved, match=f"{minute.number} has been removed"):
            store.read(minute)


def test_files_elsewhere_are_missed_before_anything_is_written(store: ArchiveStore, tmp_path: Path) -> None:
    write(store, START_NS)
    store.close()
    with pytest.raises(StorageError, match="last written to the data directory"):
        ArchiveStore.open(tmp_path, str(tmp_path / "other"))
    (tmp_path / "archive").rename(tmp_path / "other")
    with ArchiveStore.open(tmp_path, str(tmp_path / "other")) as moved:
        assert moved.rows(Channel.QUOTES, ETH.id, *ALWAYS).num_rows == 10
