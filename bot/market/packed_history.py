"""Rows by receive time, the newest as they came and older ones packed, over the newest hours."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bot.market.packing import Grid, Ints, decoded_floats, decoded_ints, dtype_of, pack_floats, pack_ints

SEAL_ROWS = 1_024
"""Rows packed in one step: half a millisecond."""
INT64 = range(-(2**63), 2**63)


class PackedColumn(Protocol):
    """One column of sealed rows."""

    @property
    def nbytes(self) -> int:
        """Bytes held."""

    def values(self, start: int, stop: int) -> Any:
        """The values of these rows."""


Packer = Callable[[Sequence[Any]], PackedColumn]


class PackedInts:
    """Integers of 64 bits."""

    __slots__ = ("_codec", "_stored")

    def __init__(self, values: Sequence[int]) -> None:
        self._codec, stored = pack_ints(np.array(values, np.int64))
        self._stored = stored.astype(dtype_of(self._codec))

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return int(self._stored.nbytes)

    def values(self, start: int, stop: int) -> Ints:
        """The values of these rows."""
        return decoded_ints(self._stored[start:stop], self._codec)


class PackedFloats:
    """Floats, in steps of a grid where all of them are on it."""

    __slots__ = ("_codec", "_stored")

    def __init__(self, values: Sequence[float], grid: Grid | None) -> None:
        self._codec, stored = pack_floats(np.array(values, np.float64), grid)
        self._stored = stored.astype(dtype_of(self._codec))

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return int(self._stored.nbytes)

    def values(self, start: int, stop: int) -> NDArray[np.float64]:
        """The values of these rows."""
        return decoded_floats(self._stored[start:stop], self._codec)


class _Sealed:
    __slots__ = ("columns", "rows", "times")

    def __init__(self, rows: Sequence[tuple[Any, ...]], packers: Sequence[Packer]) -> None:
        times, *columns = zip(*rows, strict=True)
        self.rows = len(rows)
        self.times = array("q", times)
        self.columns = [pack(values) for pack, values in zip(packers, columns, strict=True)]

    @property
    def nbytes(self) -> int:
        return len(self.times) * self.times.itemsize + sum(column.nbytes for column in self.columns)


class PackedHistory:
    """Rows `(receive time, …)` of the newest `hold_h` hours; a time that goes back becomes its predecessor's."""

    __slots__ = ("_hold_ns", "_last_ns", "_new", "_packers", "_sealed", "clock_steps", "last_recv_ns")

    def __init__(self, hold_h: float, packers: Sequence[Packer]) -> None:
        """`packers` of every column behind the time; integers must fit 64 bits before they come here."""
        self._hold_ns = round(hold_h * 3_600e9)
        self._packers = packers
        self._new: list[tuple[Any, ...]] = []
        self._sealed: list[_Sealed] = []
        self._last_ns = array("q")
        self.clock_steps = 0
        """Rows whose own receive time was before their predecessor's."""
        self.last_recv_ns = 0
        """Receive time of the newest row; 0 before the first."""

    def append(self, ts_recv_ns: int, *values: Any) -> None:
        """Keep a row.

        Raises:
            OverflowError: If the time does not fit 64 bits; nothing was kept.
        """
        if ts_recv_ns < self.last_recv_ns:
            self.clock_steps += 1
            ts_recv_ns = self.last_recv_ns
        elif ts_recv_ns not in INT64:
            raise OverflowError(f"a time that does not fit 64 bits: {ts_recv_ns}")
        self.last_recv_ns = ts_recv_ns
        self._new.append((ts_recv_ns, *values))
        if len(self._new) >= SEAL_ROWS:
            self._seal()

    def _seal(self) -> None:
        self._sealed.append(_Sealed(self._new, self._packers))
        self._last_ns.append(self.last_recv_ns)
        self._new = []
        outdated = bisect_left(self._last_ns, self.last_recv_ns - self._hold_ns)
        del self._sealed[:outdated], self._last_ns[:outdated]

    @property
    def nbytes(self) -> int:
        """Bytes of the packed rows; those not packed yet, at most `SEAL_ROWS`, are left out."""
        return sum(part.nbytes for part in self._sealed)

    def __len__(self) -> int:
        """Rows of the last `hold_h` hours."""
        return sum(len(part[0]) for part in self.between(0, self.last_recv_ns + 1))

    def between(self, start_ns: int, stop_ns: int) -> list[list[Any]]:
        """Columns of the rows received from `start_ns` to before `stop_ns`, in parts, oldest first; no empty ones."""
        start_ns = max(start_ns, self.last_recv_ns - self._hold_ns)
        parts = []
        for part in self._sealed[bisect_left(self._last_ns, start_ns) :]:
            low, high = bisect_left(part.times, start_ns), bisect_left(part.times, stop_ns)
            if low >= high:
                break
            parts.append([np.array(part.times[low:high], np.int64), *(one.values(low, high) for one in part.columns)])
        low, high = (bisect_left(self._new, ts_ns, key=itemgetter(0)) for ts_ns in (start_ns, stop_ns))
        if low < high:
            times, *columns = zip(*self._new[low:high], strict=True)
            parts.append([np.array(times, np.int64), *columns])
        return parts

    def as_of(self, ts_ns: int) -> list[Any] | None:
        """The newest row received at `ts_ns` or before; None where none is held."""
        at = bisect_left(self._new, ts_ns + 1, key=itemgetter(0))
        if at:
            row: list[Any] | None = list(self._new[at - 1])
        else:
            row = self._sealed_before(ts_ns + 1)
        return None if row is None or row[0] < self.last_recv_ns - self._hold_ns else row

    def _sealed_before(self, ts_ns: int) -> list[Any] | None:
        # The part after the last one that ended before it may begin before it.
        at = bisect_left(self._last_ns, ts_ns)
        low = bisect_left(self._sealed[at].times, ts_ns) if at < len(self._sealed) else 0
        if not low:
            at -= 1
            low = self._sealed[at].rows if at >= 0 else 0
        if not low:
            return None
        part = self._sealed[at]
        return [part.times[low - 1], *(one.values(low - 1, low)[0] for one in part.columns)]
