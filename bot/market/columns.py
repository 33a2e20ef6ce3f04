"""What a window holds by column, and segments: sealed rows, packed into fewer bytes."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from struct import Struct, calcsize
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
MARK_ROWS = 8
"""One row in so many of a segment has its receive time in an index."""
_NARROW = "=qIIdddd"
"""One row of a segment, as a rule: 48 bytes."""
_NARROW_BYTES = calcsize(_NARROW)
_unpack_narrow = Struct(_NARROW).unpack_from
_unpack_wide = Struct(ROW_FORMAT).unpack_from
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


class Segment:
    """Sealed rows; `first_row` is the number of the oldest one, counted from the first row ever appended.

    The sequence is kept relative to its least value and the venue's time relative to ours: in practice four bytes
    each. Prices and sizes stay as they came. A row stands in one piece: a look into a day that is long out of the
    processor's cache waits for memory once, and not once a column.
    """

    __slots__ = (
        "_event_base",
        "_event_is_relative",
        "_marks",
        "_memory",
        "_recv",
        "_row_bytes",
        "_sequence_base",
        "_table",
        "first_row",
        "last_recv_ns",
        "rows",
    )

    def __init__(self, first_row: int, columns: Columns) -> None:
        self.first_row = first_row
        self.rows = columns.rows
        recv_ns, event_ns = columns.ts_recv_ns, columns.ts_event_ns
        self.last_recv_ns = int(recv_ns[-1])
        self._event_is_relative = bool(event_ns.min() > 0)
        event = recv_ns - event_ns if self._event_is_relative else event_ns
        self._event_base, self._sequence_base = int(event.min()), int(columns.sequence.min())
        spread = max(int(event.max()) - self._event_base, int(columns.sequence.max()) - self._sequence_base)
        layout = _NARROW
        if spread > np.iinfo(np.uint32).max:  # a spread of 2**63 would overflow a subtraction: they stand as they are
            layout, self._event_base, self._sequence_base = ROW_FORMAT, 0, 0
        self._table = np.empty(self.rows, _dtype(layout))
        offsets = (event - self._event_base, columns.sequence - self._sequence_base)
        for name, values in zip(Columns._fields, (recv_ns, *offsets, *columns[3:]), strict=True):
            self._table[name] = values
        self._table.flags.writeable = False
        self._row_bytes = self._table.itemsize
        self._memory = self._table.data.cast("B")
        self._recv = self._memory.cast("q")[:: self._row_bytes // 8]
        # Looked at first: side by side they stand in few cache lines, and then only one of the table is waited for.
        self._marks = array("q", self._table["ts_recv_ns"][::MARK_ROWS].tolist())

    @property
    def stop_row(self) -> int:
        """The number of the row after the newest one."""
        return self.first_row + self.rows

    @property
    def nbytes(self) -> int:
        """Bytes of the packed rows and of the marks."""
        return int(self._table.nbytes) + len(self._marks) * self._marks.itemsize

    def first_at(self, ts_ns: int) -> int:
        """The number of the first row received at `ts_ns` or later; `stop_row` where there is none."""
        low = max(bisect_left(self._marks, ts_ns) - 1, 0) * MARK_ROWS
        return self.first_row + bisect_left(self._recv, ts_ns, low, min(low + MARK_ROWS, self.rows))

    def row(self, number: int) -> RowValues:
        """One row, in the order of the columns."""
        # One function for all segments: one of its own would be one more thing out of the cache.
        unpack = _unpack_narrow if self._row_bytes == _NARROW_BYTES else _unpack_wide
        recv_ns, event, sequence, bid_price, bid_qty, ask_price, ask_qty = unpack(
            self._memory, (number - self.first_row) * self._row_bytes
        )
        event += self._event_base
        event_ns = recv_ns - event if self._event_is_relative else event
        return recv_ns, event_ns, sequence + self._sequence_base, bid_price, bid_qty, ask_price, ask_qty

    def columns(self, start_row: int, stop_row: int) -> Columns:
        """Rows `start_row` to `stop_row`, cut to what the segment holds; only the packed columns are copied."""
        start, stop = max(start_row - self.first_row, 0), min(stop_row - self.first_row, self.rows)
        table = self._table[start:stop]
        recv_ns = table["ts_recv_ns"]
        event = table["ts_event_ns"].astype(np.int64) + self._event_base
        if self._event_is_relative:
            event = recv_ns - event
        sequence = table["sequence"].astype(np.int64) + self._sequence_base
        return read_only((recv_ns, event, sequence, *(table[name] for name in Columns._fields[3:])))


def _dtype(layout: str) -> np.dtype[Any]:
    codes = {"q": "=i8", "I": "=u4", "d": "=f8"}
    return np.dtype([(name, codes[code]) for name, code in zip(Columns._fields, layout[1:], strict=True)])
