"""Rows by receive time, the newest as they came and older ones packed, over the newest hours."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bot.market.gap_marks import GapMarks, KnownGap
from bot.market.packing import Grid, Ints, decoded_floats, decoded_ints, dtype_of, pack_floats, pack_ints

SEAL_ROWS = 1_024
"""Rows packed in one step: half a millisecond."""
LOADED_ROWS = 16_384
"""Rows of a part that is loaded: it is packed on a thread that nobody waits for."""
INT64 = range(-(2**63), 2**63)


class PackedColumn(Protocol):
    """One column of sealed rows."""

    @property
    def nbytes(self) -> int:
        """Bytes held."""

    def values(self, start: int, stop: int) -> Any:
        """The values of these rows."""


Values: TypeAlias = Sequence[Any] | NDArray[Any]
Packer = Callable[[Values], PackedColumn]


class PackedInts:
    """Integers of 64 bits."""

    __slots__ = ("_codec", "_stored")

    def __init__(self, values: Values) -> None:
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

    def __init__(self, values: Values, grid: Grid | None) -> None:
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

    def __init__(self, times: "array[int]", columns: Sequence[Values], packers: Sequence[Packer]) -> None:
        self.rows = len(times)
        self.times = times
        self.columns = [pack(values) for pack, values in zip(packers, columns, strict=True)]

    @property
    def nbytes(self) -> int:
        return len(self.times) * self.times.itemsize + sum(column.nbytes for column in self.columns)


class PackedHistory:
    """Rows `(receive time, …)` of the newest `hold_h` hours; a time that goes back becomes its predecessor's."""

    __slots__ = (
        "_has_evicted",
        "_hold_ns",
        "_last_ns",
        "_new",
        "_packers",
        "_sealed",
        "clock_steps",
        "gap_marks",
        "last_recv_ns",
    )

    def __init__(self, hold_h: float, packers: Sequence[Packer]) -> None:
        """`packers` of every column behind the time; integers must fit 64 bits before they come here."""
        self._hold_ns = round(hold_h * 3_600e9)
        self._packers = packers
        self._new: list[tuple[Any, ...]] = []
        self._sealed: list[_Sealed] = []
        self._last_ns = array("q")
        self._has_evicted = False
        self.gap_marks = GapMarks(self._hold_ns)
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
        times, *columns = zip(*self._new, strict=True)
        self._sealed.append(_Sealed(array("q", times), columns, self._packers))
        self._last_ns.append(self.last_recv_ns)
        self._new = []
        outdated = bisect_left(self._last_ns, self.last_recv_ns - self._hold_ns)
        if outdated:
            self._has_evicted = True
            del self._sealed[:outdated], self._last_ns[:outdated]

    def load(self, recv_ns: Ints, columns: Sequence[Values]) -> None:
        """Take rows from before every row that is held, newest part first where they come in parts.

        What is older than `hold_h` is left out. The newest of a history without rows is its newest from then on.

        Args:
            recv_ns: Receive times, in order.
            columns: All others, as `append` takes their values.

        Raises:
            ValueError: If receive times go back, or do not end before the oldest row; nothing was taken.
        """
        if not len(recv_ns) or self._has_evicted:  # what is older than rows that were dropped is too old as well
            return
        if (recv_ns[1:] < recv_ns[:-1]).any():
            raise ValueError("rows to load must be in order of receipt")
        newest_ns = int(recv_ns[-1])
        if self.last_recv_ns and newest_ns >= self._oldest_ns():
            raise ValueError("rows to load must be older than every row that is held")
        self.last_recv_ns = self.last_recv_ns or newest_ns
        first = int(np.searchsorted(recv_ns, self.last_recv_ns - self._hold_ns))
        parts = [
            _Sealed(
                array("q", recv_ns[start : start + LOADED_ROWS].tobytes()),
                [column[start : start + LOADED_ROWS] for column in columns],
                self._packers,
            )
            for start in range(first, len(recv_ns), LOADED_ROWS)
        ]
        self._sealed[:0] = parts
        self._last_ns[:0] = array("q", [part.times[-1] for part in parts])

    def _oldest_ns(self) -> int:
        oldest_ns = self._sealed[0].times[0] if self._sealed else self._new[0][0]
        return int(oldest_ns)

    def begin_gap(self, start_ns: int, reason: str) -> None:
        """From `start_ns` to the next row some may be missing."""
        self.gap_marks.begin(start_ns, reason, self._first_since)

    def end_gap(self, stop_ns: int) -> None:
        """A gap that lasts ends here, though no row has come."""
        self.gap_marks.end(stop_ns, self._first_since)

    def gaps(self, start_ns: int, stop_ns: int) -> list[KnownGap]:
        """Where rows may be missing within a span, by start."""
        return self.gap_marks.between(start_ns, stop_ns, self._first_since)

    def _first_since(self, ts_ns: int) -> int | None:
        at = bisect_left(self._last_ns, ts_ns)
        if at < len(self._sealed):
            times = self._sealed[at].times
            return times[bisect_left(times, ts_ns)]
        at = bisect_left(self._new, ts_ns, key=itemgetter(0))
        return None if at == len(self._new) else int(self._new[at][0])

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
