"""What a window hands out: rows by column."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bot.market.packing import Floats, Ints

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
ROW_FORMAT = "@qqqdddd"
"""Native, which is packed faster than any other byte order, and has no gaps: every value takes eight bytes."""
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

    def row(self, number: int) -> RowValues:
        """One row as plain values."""
        recv_ns, event_ns, sequence, bid_price, bid_qty, ask_price, ask_qty = self
        return (
            int(recv_ns[number]),
            int(event_ns[number]),
            int(sequence[number]),
            float(bid_price[number]),
            float(bid_qty[number]),
            float(ask_price[number]),
            float(ask_qty[number]),
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
