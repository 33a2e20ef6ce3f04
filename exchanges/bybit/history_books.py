"""Bybit's order book files: a line a frame, as the socket sends them, the first one a whole book.

The frames go through the same gap-checked book as live ones. What is archived are the best levels, and every change of
them is spelt out: a level that comes into view or falls out of it stands in the change, so that whoever reads the
archive needs no rule of Bybit's. A whole book is written with every minute, so that any moment is near one. Where a
frame is missing, the book ends with an `invalid` row, up to the next whole one.
"""

import re
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from bot.domain.order_book import BookChange, BookState
from bot.errors import MalformedPayload
from exchanges.bybit.order_book import BybitBookBuilder
from exchanges.common.history.files import DAY_NS, Span
from exchanges.common.history.history_csv import bad
from exchanges.common.history.history_stream import unpacked

_TABLE_ROWS = 65_536
_MINUTE_NS = 60_000_000_000
_DEPTH = re.compile(rb'"topic"\s*:\s*"orderbook\.(\d{1,4})\.([^"]{1,64})"')
_MAX_LINE = 1 << 20
_KINDS = pa.array(["snapshot", "delta", "invalid"])
_SNAPSHOT, _DELTA, _INVALID = range(3)
Levels = Mapping[tuple[int, float], float]
"""Side (1 bid, -1 ask) and price -> quantity."""


def book_rows(path: Path, symbol: str, span: Span, depth: int) -> Iterator[pa.Table]:
    """Rows of the depth channel; `depth` levels a side at most."""
    keeper = _Keeper(path, span, depth)
    builder: BybitBookBuilder | None = None
    with unpacked(path) as stream:
        while line := stream.readline(_MAX_LINE):
            keeper.line += 1
            published = _published_depth(path, keeper.line, line, symbol)
            if builder is None:
                builder = BybitBookBuilder(published, keeper)
                keeper.builder = builder
            builder.on_frame(line, 0)
            keeper.settle()
            if len(keeper) >= _TABLE_ROWS:
                yield keeper.take()
    yield keeper.take()


def _published_depth(path: Path, number: int, line: bytes, symbol: str) -> int:
    found = _DEPTH.search(line)
    if found is None:
        bad(path, number, "no frame of an order book")
    if found[2] != symbol.encode():
        bad(path, number, f"the topic is not of {symbol}")
    return int(found[1])


class _Keeper:
    """Hears what becomes of the book (`BookEvents`), and keeps what the archive is to have of it."""

    def __init__(self, path: Path, span: Span, depth: int) -> None:
        self.builder: BybitBookBuilder | None = None
        self.line = 0
        self._path = path
        self._span = span
        self._depth = depth
        # Numbers grow by one from message to message, and from file to file.
        self._message = span.start_ns
        self._shown: Levels | None = None
        self._minute = 0
        self._last_id = 0
        self._recv_ns = span.start_ns
        self._change: BookChange | None = None
        self._lost = False
        self._begin()

    def _begin(self) -> None:
        self._whole_numbers = {
            name: array("q") for name in ("recv", "event", "message", "kind", "first", "last", "side")
        }
        self._prices, self._quantities = array("d"), array("d")

    def __len__(self) -> int:
        return len(self._prices)

    def on_book_change(self, change: BookChange, ts_recv_ns: int) -> None:
        self._change = change

    def on_book_state(self, state: BookState, reason: str) -> None:
        self._lost = state is not BookState.VALID

    def on_book_wanted(self, reason: str) -> None:
        """The next whole book of the file is waited for."""

    def settle(self) -> None:
        """Write what the newest frame did.

        Raises:
            RecordingError: If it was no frame.
        """
        assert self.builder is not None
        if isinstance(self.builder.error, MalformedPayload):
            bad(self._path, self.line, str(self.builder.error))
        change, self._change = self._change, None
        book = self.builder.book
        if book is None or change is None:
            if self._lost and self._shown is not None:
                # When in the time since the newest frame the missing one came, nobody knows.
                self._recv_ns += 1
                self._write(_INVALID, None, self._last_id + 1, self._last_id, {})
                self._shown = None
            return
        event_ns = self._event_ns(change)
        self._recv_ns = max(self._recv_ns, event_ns)
        before, self._shown = self._shown, _levels(book.bids.levels(self._depth), book.asks.levels(self._depth))
        minute = self._recv_ns // _MINUTE_NS
        if before is None or change.whole or minute != self._minute:
            self._minute = minute
            self._write(_SNAPSHOT, event_ns, change.sequence, change.sequence, self._shown)
        else:
            self._write(_DELTA, event_ns, self._last_id + 1, change.sequence, _difference(before, self._shown))

    def _event_ns(self, change: BookChange) -> int:
        event_ns = change.ts_event_ns or 0
        if not self._span.start_ns - DAY_NS <= event_ns < self._span.stop_ns + DAY_NS:
            bad(self._path, self.line, f"its time is not of {self._span.name}")
        return event_ns

    def _write(self, kind: int, event_ns: int | None, first: int, last: int, levels: Levels) -> None:
        # A message without levels is one row all the same: it moves the book's id, or ends the book.
        rows = levels or {(0, 0.0): 0.0}
        head = (self._recv_ns, event_ns or 0, self._message, kind, first, last)
        for (side, price), quantity in rows.items():
            for column, number in zip(self._whole_numbers.values(), (*head, side), strict=True):
                column.append(number)
            self._prices.append(price)
            self._quantities.append(quantity)
        self._message += 1
        self._last_id = last

    def take(self) -> pa.Table:
        """The rows since this was asked last."""
        numbers = {name: np.frombuffer(column, np.int64) for name, column in self._whole_numbers.items()}
        table = pa.table(
            {
                "ts_recv_ns": numbers["recv"],
                "ts_event_ns": pa.array(numbers["event"], mask=numbers["event"] == 0),
                "message": numbers["message"],
                "kind": _KINDS.take(pa.array(numbers["kind"])),
                "first_id": numbers["first"],
                "last_id": numbers["last"],
                "side": numbers["side"].astype(np.int8),
                "price": np.frombuffer(self._prices),
                "quantity": np.frombuffer(self._quantities),
            }
        )
        self._begin()
        return table


def _levels(bids: list[tuple[float, float]], asks: list[tuple[float, float]]) -> Levels:
    return {(side, price): quantity for side, levels in ((1, bids), (-1, asks)) for price, quantity in levels}


def _difference(before: Levels, now: Levels) -> Levels:
    """What makes the one the other: levels that are new or changed, and with quantity 0 those that are gone."""
    changed = {level: quantity for level, quantity in now.items() if before.get(level) != quantity}
    return changed | {level: 0.0 for level in before if level not in now}
