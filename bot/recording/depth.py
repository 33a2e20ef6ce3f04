"""Order books on their way to the archive: a snapshot, then every change, and a new snapshot with every minute.

What is archived is the book as the gap-checked builder has it. A change that arrives while there is no book to be used
is left out; when the book is right again it is written whole. So a reader who starts at any snapshot and applies what
follows has the live book, until a row says "invalid".
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from bot.clock import Clock
from bot.domain.book_side import BookSide, PrintedLevel
from bot.domain.instrument import Feed
from bot.domain.order_book import BookChange, BookState, OrderBook
from bot.ports import FeedState
from bot.recording.batch import Batch
from bot.recording.directory import Directory
from bot.recording.gaps import Gap, GapLog
from bot.recording.restart import recorded_until
from bot.recording.rows import RowBuffer, Rows, joined
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.ports import SegmentStore

WHOLE_EVERY_NS = 60_000_000_000
"""A book of any moment is read from the whole one before it: 8 ms, where one an hour would make it 90 and more.
It costs 3 % more rows."""
_KINDS = ("snapshot", "delta", "invalid")
_SNAPSHOT, _DELTA, _INVALID = range(3)
_HEAD = ("slot", "ts_recv_ns", "ts_event_ns", "message", "kind", "first_id", "last_id", "levels")
_Levels = Iterable[tuple[float, float]]


@dataclass(slots=True)
class _Kept:
    """What is archived of one instrument."""

    message: int
    """Number of the next message."""
    book: OrderBook | None = None
    """The live book, while the archive follows it."""
    span: int = 0
    """Of the newest snapshot."""
    last_id: int = 0
    newest_ns: int = 0


class _Messages:
    """Messages of one feed, and their levels in columns of their own."""

    def __init__(self) -> None:
        self.heads = RowBuffer("qqqqqqqq", _HEAD)
        self._sides, self._prices, self._quantities = array("b"), array("d"), array("d")

    def add(self, head: Sequence[int], bids: _Levels, asks: _Levels) -> int:
        """Keep a message; how many rows it will be."""
        before = len(self._prices)
        for side, levels in ((1, bids), (-1, asks)):
            for price, quantity in levels:
                self._sides.append(side)
                self._prices.append(price)
                self._quantities.append(quantity)
        count = len(self._prices) - before
        if not count:
            # A message without levels is one row all the same: it moves the book's id, or ends the book.
            self._sides.append(0)
            self._prices.append(0.0)
            self._quantities.append(0.0)
            count = 1
        self.heads.add(*head, count)
        return count

    def __len__(self) -> int:
        return len(self._prices)

    def take(self) -> tuple[list[Rows], "array[int]", "array[float]", "array[float]"]:
        """Everything since this was asked last."""
        taken = self.heads.take(), self._sides, self._prices, self._quantities
        self._sides, self._prices, self._quantities = array("b"), array("d"), array("d")
        return taken


class DepthRecorder:
    """Hears of order books: a `DepthSink` of the venues' depth readers, and a part of a `Recorder`."""

    def __init__(
        self, store: SegmentStore, directory: Directory, slots: Iterable[int], gaps: GapLog, clock: Clock
    ) -> None:
        """`slots` are those whose books come; nothing happens before `start`."""
        self._store = store
        self._directory = directory
        self._clock = clock
        self._gaps = gaps
        # Numbers go on from run to run: the time is above every number of the run before.
        self._kept = {slot: _Kept(message=clock.now_ns()) for slot in slots}
        self._messages = {directory.instruments[slot].feed: _Messages() for slot in self._kept}
        self._of_slot = {slot: self._messages[directory.instruments[slot].feed] for slot in self._kept}
        self.malformed = 0
        self.invalidated = 0
        """How often a book that was right was lost."""

    @property
    def slots(self) -> Sequence[int]:
        """Of the instruments whose books are kept."""
        return list(self._kept)

    def start(self) -> None:
        """Begin: until a book is right, it is missing.

        Raises:
            StorageError: If the archive cannot be read.
        """
        now_ns = self._clock.now_ns()
        until = recorded_until(self._store, Channel.DEPTH, self._directory, now_ns)
        for slot in self._kept:
            if slot in until:
                self._gaps.open(slot, Channel.DEPTH, until[slot], "not recorded: the program did not run")

    # exchanges.common.market.depth.DepthSink

    def on_book(self, slot: int, book: OrderBook | None, change: BookChange, ts_recv_ns: int) -> None:
        """Keep a change, or the whole book where the change alone would not do."""
        if book is None or book.sequence is None:
            return
        kept = self._kept[slot]
        if change.whole or kept.book is None or ts_recv_ns // WHOLE_EVERY_NS != kept.span:
            if change.whole or kept.book is None or change.sequence > kept.last_id:
                self._write_whole(slot, kept, book, ts_recv_ns)
        elif change.sequence > kept.last_id:
            bids, asks = _applied(book.bids, change.bids), _applied(book.asks, change.asks)
            event_ns = change.ts_event_ns or 0
            self._write(slot, kept, _DELTA, ts_recv_ns, event_ns, kept.last_id + 1, change.sequence, bids, asks)

    def on_book_state(self, slot: int, state: BookState, reason: str) -> None:
        """A book that is lost ends here; one that is right again is whole with its next change."""
        kept, now_ns = self._kept[slot], self._clock.now_ns()
        if state is BookState.VALID:
            self._gaps.close(slot, Channel.DEPTH, max(now_ns, kept.newest_ns))
            return
        if kept.book is not None:
            kept.book = None
            self.invalidated += 1
            self._gaps.open(slot, Channel.DEPTH, kept.newest_ns, f"{state.value}: {reason}")
            self._write(slot, kept, _INVALID, now_ns, 0, kept.last_id + 1, kept.last_id, (), ())

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        """A frame of no book: it may have been of any."""
        self.malformed += 1
        now_ns = self._clock.now_ns()
        for slot in self._kept:
            if self._directory.instruments[slot].feed == feed:
                self._gaps.add(Gap(slot, Channel.DEPTH, now_ns, now_ns + 1, f"a frame: {reason}"))

    def on_feed_state(self, feed: Feed, state: FeedState, detail: str) -> None:
        """The books say themselves what becomes of them."""

    def on_batch_end(self, ts_recv_ns: int) -> None:
        """Nothing is decided here."""

    # Inside

    def _write_whole(self, slot: int, kept: _Kept, book: OrderBook, ts_recv_ns: int) -> None:
        assert book.sequence is not None
        kept.book, kept.span = book, ts_recv_ns // WHOLE_EVERY_NS
        bids, asks = book.bids.levels(), book.asks.levels()
        sequence = book.sequence
        self._write(slot, kept, _SNAPSHOT, ts_recv_ns, book.ts_event_ns or 0, sequence, sequence, bids, asks)

    def _write(
        self,
        slot: int,
        kept: _Kept,
        kind: int,
        ts_recv_ns: int,
        event_ns: int,
        first_id: int,
        last_id: int,
        bids: _Levels,
        asks: _Levels,
    ) -> None:
        kept.newest_ns = max(kept.newest_ns, ts_recv_ns)
        head = (slot, kept.newest_ns, event_ns, kept.message, kind, first_id, last_id)
        self._of_slot[slot].add(head, bids, asks)
        kept.message += 1
        kept.last_id = last_id

    def take(self, now_ns: int) -> list[Batch]:
        """The rows since this was asked last, a batch a feed."""
        for slot, kept in self._kept.items():
            # A quiet book: nobody should have to read far back.
            if kept.book is not None and now_ns // WHOLE_EVERY_NS > kept.span:
                self._write_whole(slot, kept, kept.book, now_ns)
        return [self._batch(feed, messages) for feed, messages in self._messages.items() if len(messages)]

    def _batch(self, feed: Feed, messages: _Messages) -> Batch:
        rows = len(messages)
        heads, sides, prices, quantities = messages.take()
        start_ns = min(int(block["ts_recv_ns"].min()) for block in heads)
        stop_ns = max(int(block["ts_recv_ns"].max()) for block in heads) + 1
        build = partial(_table, self._directory, heads, sides, prices, quantities)
        return Batch(Channel.DEPTH, str(feed), rows, start_ns, stop_ns, build)

    def given_up(self, feed: Feed, start_ns: int, stop_ns: int, reason: str) -> None:
        """Rows of the feed did not reach the disk: what stood there is a gap, and every book of it is written anew."""
        for slot, kept in self._kept.items():
            if self._directory.instruments[slot].feed == feed:
                self._gaps.add(Gap(slot, Channel.DEPTH, start_ns, stop_ns, reason))
                if kept.book is not None:
                    self._write_whole(slot, kept, kept.book, max(self._clock.now_ns(), kept.newest_ns))


def _applied(side: BookSide, levels: Iterable[PrintedLevel]) -> list[tuple[float, float]]:
    """The levels that the book took: what lies behind the part of it that is known, it let pass."""
    numbers = ((float(price), float(quantity)) for price, quantity in levels)
    return [(price, quantity) for price, quantity in numbers if side.quantity_at(price) == quantity]


def _table(
    directory: Directory, blocks: Sequence[Rows], sides: "array[int]", prices: "array[float]", sizes: "array[float]"
) -> pa.Table:
    heads = joined(blocks)
    counts = heads["levels"]

    def spread(name: str) -> Any:
        return np.repeat(heads[name], counts)

    events = spread("ts_event_ns")
    kinds = pa.array(_KINDS, pa.string()).take(pa.array(spread("kind")))
    columns = [
        directory.names(spread("slot")),
        pa.array(spread("ts_recv_ns")),
        pa.array(events, mask=events == 0),
        pa.array(spread("message")),
        kinds,
        pa.array(spread("first_id")),
        pa.array(spread("last_id")),
        pa.array(np.frombuffer(sides, np.int8)),
        pa.array(np.frombuffer(prices, np.float64)),
        pa.array(np.frombuffer(sizes, np.float64)),
    ]
    return pa.table(columns, schema=SCHEMAS[Channel.DEPTH])
