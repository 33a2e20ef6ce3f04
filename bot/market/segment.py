"""Sealed rows of a window, packed into some 25 bytes each."""

from array import array
from bisect import bisect_left
from functools import lru_cache
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bot.market.columns import Columns, RowValues, read_only
from bot.market.packing import (
    Bits,
    Codec,
    Floats,
    Grid,
    Ints,
    decoded_floats,
    decoded_ints,
    dtype_of,
    grid_of,
    pack_floats,
    pack_ints,
)

MARK_ROWS = 16
"""One row in so many has its receive time in an index; the others' stand beside it, relative to it."""
_NAMES = Columns._fields[1:]
_UNSIGNED_32 = 0xFFFF_FFFF


class Grids(NamedTuple):
    """Of an instrument; None keeps floats as they come."""

    price: Grid | None = None
    size: Grid | None = None

    @classmethod
    def of(cls, grid: tuple[float, float] | None) -> "Grids":
        """Of a tick and a lot.

        Raises:
            ValueError: If one of them is not above zero.
        """
        return cls() if grid is None else cls(grid_of(grid[0]), grid_of(grid[1]))


class _Layout(NamedTuple):
    row: Struct
    table: np.dtype[Any]


@lru_cache(maxsize=4_096)
def _layout(codecs: tuple[str, ...]) -> _Layout:
    # One for all segments that look alike: one of its own would be one more thing out of the processor's cache.
    fields = [(name, dtype_of(Codec(code, 0))) for name, code in zip(_NAMES, codecs, strict=True)]
    return _Layout(Struct("=" + "".join(codecs)), np.dtype(fields))


class Segment:
    """Sealed rows; `first_row` is the number of the oldest one, counted from the first row ever appended.

    Receive times are what is searched: they stand side by side, 32 bits after the mark before them, 64 where rows are
    seconds apart. All else of a row stands in one piece, so that a look into a day that is long out of the
    processor's cache waits for memory once, and not once a column: the venue's time relative to ours, the sequence,
    prices in ticks and sizes in lots, each above the segment's least and in as many bytes as the largest needs. What
    is off its grid stays as it came, a column at a time.
    """

    __slots__ = (
        "_changed",
        "_codecs",
        "_event_is_relative",
        "_marks",
        "_memory",
        "_recv",
        "_row",
        "_scales",
        "_table",
        "first_row",
        "last_recv_ns",
        "rows",
    )

    def __init__(self, first_row: int, columns: Columns, changed: Bits, grids: Grids) -> None:
        """`changed` says which rows have another bid or ask price than the row before."""
        self.first_row = first_row
        self.rows = columns.rows
        recv_ns = np.ascontiguousarray(columns.ts_recv_ns)
        self.last_recv_ns = int(recv_ns[-1])
        self._marks, self._recv = _packed_times(recv_ns)
        event_ns = columns.ts_event_ns
        self._event_is_relative = bool(event_ns.min() > 0)
        packed = (
            pack_ints(recv_ns - event_ns if self._event_is_relative else event_ns),
            pack_ints(columns.sequence),
            pack_floats(columns.bid_price, grids.price),
            pack_floats(columns.bid_qty, grids.size),
            pack_floats(columns.ask_price, grids.price),
            pack_floats(columns.ask_qty, grids.size),
        )
        self._codecs = tuple(codec for codec, _ in packed)
        self._row, table = _layout(tuple(codec.code for codec in self._codecs))
        self._table = np.empty(self.rows, table)
        for name, (_, stored) in zip(_NAMES, packed, strict=True):
            self._table[name] = stored
        self._table.flags.writeable = False
        self._memory = self._table.data.cast("B")
        # In one piece for `row`, which has no time to look into six codecs.
        event, sequence, *floats = self._codecs
        self._scales = (int(event.base), int(sequence.base), *(part for codec in floats for part in codec[1:]))
        self._changed = np.packbits(changed, bitorder="little")

    @property
    def stop_row(self) -> int:
        """The number of the row after the newest one."""
        return self.first_row + self.rows

    @property
    def first_recv_ns(self) -> int:
        """Receive time of the oldest row."""
        return self._marks[0]

    @property
    def nbytes(self) -> int:
        """Bytes of the packed rows, their times and marks, and of the price-change index."""
        marks = len(self._marks) * self._marks.itemsize
        return int(self._table.nbytes) + self._recv.nbytes + marks + int(self._changed.nbytes)

    def first_at(self, ts_ns: int) -> int:
        """The number of the first row received at `ts_ns` or later; `stop_row` where there is none."""
        marks = self._marks
        mark = bisect_left(marks, ts_ns) - 1
        if mark < 0:
            return self.first_row
        low = mark * MARK_ROWS
        high = min(low + MARK_ROWS, self.rows)
        return self.first_row + bisect_left(self._recv, ts_ns - marks[mark], low, high)

    def row(self, number: int) -> RowValues:
        """One row, in the order of the columns."""
        at = number - self.first_row
        row = self._row
        event, sequence, bid, bid_qty, ask, ask_qty = row.unpack_from(self._memory, at * row.size)
        e, s, b, bm, bd, bq, bqm, bqd, a, am, ad, aq, aqm, aqd = self._scales
        recv_ns = self._marks[at // MARK_ROWS] + self._recv[at]
        event += e
        return (
            recv_ns,
            recv_ns - event if self._event_is_relative else event,
            sequence + s,
            (bid + b) * bm / bd,
            (bid_qty + bq) * bqm / bqd,
            (ask + a) * am / ad,
            (ask_qty + aq) * aqm / aqd,
        )

    def columns(self, start_row: int, stop_row: int) -> Columns:
        """Rows `start_row` to `stop_row`, cut to what the segment holds."""
        return self._decoded(self._cut(start_row, stop_row))

    def prices(self, start_row: int, stop_row: int) -> tuple[Floats, Floats]:
        """Bid and ask prices of these rows."""
        table = self._table[self._cut(start_row, stop_row)]
        return decoded_floats(table["bid_price"], self._codecs[2]), decoded_floats(table["ask_price"], self._codecs[4])

    def changes(self, start_row: int, stop_row: int) -> Columns:
        """Of these rows, those whose bid or ask price differs from the row before; a copy."""
        cut = self._cut(start_row, stop_row)
        changed = np.unpackbits(self._changed, count=self.rows, bitorder="little")
        return self._decoded(cut.start + np.flatnonzero(changed[cut]))

    def unmark_change(self) -> None:
        """The row before the oldest has become known, and has the same prices."""
        self._changed[0] &= 0xFE

    def _cut(self, start_row: int, stop_row: int) -> slice:
        return slice(max(start_row - self.first_row, 0), max(min(stop_row - self.first_row, self.rows), 0))

    def _decoded(self, rows: slice | Ints) -> Columns:
        table, codecs = self._table[rows], self._codecs
        recv_ns = self._times(rows)
        event = decoded_ints(table["ts_event_ns"], codecs[0])
        floats = (decoded_floats(table[name], codec) for name, codec in zip(_NAMES[2:], codecs[2:], strict=True))
        sequence = decoded_ints(table["sequence"], codecs[1])
        return read_only((recv_ns, recv_ns - event if self._event_is_relative else event, sequence, *floats))

    def _times(self, rows: slice | Ints) -> Ints:
        marks, after = np.frombuffer(self._marks, np.int64), np.asarray(self._recv)[rows]
        if not isinstance(rows, slice):
            return np.asarray(marks[rows // MARK_ROWS] + after)
        first = rows.start // MARK_ROWS
        times: Ints = np.repeat(marks[first : -(-rows.stop // MARK_ROWS)], MARK_ROWS)
        times = times[rows.start - first * MARK_ROWS :][: len(after)]
        times += after
        return times


def _packed_times(recv_ns: Ints) -> tuple["array[int]", memoryview]:
    marks = recv_ns[::MARK_ROWS]
    after: NDArray[Any] = recv_ns - np.repeat(marks, MARK_ROWS)[: len(recv_ns)]
    if int(after.max()) <= _UNSIGNED_32:
        after = after.astype(np.uint32)
    return array("q", marks.tobytes()), after.data
