"""A window that takes rows of a tape as they lie there, and puts them where they belong once somebody looks.

A live window writes every row into a buffer of its own, and later packs it. Rows of a tape stand in columns already,
which nobody changes: a window can point to them. Most backtests never look into the window of an instrument; where
somebody does, it is brought up to date first and answers as any window. Rows that become many are packed straight
away, so that a day of them takes no more memory than it does live.
"""

import numpy as np

from bot.domain.market import TopOfBook
from bot.market.columns import ROW, Columns, joined, read_only
from bot.market.gap_marks import KnownGap
from bot.market.packing import Bits
from bot.market.row_store import SEGMENT_ROWS
from bot.market.window import Window, pack_row, quote_of
from bot.market.zone_map import Zones

MOST_LATE = 16 * SEGMENT_ROWS
"""Rows that a window points to before it packs them."""


class LateWindow(Window):
    """A window without rows; `append` and `extend` add to it."""

    __slots__ = ("_late", "_late_moved", "_late_rows", "_single", "_single_moved")

    def __init__(
        self, *, hold_h: float = 24.0, rolling_s: float = 360.0, grid: tuple[float, float] | None = None
    ) -> None:
        super().__init__(hold_h=hold_h, rolling_s=rolling_s, grid=grid)
        self._late: list[Columns] = []
        self._late_moved: list[Bits] = []
        self._late_rows = 0
        """Those and the single ones."""
        self._single = bytearray()
        """Rows that came one by one after them."""
        self._single_moved: list[bool] = []

    def append(self, ts_recv_ns: int, quote: TopOfBook) -> bool:
        """Keep a quote; true when its bid or ask price differs from the row before.

        Raises:
            OverflowError: If an integer of the quote does not fit 64 bits; nothing was kept.
        """
        if ts_recv_ns < self.last_recv_ns:
            self.clock_steps += 1
            ts_recv_ns = self.last_recv_ns
        self._single += pack_row(ts_recv_ns, quote)
        bid, ask = quote.bid_price, quote.ask_price
        is_moved = bid != self._bid or ask != self._ask
        self._single_moved.append(is_moved)
        self._late_rows += 1
        self.last_recv_ns, self._last = ts_recv_ns, quote
        self._bid, self._ask = bid, ask
        if len(self._single_moved) >= SEGMENT_ROWS:
            self._collect()
        return is_moved

    def extend(self, columns: Columns, is_moved: Bits) -> None:
        """Keep many quotes, as `append` would keep them one by one; see `Window.extend`."""
        self._collect()
        self._late.append(columns)
        self._late_moved.append(is_moved)
        self._late_rows += columns.rows
        self.last_recv_ns = int(columns.ts_recv_ns[-1])
        self._last = quote_of(columns.row(-1))
        self._bid, self._ask = self._last.bid_price, self._last.ask_price
        if self._late_rows > MOST_LATE:
            self._pack()

    def _collect(self) -> None:
        """Single rows as columns."""
        if self._single_moved:
            rows = np.frombuffer(bytes(self._single), ROW)
            self._late.append(read_only(rows[name] for name in Columns._fields))
            self._late_moved.append(np.array(self._single_moved))
            self._single, self._single_moved = bytearray(), []

    def _taken(self) -> tuple[Columns, Bits]:
        self._collect()
        columns, moved = joined(self._late), np.concatenate(self._late_moved)
        self._late, self._late_moved, self._late_rows = [], [], 0
        return columns, moved

    def _pack(self) -> None:
        """Into segments, all but what fills none; into the buffer where that holds rows already."""
        columns, moved = self._taken()
        # The newest row is never packed: whoever searches the buffer finds one.
        packed = self._pack_segments(columns.slice(0, columns.rows - 1), moved[:-1])
        if packed:
            self._late.append(columns.slice(packed, columns.rows))
            self._late_moved.append(moved[packed:])
            self._late_rows = columns.rows - packed
        else:
            super().extend(columns, moved)

    def _settle(self) -> None:
        """Bring everything to where a live window has it."""
        if not self._late_rows:
            return
        columns, moved = self._taken()
        old = int(np.searchsorted(columns.ts_recv_ns, self.last_recv_ns - self._rolling_ns))
        packed = self._pack_segments(columns.slice(0, old), moved[:old])
        super().extend(columns.slice(packed, columns.rows), moved[packed:])

    # What looks at rows

    @property
    def appended(self) -> int:
        """How many rows were ever appended."""
        return super().appended + self._late_rows

    @property
    def nbytes(self) -> int:
        """Bytes held, as `Window.nbytes`."""
        self._settle()
        return super().nbytes

    def __len__(self) -> int:
        """Rows of the last `hold_h` hours."""
        self._settle()
        return super().__len__()

    def load(self, columns: Columns) -> None:
        """Take rows from before every row that is held; see `Window.load`."""
        self._settle()
        super().load(columns)

    def between(self, start_ns: int, stop_ns: int) -> Columns:
        """Rows received from `start_ns` to before `stop_ns`; see `Window.between`."""
        self._settle()
        return super().between(start_ns, stop_ns)

    def begin_gap(self, start_ns: int, reason: str) -> None:
        """From `start_ns` to the next quote some may be missing."""
        self._settle()
        super().begin_gap(start_ns, reason)

    def gaps(self, start_ns: int, stop_ns: int) -> list[KnownGap]:
        """Where quotes may be missing within a span, by start."""
        self._settle()
        return super().gaps(start_ns, stop_ns)

    def price_changes(self, start_ns: int, stop_ns: int) -> Columns:
        """The rows of `between` that move a price; a copy."""
        self._settle()
        return super().price_changes(start_ns, stop_ns)

    def extremes(self, start_ns: int, stop_ns: int) -> tuple[float, float]:
        """The highest bid and the lowest ask of a span; see `Window.extremes`."""
        self._settle()
        return super().extremes(start_ns, stop_ns)

    def zones(self, start_ns: int, stop_ns: int) -> Zones:
        """Of every second of a span in which a price changed; see `Window.zones`."""
        self._settle()
        return super().zones(start_ns, stop_ns)

    def as_of(self, ts_ns: int) -> tuple[int, TopOfBook] | None:
        """Receive time and quote of the newest row received at `ts_ns` or before; None where none is held."""
        if ts_ns < self.last_recv_ns:
            self._settle()
        return super().as_of(ts_ns)
