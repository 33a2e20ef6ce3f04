"""A market on tape: everything that a sink was told, in order, as columns.

A tape comes in pieces so that days fit into memory. Quotes and timed frames stand in columns; what is rare (funding,
connection states, what does not decode) stands beside them as calls that are repeated.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot.backtest.books import BookEvent, BookWriter
from bot.domain.instrument import Feed
from bot.domain.market import FundingRate, PublicTrade, TopOfBook
from bot.market.columns import Columns, read_only
from bot.ports import FeedState, MarketSink

PIECE_ROWS = 2_000_000
"""130 MB."""

_ROW = np.dtype(
    [
        ("slot", "=i4"),
        ("ends", "=i4"),
        ("ts_recv_ns", "=i8"),
        ("ts_event_ns", "=i8"),
        ("sequence", "=i8"),
        ("bid_price", "=f8"),
        ("bid_qty", "=f8"),
        ("ask_price", "=f8"),
        ("ask_qty", "=f8"),
    ]
)
_pack = struct.Struct("=iiqqqdddd").pack
_ENDS_OFFSET = 4


@dataclass(frozen=True, slots=True)
class Event:
    """What is no row: a call on the sink, made before row `at`."""

    at: int
    ts_ns: int
    ends: bool
    """Whether the batch ends with it."""
    call: Callable[[MarketSink], None]


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive rows of a tape; equally long columns."""

    slot: NDArray[np.int32]
    """Of a quote; of a timed frame `-1 - place of its feed`."""
    ends: NDArray[np.bool_]
    """Whether a batch ends with the row."""
    rows: Columns
    events: Sequence[Event] = ()
    books: Sequence[BookEvent] = ()
    """What changed the order books; `at` and order as of the events."""

    def __len__(self) -> int:
        return len(self.slot)

    def until(self, ts_ns: int) -> "Piece":
        """Without what came after `ts_ns`."""
        if not len(self) or self.rows.ts_recv_ns[-1] <= ts_ns:
            return self
        stop = int(np.searchsorted(self.rows.ts_recv_ns, ts_ns, "right"))
        events = tuple(event for event in self.events if event.at <= stop and event.ts_ns <= ts_ns)
        books = tuple(event for event in self.books if event.at <= stop and event.ts_recv_ns <= ts_ns)
        return Piece(self.slot[:stop], self.ends[:stop], self.rows.slice(0, stop), events, books)


def piece_of(quotes: Sequence[Columns]) -> Piece:
    """One set of columns per slot, in order of receipt; of one nanosecond the lower slot first. Each is a batch."""
    slot = np.repeat(np.arange(len(quotes), dtype=np.int32), [columns.rows for columns in quotes])
    joined = Columns(*(np.concatenate(parts) for parts in zip(*quotes, strict=True)))
    order = np.argsort(joined.ts_recv_ns, kind="stable")
    return Piece(slot[order], np.ones(len(order), np.bool_), joined.take(order))


class TapeWriter:
    """Implements `bot.ports.MarketSink`: writes down what it is told.

    Args:
        feeds: In the order that timed frames name them by.
        on_piece: Takes each piece that is full, and the last one at `finish`.
        piece_rows: How many rows make one.
        keeps_trades: Whether trades are events: a strategy whose orders rest is filled by them. Each ends a stretch.
    """

    def __init__(
        self,
        feeds: Sequence[Feed],
        on_piece: Callable[[Piece], None],
        piece_rows: int = PIECE_ROWS,
        *,
        keeps_trades: bool = False,
    ) -> None:
        self._keeps_trades = keeps_trades
        self._feeds = {feed: place for place, feed in enumerate(feeds)}
        self._on_piece = on_piece
        self._piece_bytes = piece_rows * _ROW.itemsize
        self._rows = bytearray()
        self._events: list[Event] = []
        self._book_events: list[BookEvent] = []
        self.books = BookWriter(self._place, self._add_book_event)
        """Takes the order books."""
        self._last_was_row = False
        self.newest_ns = 0
        self.trades = 0
        """Trades so far; without `keeps_trades` they are not written: no decision rests on them."""

    def finish(self) -> None:
        """Hand over what is left."""
        if self._rows or self._events or self._book_events:
            self._hand_over()

    # bot.ports.MarketSink

    def on_quote(self, slot: int, quote: TopOfBook, ts_recv_ns: int, raw: bytes) -> None:
        """A row."""
        fields = quote.__dict__
        try:
            row = _pack(
                slot,
                0,
                ts_recv_ns,
                fields["ts_event_ns"] or 0,
                fields["sequence"],
                fields["bid_price"],
                fields["bid_qty"],
                fields["ask_price"],
                fields["ask_qty"],
            )
        except struct.error:
            # A number of more than 64 bits: the engine has its own word for it.
            self._event(ts_recv_ns, lambda sink: sink.on_quote(slot, quote, ts_recv_ns, raw))
            return
        self._add(row, ts_recv_ns)

    def on_trade(self, slot: int, trade: PublicTrade, ts_recv_ns: int) -> None:
        """An event, where trades are kept; its feed's time comes as a timed frame."""
        self.trades += 1
        if self._keeps_trades:
            self._event(ts_recv_ns, lambda sink: sink.on_trade(slot, trade, ts_recv_ns))

    def on_funding(self, slot: int, funding: FundingRate, ts_recv_ns: int) -> None:
        """An event."""
        self._event(ts_recv_ns, lambda sink: sink.on_funding(slot, funding, ts_recv_ns))

    def on_timed_frame(self, feed: Feed, ts_event_ns: int, ts_recv_ns: int) -> None:
        """A row without prices."""
        self._add(_pack(-1 - self._feeds[feed], 0, ts_recv_ns, ts_event_ns, 0, 0.0, 0.0, 0.0, 0.0), ts_recv_ns)

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        """An event."""
        self._event(self.newest_ns, lambda sink: sink.on_malformed(feed, raw, reason))

    def on_feed_state(self, feed: Feed, state: FeedState, detail: str) -> None:
        """An event."""
        self._event(self.newest_ns, lambda sink: sink.on_feed_state(feed, state, detail))

    def on_clock_offset(self, venue: str, offset_ns: int, round_trip_ns: int) -> None:
        """An event."""
        self._event(self.newest_ns, lambda sink: sink.on_clock_offset(venue, offset_ns, round_trip_ns))

    def on_batch_end(self, ts_recv_ns: int) -> None:
        """The last row or event ends a batch."""
        if self._last_was_row:
            self._rows[_ENDS_OFFSET - _ROW.itemsize] = 1
        elif self._events:
            last = self._events[-1]
            self._events[-1] = Event(last.at, last.ts_ns, True, last.call)
        if len(self._rows) >= self._piece_bytes:
            self._hand_over()

    # Inside

    def _add(self, row: bytes, ts_recv_ns: int) -> None:
        self._rows += row
        self._last_was_row = True
        self.newest_ns = ts_recv_ns

    def _event(self, ts_ns: int, call: Callable[[MarketSink], None]) -> None:
        self._events.append(Event(len(self._rows) // _ROW.itemsize, ts_ns, False, call))
        self._last_was_row = False
        self.newest_ns = ts_ns

    def _place(self) -> tuple[int, int]:
        return len(self._rows) // _ROW.itemsize, self.newest_ns

    def _add_book_event(self, event: BookEvent) -> None:
        self._book_events.append(event)

    def _hand_over(self) -> None:
        rows = np.frombuffer(bytes(self._rows), _ROW)
        columns = read_only(np.ascontiguousarray(rows[name]) for name in Columns._fields)
        slot, ends = np.ascontiguousarray(rows["slot"]), rows["ends"].astype(np.bool_)
        piece = Piece(slot, ends, columns, tuple(self._events), tuple(self._book_events))
        self._rows, self._events, self._book_events, self._last_was_row = bytearray(), [], [], False
        self._on_piece(piece)
