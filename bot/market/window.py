"""The last 24 hours of one instrument's top of book, as columns: models would take 1,392 bytes a row."""

import struct
from array import array
from bisect import bisect_left
from collections.abc import Callable
from math import nan

import numpy as np

from bot.domain.market import TopOfBook
from bot.market.columns import ROW_FORMAT, Columns, joined
from bot.market.hot_buffer import ROW_BYTES
from bot.market.row_store import RowStore

INDEX_SLACK = 4_096
"""Entries of the price-change index that may be outdated before they are dropped."""

_pack_into = struct.Struct(ROW_FORMAT).pack_into

# A third faster than the constructor, which does the same.
_quote: Callable[[dict[str, object]], TopOfBook] = TopOfBook.__pydantic_validator__.validate_python


class Window:
    """Top of book of one instrument over the newest `hold_h` hours, counted back from the newest row.

    The last `rolling_s` seconds always stand in one piece: a view of them is a slice. Receive times never go back:
    a row stamped before its predecessor (the wall clock was stepped) gets the predecessor's time and is counted in
    `clock_steps`.
    """

    __slots__ = (
        "_ask",
        "_bid",
        "_changes",
        "_hold_ns",
        "_last",
        "_limit",
        "_memory",
        "_offset",
        "_store",
        "clock_steps",
        "last_recv_ns",
    )

    def __init__(self, *, hold_h: float = 24.0, rolling_s: float = 360.0) -> None:
        self._hold_ns = round(hold_h * 3_600e9)
        self._store = RowStore(self._hold_ns, min(round(rolling_s * 1e9), self._hold_ns))
        self._changes = array("q")
        self._last: TopOfBook | None = None
        self._bid = self._ask = nan  # equal to no price: the first row is a change
        self._memory = self._store.hot.memory
        self._offset = 0
        self._limit = 0
        self.clock_steps = 0
        """Rows whose own receive time was before their predecessor's."""
        self.last_recv_ns = 0
        """Receive time of the newest row; 0 before the first."""

    def append(self, ts_recv_ns: int, quote: TopOfBook) -> bool:
        """Keep a quote; true when its bid or ask price differs from the row before.

        Raises:
            OverflowError: If an integer of the quote does not fit 64 bits; nothing was kept.
        """
        if ts_recv_ns < self.last_recv_ns:
            self.clock_steps += 1
            ts_recv_ns = self.last_recv_ns
        offset = self._offset
        if offset == self._limit:
            self._make_room()
            offset = self._offset
        fields = quote.__dict__  # attribute access on a pydantic model takes twice as long
        bid = fields["bid_price"]
        ask = fields["ask_price"]
        try:
            _pack_into(
                self._memory,
                offset,
                ts_recv_ns,
                fields["ts_event_ns"] or 0,
                fields["sequence"],
                bid,
                fields["bid_qty"],
                ask,
                fields["ask_qty"],
            )
        except struct.error as error:
            raise OverflowError(f"an integer that does not fit 64 bits: {quote!r}") from error
        self._offset = offset + ROW_BYTES
        self.last_recv_ns = ts_recv_ns
        self._last = quote
        if bid == self._bid and ask == self._ask:
            return False
        self._bid = bid
        self._ask = ask
        self._changes.append(self._store.hot.first_row + offset // ROW_BYTES)
        return True

    def _make_room(self) -> None:
        appended = self.appended
        store = self._store
        limit_row = store.make_room(appended, self.last_recv_ns)
        self._memory = store.hot.memory
        self._offset = (appended - store.hot.first_row) * ROW_BYTES
        self._limit = (limit_row - store.hot.first_row) * ROW_BYTES
        outdated = bisect_left(self._changes, store.oldest_row)
        if outdated >= INDEX_SLACK:
            del self._changes[:outdated]

    @property
    def appended(self) -> int:
        """How many rows were ever appended."""
        return self._store.hot.first_row + self._offset // ROW_BYTES

    @property
    def nbytes(self) -> int:
        """Bytes held for rows and the price-change index; buffers count at their full capacity."""
        return self._store.nbytes + self._changes.buffer_info()[1] * self._changes.itemsize

    def __len__(self) -> int:
        """Rows of the last `hold_h` hours."""
        return self.appended - self._row_at(self.last_recv_ns - self._hold_ns)

    def last(self) -> TopOfBook | None:
        """The newest quote; None before the first."""
        return self._last

    def between(self, start_ns: int, stop_ns: int) -> Columns:
        """Rows received from `start_ns` to before `stop_ns`, none older than `hold_h`.

        A view without copying where the rows stand in one part, as the last `rolling_s` always do.
        """
        start_row, stop_row = self._range(start_ns, stop_ns)
        hot = self._store.hot
        if start_row >= hot.first_row:
            return hot.view(start_row, stop_row)
        return joined([part for _, part in self._store.parts(start_row, stop_row)])

    def price_changes(self, start_ns: int, stop_ns: int) -> Columns:
        """The rows of `between` whose bid or ask price differs from the row before; a copy."""
        start_row, stop_row = self._range(start_ns, stop_ns)
        changes = self._changes
        index = changes[bisect_left(changes, start_row) : bisect_left(changes, stop_row)]
        numbers = np.array(index, np.int64)
        picked = []
        for first_row, part in self._store.parts(start_row, stop_row):
            low, high = np.searchsorted(numbers, (first_row, first_row + part.rows))
            picked.append(part.take(numbers[low:high] - first_row))
        return joined(picked)

    def as_of(self, ts_ns: int) -> tuple[int, TopOfBook] | None:
        """Receive time and quote of the newest row received at `ts_ns` or before; None where none is held."""
        if ts_ns >= self.last_recv_ns:
            return None if self._last is None else (self.last_recv_ns, self._last)
        row = self._store.row_before(ts_ns + 1, self.appended)
        if row is None:
            return None
        recv_ns, event_ns, sequence, bid_price, bid_qty, ask_price, ask_qty = row
        if recv_ns < self.last_recv_ns - self._hold_ns:
            return None
        quote = _quote(
            {
                "bid_price": bid_price,
                "bid_qty": bid_qty,
                "ask_price": ask_price,
                "ask_qty": ask_qty,
                "sequence": sequence,
                "ts_event_ns": event_ns or None,
            }
        )
        return recv_ns, quote

    def _range(self, start_ns: int, stop_ns: int) -> tuple[int, int]:
        start_row = self._row_at(max(start_ns, self.last_recv_ns - self._hold_ns))
        return start_row, max(start_row, self._row_at(stop_ns))

    def _row_at(self, ts_ns: int) -> int:
        return self.appended if ts_ns > self.last_recv_ns else self._store.row_at(ts_ns, self.appended)
