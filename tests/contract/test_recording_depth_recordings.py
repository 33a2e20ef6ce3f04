"""Recorded order books through the recorder and out of the archive again: the live book at every message."""

import gzip
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from bot.clock import VirtualClock
from bot.domain.instrument import Feed
from bot.domain.order_book import BookChange, BookState, OrderBook
from bot.ports import FeedState
from bot.recording.depth import DepthRecorder
from bot.recording.recorder import Recorder
from bot.storage.archive.channels import Channel
from exchanges.binance import shipped
from exchanges.binance.order_book import BinanceBookBuilder
from exchanges.common.market.depth import SlotBook
from tests.unit.recording_memory import MemoryStore

SHARED = Path(os.environ.get("CRYPTO_PIPE_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
RECORDED = SHARED / "recordings" / "binance-2024-08-08"
pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason=f"no recordings: {RECORDED} is not there")

FEED = Feed.parse("binance.spot")
ETH = shipped.INSTRUMENTS[FEED]["ETHUSDT"]
MINUTE_NS = 60_000_000_000
Levels = dict[float, float]


def lines() -> Iterator[tuple[int, bytes]]:
    """Depth messages and snapshots of some eleven minutes around midnight."""
    for name in ("spot-ethusdt_20240808.gz", "spot-ethusdt_20240809.gz"):
        with gzip.open(RECORDED / name) as file:
            for line in file:
                ts_ns, _, raw = line.rstrip().partition(b" ")
                if b"@depth" in raw[:40] or raw.startswith(b'{"lastUpdateId"'):
                    yield int(ts_ns), raw


@dataclass
class Live:
    """Hears the same as the recorder, and keeps what the live book was at each id."""

    recorder: DepthRecorder
    books: dict[int, tuple[Levels, Levels]] = field(default_factory=dict)
    heard: int = 0

    def on_book(self, slot: int, book: OrderBook | None, change: BookChange, ts_recv_ns: int) -> None:
        self.recorder.on_book(slot, book, change, ts_recv_ns)
        self.heard += 1
        if book is not None and book.sequence is not None and self.heard % 5 == 0:
            self.books[book.sequence] = dict(book.bids.levels()), dict(book.asks.levels())

    def on_book_state(self, slot: int, state: BookState, reason: str) -> None:
        self.recorder.on_book_state(slot, state, reason)

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        self.recorder.on_malformed(feed, raw, reason)

    def on_feed_state(self, feed: Feed, state: FeedState, detail: str) -> None:
        self.recorder.on_feed_state(feed, state, detail)

    def on_batch_end(self, ts_recv_ns: int) -> None:
        self.recorder.on_batch_end(ts_recv_ns)


class Archived:
    """A book put together from rows by nothing but what `channels.py` says of them."""

    def __init__(self) -> None:
        self.sides: dict[int, Levels] = {1: {}, -1: {}}
        self.last_id: int | None = None
        self.message = -1

    def take(self, row: dict[str, object]) -> None:
        side, price, quantity = int(str(row["side"])), float(str(row["price"])), float(str(row["quantity"]))
        message, last_id, kind = int(str(row["message"])), int(str(row["last_id"])), row["kind"]
        is_new = message != self.message
        if is_new and self.message >= 0:
            assert message == self.message + 1
        if is_new and kind == "delta":
            assert self.last_id is not None, "a change of a book that is not known"
            assert row["first_id"] == self.last_id + 1
        if is_new and kind == "snapshot":
            self.sides = {1: {}, -1: {}}
        self.message = message
        if kind == "invalid":
            self.last_id = None
            return
        self.last_id = last_id
        if quantity:
            self.sides[side][price] = quantity
        elif side:
            self.sides[side].pop(price, None)


def play(drop: int | None = None) -> tuple[MemoryStore, Live]:
    """Through builder and recorder; message number `drop` is lost, and a snapshot comes when the book wants one."""
    store, clock = MemoryStore(), VirtualClock(1_723_161_254_000_000_000)
    recorder = Recorder(store, [ETH], clock)
    live = Live(recorder.keep_books([0]))
    builder = SlotBook(0, live, partial(BinanceBookBuilder, 1_000), on_wanted=lambda reason: None).builder
    recorder.start()
    for number, (ts_ns, raw) in enumerate(lines()):
        clock.advance_to(ts_ns)
        if raw.startswith(b'{"lastUpdateId"'):
            builder.on_snapshot(raw, ts_ns)
        elif number != drop:
            builder.on_frame(raw, ts_ns)
    assert recorder.close() == 0
    return store, live


@pytest.fixture(scope="module")
def whole() -> tuple[MemoryStore, Live]:
    return play()


def test_the_archived_book_is_the_live_one_at_every_message(whole: tuple[MemoryStore, Live]) -> None:
    store, live = whole
    book, compared = Archived(), 0
    rows = store.of(Channel.DEPTH, ETH.id)
    for row, following in zip(rows, [*rows[1:], {"message": -1}], strict=True):
        book.take(row)
        if row["message"] != following["message"] and book.last_id in live.books:
            bids, asks = live.books[book.last_id]
            # The live book lets go of what lies behind its thousand levels; a reader does so too, or looks no deeper.
            assert top(book.sides[1], -1.0, len(bids)) == bids
            assert top(book.sides[-1], 1.0, len(asks)) == asks
            compared += 1
    assert compared > 1_000
    assert len(live.books) - compared < 5


def top(side: Levels, sign: float, count: int) -> Levels:
    return dict(sorted(side.items(), key=lambda level: sign * level[0])[:count])


def test_each_minute_begins_with_a_snapshot(whole: tuple[MemoryStore, Live]) -> None:
    rows = whole[0].of(Channel.DEPTH, ETH.id)
    times = {int(str(row["message"])): (int(str(row["ts_recv_ns"])), row["kind"]) for row in rows}
    minutes: dict[int, list[object]] = {}
    for ts_ns, kind in times.values():
        minutes.setdefault(ts_ns // MINUTE_NS, []).append(kind)
    assert len(minutes) > 2
    for kinds in minutes.values():
        assert kinds[0] == "snapshot"
        assert kinds.count("snapshot") == 1


def test_a_lost_message_ends_the_book_and_is_a_gap() -> None:
    store, live = play(drop=3_000)
    rows = store.of(Channel.DEPTH, ETH.id)
    assert [row["kind"] for row in rows[-1:]] == ["invalid"]
    assert rows[-1]["side"] == 0
    assert live.recorder.invalidated == 1
    book = Archived()
    for row in rows:
        book.take(row)
    assert book.last_id is None
    gaps = [row for row in store.of(Channel.GAPS, ETH.id) if row["channel"] == "depth"]
    assert gaps[0]["start_ns"] == rows[-2]["ts_recv_ns"]
    assert "is missing" in str(gaps[0]["reason"])
    assert all(before["stop_ns"] == after["start_ns"] for before, after in pairwise(gaps))
    assert len(gaps) > 2, "it lasts to the end, and is written every minute"
