"""What a window holds by column, and segments: sealed rows, packed into fewer bytes."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

ROW = np.dtype(
    [
        ("ts_recv_ns", "=i8"),
        ("ts_event_ns", "=i8"),
        ("sequence", "=i8"),
        ("bid_price", "=f8"),
        ("bid_qty", "=f8"),
        ("ask_price", "=f8"),
        ("ask_qty", "=f8"),
    ]
)
"""One row of the hot buffer: 56 bytes, packed by `ROW_FORMAT`."""
ROW_FORMAT = "=qqqdddd"
RowValues = tuple[int, int, int, float, float, float, float]
"""One row, in the order of the columns."""


class Columns(NamedTuple):
    """Top of book by column; equally long, read-only arrays. They never change, whatever is appended later."""

    ts_recv_ns: Ints
    """Our receive time, UTC ns; never goes back."""
    ts_event_ns: Ints
    """The venue's time, UTC ns; 0 where it sent none."""
    sequence: Ints
    bid_price: Floats
    bid_qty: Floats
    ask_price: Floats
    ask_qty: Floats

    @property
    def rows(self) -> int:
        """How many rows; `len()` would be the number of columns."""
        return len(self.ts_recv_ns)

    def slice(self, start: int, stop: int) -> "Columns":
        """Rows `start` to `stop` without copying."""
        recv_ns, event_ns, sequence, bid_price, bid_qty, ask_price, ask_qty = self
        return Columns(
            recv_ns[start:stop],
            event_ns[start:stop],
            sequence[start:stop],
            bid_price[start:stop],
            bid_qty[start:stop],
            ask_price[start:stop],
            ask_qty[start:stop],
        )

    def take(self, rows: Ints) -> "Columns":
        """A copy of the rows at these positions."""
        return read_only(column[rows] for column in self)


def read_only(columns: Iterable[NDArray[Any]]) -> Columns:
    """Columns of these seven arrays, which nobody can write to from now on."""
    made = Columns(*columns)
    for column in made:
        column.flags.writeable = False
    return made


def joined(parts: Sequence[Columns]) -> Columns:
    """The parts one after another: the part itself when there is one, else a copy."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return EMPTY
    return read_only(np.concatenate(columns) for columns in zip(*parts, strict=True))


EMPTY = read_only(np.empty(0, dtype=ROW[name]) for name in Columns._fields)


class _PackedInts:
    """Integers as a base and offsets of the narrowest unsigned type that holds them; exact."""

    __slots__ = ("_base", "_offsets")

    def __init__(self, values: Ints) -> None:
        low, high = int(values.min()), int(values.max())
        self._base = low
        # A spread of 2**63 and more would overflow the subtraction; then the values stand as they are.
        if high - low > np.iinfo(np.uint32).max:
            self._base, self._offsets = 0, values.copy()
        else:
            self._offsets = (values - low).astype(np.min_scalar_type(high - low))

    @property
    def nbytes(self) -> int:
        return int(self._offsets.nbytes)

    def item(self, at: int) -> int:
        return int(self._offsets.item(at)) + self._base

    def read(self, start: int, stop: int) -> Ints:
        return self._offsets[start:stop].astype(np.int64) + self._base


class Segment:
    """Sealed rows; `first_row` is the number of the oldest one, counted from the first row ever appended.

    The sequence is kept relative to its least value and the venue's time relative to ours: in practice four bytes
    each, one where the venue sends no time. Prices and sizes stay as they came.
    """

    __slots__ = ("_event", "_event_is_relative", "_floats", "_sequence", "first_row", "last_recv_ns", "recv_ns", "rows")

    def __init__(self, first_row: int, columns: Columns) -> None:
        self.first_row = first_row
        self.rows = columns.rows
        self.recv_ns = columns.ts_recv_ns.copy()
        self.recv_ns.flags.writeable = False
        self.last_recv_ns = int(self.recv_ns[-1])
        self._event_is_relative = bool(columns.ts_event_ns.min() > 0)
        event = columns.ts_event_ns
        self._event = _PackedInts(self.recv_ns - event if self._event_is_relative else event)
        self._sequence = _PackedInts(columns.sequence)
        self._floats = tuple(column.copy() for column in columns[3:])
        for column in self._floats:
            column.flags.writeable = False

    @property
    def stop_row(self) -> int:
        """The number of the row after the newest one."""
        return self.first_row + self.rows

    @property
    def nbytes(self) -> int:
        """Bytes of the packed columns."""
        floats = sum(column.nbytes for column in self._floats)
        return int(self.recv_ns.nbytes + floats) + self._event.nbytes + self._sequence.nbytes

    def first_at(self, ts_ns: int) -> int:
        """The number of the first row received at `ts_ns` or later; `stop_row` where there is none."""
        return self.first_row + bisect_left(self.recv_ns.data, ts_ns)

    def row(self, number: int) -> RowValues:
        """One row, in the order of the columns."""
        at = number - self.first_row
        recv_ns = self.recv_ns.item(at)
        event = self._event.item(at)
        event_ns = recv_ns - event if self._event_is_relative else event
        bid_price, bid_qty, ask_price, ask_qty = (column.item(at) for column in self._floats)
        return recv_ns, event_ns, self._sequence.item(at), bid_price, bid_qty, ask_price, ask_qty

    def columns(self, start_row: int, stop_row: int) -> Columns:
        """Rows `start_row` to `stop_row`, cut to what the segment holds; only the packed columns are copied."""
        start, stop = max(start_row - self.first_row, 0), min(stop_row - self.first_row, self.rows)
        recv_ns = self.recv_ns[start:stop]
        event = self._event.read(start, stop)
        if self._event_is_relative:
            event = recv_ns - event
        floats = (column[start:stop] for column in self._floats)
        return read_only((recv_ns, event, self._sequence.read(start, stop), *floats))
