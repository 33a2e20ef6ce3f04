"""The newest rows of a window in one piece of memory, so that a view of them is a slice."""

import mmap
import sys
from bisect import bisect_left
from collections.abc import Callable
from struct import Struct

import numpy as np

from bot.market.columns import ROW, ROW_FORMAT, Columns, RowValues

ROW_BYTES = ROW.itemsize
RELEASE_BYTES = 2 << 20
_NO_HUGE_PAGES = getattr(mmap, "MADV_NOHUGEPAGE", None)
"""Linux only."""
_POPULATE_WRITE = 23
"""Linux from 5.14 on: `madvise` has pages ready at a quarter of what their faults cost. Python has no name for it."""
unpack_row: Callable[[memoryview, int], RowValues] = Struct(ROW_FORMAT).unpack_from


class HotBuffer:
    """Memory for `capacity` rows, of which row number `first_row` is the first.

    The owner packs rows into `memory` and knows how many there are. A written row is never changed, and a full
    buffer is left behind rather than reused: views that were handed out stay true.
    """

    __slots__ = ("_is_ready", "capacity", "columns", "first_row", "memory", "pages", "recv_ns")

    def __init__(self, first_row: int, capacity: int, used: mmap.mmap | None = None) -> None:
        """`used` is the memory of a buffer that nobody looks at any more (`is_free`), large enough for the capacity."""
        self.first_row = first_row
        self.capacity = capacity if used is None else len(used) // ROW_BYTES
        self._is_ready = used is not None
        self.pages = _new_pages(capacity * ROW_BYTES) if used is None else used
        self.memory = memoryview(self.pages)
        rows = np.frombuffer(self.memory.toreadonly(), ROW)
        self.columns = Columns(*(rows[name] for name in Columns._fields))
        # Indexing a memoryview gives an int and takes a third of numpy's time; searchsorted would copy the column.
        self.recv_ns = self.memory.cast("q")[:: ROW_BYTES // 8]

    def first_at(self, ts_ns: int, filled: int) -> int:
        """The number of the first of `filled` rows received at `ts_ns` or later."""
        return self.first_row + bisect_left(self.recv_ns, ts_ns, 0, filled)

    def row(self, number: int) -> RowValues:
        """One row, in the order of the columns."""
        return unpack_row(self.memory, (number - self.first_row) * ROW_BYTES)

    def view(self, start_row: int, stop_row: int) -> Columns:
        """Rows `start_row` to `stop_row` without copying; both must be written rows of this buffer."""
        return self.columns.slice(start_row - self.first_row, stop_row - self.first_row)

    def touch(self, start_row: int, stop_row: int) -> None:
        """Have the pages of rows not yet written ready: a page fault costs more than ten appends do."""
        if self._is_ready:
            return
        start, stop = (start_row - self.first_row) * ROW_BYTES, (stop_row - self.first_row) * ROW_BYTES
        if _CAN_POPULATE:
            start -= start % mmap.PAGESIZE
            self.pages.madvise(_POPULATE_WRITE, start, stop - start)
            return
        for at in (*range(start, stop, mmap.PAGESIZE), stop - 1):
            self.memory[at] = 0

    def fill(self, columns: Columns) -> None:
        """Write the first rows."""
        self.put(0, columns)

    def put(self, start: int, columns: Columns) -> None:
        """Write rows from place `start` of the buffer on."""
        rows = np.frombuffer(self.memory, ROW, columns.rows, start * ROW_BYTES)
        for name, column in columns._asdict().items():
            rows[name] = column

    def copy_from(self, other: "HotBuffer", start_row: int, stop_row: int) -> None:
        """Take over rows of an older buffer under the same numbers."""
        source = slice((start_row - other.first_row) * ROW_BYTES, (stop_row - other.first_row) * ROW_BYTES)
        target = slice((start_row - self.first_row) * ROW_BYTES, (stop_row - self.first_row) * ROW_BYTES)
        if source.start < source.stop:
            self.touch(start_row, stop_row)
        self.memory[target] = other.memory[source]


def _new_pages(size_bytes: int) -> mmap.mmap:
    # Anonymous memory costs nothing until it is written: no bytes for a quiet instrument. numpy.empty would ask for
    # huge pages, and finding one has been measured to take 5 ms.
    pages = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if _NO_HUGE_PAGES is not None:
        pages.madvise(_NO_HUGE_PAGES)
    return pages


def is_free(pages: mmap.mmap) -> bool:
    """Whether nobody has a view of the memory of a buffer that was left behind."""
    try:
        pages.resize(len(pages))  # refused as long as there is one
    except (BufferError, SystemError):
        return False
    return True


def release_some(pages: mmap.mmap) -> bool:
    """Give a part of a buffer that is no longer used back to the system; true while there is more to give.

    Freeing tens of megabytes at once takes milliseconds. Where somebody still holds a view, nothing happens: the
    memory goes with the last view. The same where the system cannot shrink a mapping (macOS).
    """
    rest = len(pages) - RELEASE_BYTES
    if rest <= 0:
        return False
    try:
        pages.resize(rest)
    except (BufferError, SystemError):
        return False
    return True


def _can_populate() -> bool:
    if not sys.platform.startswith("linux"):
        return False  # the number means something else there
    try:
        mmap.mmap(-1, mmap.PAGESIZE).madvise(_POPULATE_WRITE)
    except OSError:
        return False
    return True


_CAN_POPULATE = _can_populate()
