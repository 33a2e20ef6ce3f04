"""The order book at any moment of the recordings, out of the archive, against the tops that the exchange sent."""

import json
import random
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import pyarrow.compute as pc
import pytest

from bot.domain.order_book import BookState
from bot.storage.archive.channels import Channel
from bot.storage.archive_queries import archive_queries
from bot.storage.book_replay import DepthRules, replay
from bot.storage.market_queries import BookAt, MarketQueries
from bot.storage.queries import JournalReader
from exchanges.binance.order_book import BinanceBookBuilder
from tests.contract.recorded_archive import FILES, Recording, instrument_of, lines, needs_recordings, recorded

pytestmark = needs_recordings

Top = tuple[float, float, float, float]
SECOND = 1_000_000_000


def queries_of(market: str, tmp_path: Path) -> MarketQueries:
    return archive_queries(recorded(market).store, JournalReader.open(tmp_path))


def tickers(market: str) -> dict[int, Top]:
    """The tops that the exchange sent, by update id."""
    found = {}
    for _, raw in lines(market):
        if b"@bookTicker" in raw[:40]:
            data = json.loads(raw)["data"]
            found[data["u"]] = float(data["b"]), float(data["B"]), float(data["a"]), float(data["A"])
    return found


def top_of(book: BookAt) -> Top:
    return *book.bids[0], *book.asks[0]


@pytest.mark.parametrize("market", FILES)
def test_the_book_at_any_moment_has_the_recorded_ticker_at_its_id(market: str, tmp_path: Path) -> None:
    store, instrument, _ = recorded(market)
    sent = tickers(market)
    ids = sorted(sent)
    rows = store.rows(Channel.DEPTH, instrument.id, 0, 2**63 - 1)
    begun, ended = rows.column("ts_recv_ns")[0].as_py(), rows.column("ts_recv_ns")[-1].as_py()
    rng = random.Random(market)
    queries = queries_of(market, tmp_path)
    compared = equal = 0
    for ts_ns in (begun, ended, *(rng.randrange(begun, ended) for _ in range(60))):
        book = queries.order_book(instrument.id, ts_ns)
        assert book.state is BookState.VALID, book.reason
        assert book.ts_recv_ns is not None
        assert book.sequence is not None
        assert book.ts_recv_ns <= ts_ns
        at = bisect_right(ids, book.sequence) - 1
        assert at >= 0
        assert top_of(book) == sent[ids[at]], (ts_ns, book.sequence)
        compared, equal = compared + 1, equal + (book.sequence == ids[at])
    assert compared == 62
    assert equal >= 1


@pytest.mark.parametrize("market", FILES)
def test_the_rebuilt_book_is_the_live_one_level_by_level(market: str, tmp_path: Path) -> None:
    _, instrument, live = recorded(market)
    queries = queries_of(market, tmp_path)
    moments = random.Random(market).sample(sorted(live), 25)
    for ts_ns in moments:
        book, image = queries.order_book(instrument.id, ts_ns), live[ts_ns]
        assert book.sequence == image.sequence
        for rebuilt, side in ((book.bids, image.bids), (book.asks, image.asks)):
            kept = [(float(price), float(quantity)) for price, quantity in side]
            assert len(rebuilt) == 500
            assert list(rebuilt) == kept[:500]


def whole_book(market: str) -> Iterator[tuple[int, bytes, bytes | None]]:
    """The lines, and with each depth line what a REST snapshot would have said after it."""
    builder = BinanceBookBuilder(1_000, Deaf())
    for ts_ns, raw in lines(market):
        answer = None
        if b"@depth" in raw[:40]:
            builder.on_frame(raw, ts_ns)
            image = builder.book and builder.book.image()
            if image:
                answer = json.dumps({"lastUpdateId": image.sequence, "bids": image.bids, "asks": image.asks}).encode()
        elif raw.startswith(b'{"lastUpdateId"'):
            builder.on_snapshot(raw, ts_ns)
        yield ts_ns, raw, answer


class Deaf:
    def on_book_change(self, change: object, ts_recv_ns: int) -> None: ...

    def on_book_state(self, state: BookState, reason: str) -> None: ...

    def on_book_wanted(self, reason: str) -> None: ...


def test_a_lost_message_is_a_gap_until_the_next_snapshot_and_never_bridged(tmp_path: Path) -> None:
    recording: Recording | None = None
    depth = lost_ns = last_good_ns = noticed_ns = healed_ns = 0
    for ts_ns, raw, answer in whole_book("spot"):
        if recording is None:
            recording = Recording(tmp_path, "spot", ts_ns)
        depth += answer is not None
        if depth == 300 and not lost_ns:
            lost_ns = ts_ns
            continue
        recording.take(ts_ns, raw)
        if answer is not None:
            if not lost_ns:
                last_good_ns = ts_ns
            noticed_ns = noticed_ns or (ts_ns if lost_ns else 0)
        if depth == 400 and answer is not None:
            recording.take(ts_ns, answer)
            healed_ns = ts_ns
        if depth == 500:
            break
    assert recording is not None
    recording.close()
    instrument = instrument_of("spot").id
    with recording.store as store:
        queries = archive_queries(store, JournalReader.open(tmp_path))
        assert queries.order_book(instrument, last_good_ns - 1).state is BookState.VALID
        for ts_ns in (last_good_ns, lost_ns, noticed_ns, (noticed_ns + healed_ns) // 2, healed_ns - 1):
            book = queries.order_book(instrument, ts_ns)
            assert book.state is BookState.INVALID, ts_ns
            assert "missing" in book.reason
            assert book.bids == ()
            assert book.top() is None
        assert queries.order_book(instrument, healed_ns).state is BookState.VALID
        gaps = queries.gaps(instrument, Channel.DEPTH, lost_ns, healed_ns).to_pylist()
        assert [(gap["start_ns"], gap["stop_ns"]) for gap in gaps] == [(last_good_ns, healed_ns)]


def test_a_message_that_the_archive_lacks_is_a_gap_too() -> None:
    store, instrument, _ = recorded("spot")
    rows = store.rows(Channel.DEPTH, instrument.id, 0, 2**63 - 1)
    snapshots = rows.filter(pc.equal(rows.column("kind"), "snapshot")).column("message")
    rows = rows.filter(pc.less(rows.column("message"), sorted(set(snapshots.to_pylist()))[1]))  # which would heal it
    messages = sorted(set(rows.column("message").to_pylist()))
    lacking = rows.filter(pc.not_equal(rows.column("message"), messages[200]))
    whole, broken = replay(rows, DepthRules()), replay(lacking, DepthRules())
    assert whole is not None
    assert broken is not None
    assert whole.at(instrument.id, 0).state is BookState.VALID
    assert broken.at(instrument.id, 0).state is BookState.INVALID
    assert "missing" in broken.at(instrument.id, 0).reason


def test_before_the_first_snapshot_and_after_the_last_row_nothing_is_claimed(tmp_path: Path) -> None:
    store, instrument, _ = recorded("linear")
    first = store.rows(Channel.DEPTH, instrument.id, 0, 2**63 - 1).column("ts_recv_ns")[0].as_py()
    queries = queries_of("linear", tmp_path)
    assert queries.order_book(instrument.id, first - 1).state is BookState.EMPTY
    last = max(segment.stop_ns for segment in store.segments())
    book = queries.order_book(instrument.id, last + SECOND)
    assert book.state is BookState.INVALID
    assert "nothing was kept after" in book.reason
