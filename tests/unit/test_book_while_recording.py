"""The book of a moment, asked by another process while a recorder's batches reach the disk one after another."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import main
from bot.clock import VirtualClock
from bot.domain.instrument import Feed, Instrument
from bot.domain.market import TopOfBook
from bot.domain.order_book import BookChange, BookState, OrderBook
from bot.errors import StorageError
from bot.recording.batch import Batch
from bot.recording.recorder import Recorder, RecorderLimits
from bot.recording.writer import ArchiveWriter
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.store import ArchiveStore
from bot.storage.archive_queries import ArchiveRows
from bot.storage.market_queries import BookAt
from bot.storage.stored_queries import StoredMarket
from exchanges.binance import shipped
from tests.unit.recording_memory import MemoryStore

BTC, ETH = (shipped.INSTRUMENTS[Feed.parse("binance.linear")][symbol] for symbol in ("BTCUSDT", "ETHUSDT"))
START_NS = 1_723_118_400_000_000_000
SECOND_NS = 1_000_000_000


class Rig:
    """A recorder of one instrument, and a reader that opens the archive anew for every question."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.store = ArchiveStore.open(data_dir)
        self.clock = VirtualClock(START_NS)
        self.begin()

    def begin(self, *, keeps_books: bool = True, one: Instrument = BTC) -> None:
        self.recorder = Recorder(self.store, [one], self.clock, limits=RecorderLimits(every_s=10**6, retry_s=0.01))
        self.sink = self.recorder.keep_books([0]) if keeps_books else None
        self.book = OrderBook(2, is_window=False)
        self.recorder.start()

    def hears(self, second: int, *, is_quoted: bool = True) -> None:
        """A quote and a change of the book, whose sequence is the second."""
        self.clock.advance_to(START_NS + second * SECOND_NS)
        now_ns = self.clock.now_ns()
        quote = TopOfBook(bid_price=99.0, bid_qty=1.0, ask_price=101.0, ask_qty=1.0, sequence=second)
        if is_quoted:
            self.recorder.on_quote(0, quote, now_ns, b"{}")
        if self.sink is not None:
            whole = self.book.sequence is None
            change = BookChange(bids=(("99", f"{second}"),), asks=(("101", "1"),), sequence=second, whole=whole)
            self.book.apply(change)
            if whole:
                self.sink.on_book_state(0, BookState.VALID, "")
            self.sink.on_book(0, self.book, change, now_ns)

    def flush(self) -> None:
        """What came is durable."""
        self.clock.advance_to(self.clock.now_ns() + SECOND_NS // 4)
        self.recorder.flush()
        assert self.recorder._writer.drain(30.0)

    def book_at(self, second: float) -> BookAt:
        with ArchiveStore.open(self.data_dir, read_only=True) as store:
            return StoredMarket(ArchiveRows(store)).order_book(BTC.id, START_NS + round(second * SECOND_NS))

    def after_each(self, patch: pytest.MonkeyPatch, do: Callable[[Channel], None]) -> None:
        write = self.store.write

        def then(channel: Channel, *rest: Any) -> Any:
            segment = write(channel, *rest)
            do(channel)
            return segment

        patch.setattr(self.store, "write", then)

    def dies_before_depth(self, patch: pytest.MonkeyPatch) -> None:
        """Only the quotes of what came last get a file."""
        write = self.store.write

        def refusing(channel: Channel, *rest: Any) -> Any:
            if channel is Channel.DEPTH:
                raise StorageError("killed")
            return write(channel, *rest)

        patch.setattr(self.store, "write", refusing)
        self.clock.advance_to(self.clock.now_ns() + SECOND_NS // 4)
        self.recorder.close(patience_s=0.3)
        patch.undo()
        self.store.close()
        self.store = ArchiveStore.open(self.data_dir)

    def dies_mid_file(self, patch: pytest.MonkeyPatch) -> None:
        """The first second is whole; of the next two the book is missing."""
        self.hears(1)
        self.flush()
        self.hears(2)
        self.hears(3)
        self.dies_before_depth(patch)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.recorder.close()
    made.store.close()


def newest_is(book: BookAt, second: int) -> bool:
    """Whether the book is the one of that second, or none."""
    return book.state is not BookState.VALID or book.sequence == second


def test_a_book_whose_newest_messages_are_not_written_yet_is_not_valid(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for second in range(1, 11):
        rig.hears(second)
    rig.flush()
    for second in range(11, 21):
        rig.hears(second)
    asked: list[tuple[Channel, BookAt]] = []
    rig.after_each(monkeypatch, lambda channel: asked.append((channel, rig.book_at(19.5))))
    rig.flush()
    assert [channel for channel, _ in asked] == [Channel.QUOTES, Channel.DEPTH]
    (_, early), (_, whole) = asked
    assert early.state is BookState.INVALID
    assert early.reason == (
        "not all that was received from 2024-08-08T12:00:11Z to before 2024-08-08T12:00:20.25Z is in the archive: "
        "it is being written, or its recorder was killed"
    )
    assert (whole.state, whole.sequence) == (BookState.VALID, 19)
    assert (rig.book_at(9.5).state, rig.book_at(9.5).sequence) == (BookState.VALID, 9)
    assert rig.book_at(21).reason == "nothing was kept after 2024-08-08T12:00:20Z"


def test_what_gets_durable_while_a_book_is_read_does_not_make_it_valid(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.hears(1)
    rig.flush()
    rig.hears(2)
    rig.hears(3)
    depth = ArchiveRows.depth

    def overtaken(self: ArchiveRows, instrument: str, ts_ns: int) -> Any:
        rows = depth(self, instrument, ts_ns)
        rig.flush()
        return rows

    monkeypatch.setattr(ArchiveRows, "depth", overtaken)
    assert newest_is(rig.book_at(2.5), 2)


def test_a_recorder_killed_between_two_files_leaves_no_old_book_that_is_valid(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.dies_mid_file(monkeypatch)
    assert rig.book_at(2.5).state is BookState.INVALID
    assert (rig.book_at(1.1).state, rig.book_at(1.1).sequence) == (BookState.VALID, 1)
    rig.begin()
    asked: list[BookAt] = []
    rig.after_each(monkeypatch, lambda channel: asked.append(rig.book_at(2.5)))
    rig.hears(10)
    rig.hears(11)
    rig.flush()
    assert {book.state for book in asked} == {BookState.INVALID}
    assert rig.book_at(2.5).reason.startswith("gap: not recorded")
    assert (rig.book_at(10.5).state, rig.book_at(10.5).sequence) == (BookState.VALID, 10)


def test_what_a_killed_recorder_left_is_told_on_the_command_line(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rig.dies_mid_file(monkeypatch)
    words = ["--mode", "query", "--market", "live", "--data-dir", str(rig.data_dir), "--what", "book"]
    words += ["--instrument", BTC.id, "--at", "2024-08-08T12:00:02.5Z"]
    assert main.main(words) == 0
    assert ": INVALID, not all that was received from 2024-08-08T12:00:02Z to before" in capsys.readouterr().out
    assert main.main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["state"], told["bids"]) == ("invalid", [])
    assert told["reason"].startswith("not all that was received")


@pytest.mark.parametrize("watched", [BTC, ETH])
@pytest.mark.parametrize("mid_file", [False, True])
def test_a_book_that_the_next_run_does_not_keep_ends_with_the_run_that_was_killed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, mid_file: bool, watched: Instrument
) -> None:
    rig.hears(1)
    rig.flush()
    if mid_file:
        rig.hears(2)
        rig.hears(3)
    rig.dies_before_depth(monkeypatch)
    rig.begin(keeps_books=False, one=watched)
    rig.hears(70)
    rig.hears(80)
    rig.flush()
    for second in (2.5, 30, 75):
        assert rig.book_at(second).state is BookState.INVALID
    assert (rig.book_at(1).state, rig.book_at(1).sequence) == (BookState.VALID, 1)


def test_a_book_whose_quotes_were_quiet_ends_with_its_own_messages(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.hears(1)
    for second in (121, 150, 160):
        rig.hears(second, is_quoted=False)
    rig.flush()
    rig.dies_before_depth(monkeypatch)
    rig.begin(keeps_books=False)
    rig.hears(400)
    rig.hears(410)
    rig.flush()
    assert (rig.book_at(155).state, rig.book_at(155).sequence) == (BookState.VALID, 150)
    for second in (161, 240, 405):
        assert rig.book_at(second).state is BookState.INVALID


def test_a_run_in_the_past_puts_nothing_in_doubt_that_was_recorded_to_its_end(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for second in (5001, 5002):
        rig.hears(second)
    assert rig.recorder.close() == 0
    rig.clock = VirtualClock(START_NS)
    rig.begin()
    rig.hears(1)
    rig.hears(2)
    rig.dies_before_depth(monkeypatch)
    since_ns, until_ns = rig.store.unwritten() or (0, 0)
    assert START_NS < since_ns < until_ns < START_NS + 3 * SECOND_NS
    assert (rig.book_at(5001.5).state, rig.book_at(5001.5).sequence) == (BookState.VALID, 5001)


def test_what_is_recorded_to_its_end_is_never_in_doubt(rig: Rig) -> None:
    rig.hears(1)
    rig.flush()
    rig.hears(2)
    rig.hears(3)
    assert rig.recorder.close() == 0
    for second in (1, 2):
        assert (rig.book_at(second + 0.5).state, rig.book_at(second + 0.5).sequence) == (BookState.VALID, second)
    assert rig.store.merge(START_NS + 48 * 3_600 * SECOND_NS)
    assert (rig.book_at(2.5).state, rig.book_at(2.5).sequence) == (BookState.VALID, 2)


def batch(channel: Channel, start: int, stop: int) -> Batch:
    """One row at `start`; of a gap, it tells of what lies before."""
    row: dict[str, object] = {"instrument": BTC.id, "ts_recv_ns": start}
    if channel is Channel.GAPS:
        row |= {"channel": "depth", "start_ns": 0, "stop_ns": start, "reason": "away"}
    elif channel is Channel.QUOTES:
        row |= dict.fromkeys(("bid_price", "bid_qty", "ask_price", "ask_qty"), 1.0) | {"sequence": 1}
    else:
        row |= {"message": 1, "kind": "delta", "first_id": 1, "last_id": 1, "side": 1, "price": 1.0, "quantity": 1.0}
    table = pa.Table.from_pylist([row], schema=SCHEMAS[channel])
    return Batch(channel, "binance.linear", 1, start, stop, lambda: table)


def begun(store: MemoryStore, now_ns: int) -> ArchiveWriter:
    writer = ArchiveWriter(store, lambda batch: {}, max_waiting_rows=100)
    writer.start(now_ns)
    return writer


def test_each_file_is_named_together_with_what_is_still_missing() -> None:
    store = MemoryStore()
    writer = begun(store, 100)
    with writer.handing_over(200):
        for channel, start, stop in ((Channel.QUOTES, 120, 190), (Channel.QUOTES, 130, 205), (Channel.DEPTH, 140, 150)):
            writer.put(batch(channel, start, stop))
        writer.put(batch(Channel.GAPS, 160, 161))
        writer.put(batch(Channel.GAPS, 170, 171))
        assert writer.durable_ns() == 100
    assert writer.drain(30.0)
    # What the second gap tells may lie anywhere behind what was complete before.
    assert store.told_unwritten == [(100, 205), (120, 205), (130, 205), (140, 205), (205, 205)]
    assert writer.durable_ns() == 200
    assert writer.close(30.0) == 0


def test_rows_that_no_archive_can_take_are_missing_until_their_gap_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    write = store.write

    def picky(channel: Channel, *rest: Any) -> Any:
        if channel is Channel.DEPTH:
            raise KeyError("a bug")
        return write(channel, *rest)

    monkeypatch.setattr(store, "write", picky)
    writer = begun(store, 100)
    with writer.handing_over(200):
        writer.put(batch(Channel.DEPTH, 140, 150))
        writer.put(batch(Channel.QUOTES, 120, 190))
    assert writer.drain(30.0)
    assert (store.unwritten(), writer.durable_ns()) == ((140, 200), 140)
    assert len(writer.unusable()) == 1
    assert writer.durable_ns() == 140
    with writer.handing_over(300):
        writer.put(batch(Channel.GAPS, 150, 151))
        writer.put(batch(Channel.QUOTES, 220, 290))
    assert writer.drain(30.0)
    assert store.told_unwritten[-2:] == [(220, 300), (300, 300)]
    assert writer.durable_ns() == 300
    assert writer.close(30.0) == 0


def test_what_a_killed_recorder_left_is_missing_until_every_gap_of_the_next_one_is_written() -> None:
    store = MemoryStore()
    store.told_unwritten = [(50, 90)]
    writer = begun(store, 100)
    assert writer.durable_ns() == 50
    with writer.handing_over(200):
        writer.put(batch(Channel.QUOTES, 120, 190))
        writer.put(batch(Channel.GAPS, 110, 111))
        writer.put(batch(Channel.GAPS, 115, 116))
    assert writer.drain(30.0)
    assert store.told_unwritten[1:] == [(50, 200), (120, 200), (200, 200)]
    assert writer.close(30.0) == 0


def test_an_archive_that_never_told_of_missing_rows_is_read_as_before(rig: Rig) -> None:
    rig.hears(1)
    rig.hears(2)
    rig.hears(3)
    assert rig.recorder.close() == 0
    with closing(sqlite3.connect(rig.data_dir / "archive.db")) as connection, connection:
        assert connection.execute("DELETE FROM facts WHERE name = 'unwritten'").rowcount == 1
    assert (rig.book_at(2.5).state, rig.book_at(2.5).sequence) == (BookState.VALID, 2)
