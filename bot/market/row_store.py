"""Where a window's rows stand: sealed segments, then a hot buffer; how they get from one to the other without a pause.

Rows are numbered from the first one ever appended; rows from before it, which are loaded, have numbers below 0.
Segments hold the rows up to `_sealed` without a hole, the hot buffer those from its `first_row` on; the two may
overlap, so rows can be sealed at any time and leave the buffer later. When the buffer is nearly full, a next one is
filled with what is not sealed, a few thousand rows a step, while rows still go to the old one; it takes over once it
has caught up. The old one's memory is kept for the one after it: new memory would cost a tenth of an append. No step
does more than bounded work: copying the last six minutes of a busy instrument at once would stop everything for several
milliseconds.
"""

from array import array
from bisect import bisect_left, bisect_right
from mmap import mmap

import numpy as np

from bot.market.columns import EMPTY, Columns, RowValues
from bot.market.hot_buffer import ROW_BYTES, HotBuffer, is_free, release_some, unpack_row
from bot.market.packing import Bits, Floats
from bot.market.segment import Grids, Segment

FIRST_ROWS = 4_096
"""Capacity at the start."""
STEP_ROWS = 1_024
"""Housekeeping is done once in so many rows."""
SEGMENT_ROWS = 8_192
"""Most rows sealed in one step: half a millisecond."""
INDEX_SLACK = 4_096
"""Entries of the price-change index that may be outdated before they are dropped."""
COPY_ROWS = 8_192
"""Rows copied to the next buffer in one step: eight steps' worth, so that it catches up."""
EVICT_SEGMENTS = 2
"""Segments dropped in one step: freeing a whole day at once takes tens of milliseconds."""


class RowStore:
    """Rows by number and by receive time; the owner packs new rows into `hot.memory` and says how many there are."""

    __slots__ = (
        "_copied",
        "_first_rows",
        "_grids",
        "_hold_ns",
        "_last_ns",
        "_retired",
        "_rolling_ns",
        "_sealed",
        "_spare",
        "_successor",
        "changes",
        "has_evicted",
        "hot",
        "segments",
    )

    def __init__(self, hold_ns: int, rolling_ns: int, grids: Grids) -> None:
        self._grids = grids
        self._hold_ns = hold_ns
        self._rolling_ns = rolling_ns
        self.hot = HotBuffer(0, FIRST_ROWS)
        self.segments: list[Segment] = []
        # Of each segment, in one piece: asking thousands of segments for it would find most of them out of the cache.
        self._last_ns = array("q")
        self._first_rows = array("q")
        self._sealed = 0
        self._successor: HotBuffer | None = None
        self._copied = 0
        self._spare: mmap | None = None
        self._retired: mmap | None = None
        self.has_evicted = False
        self.changes = array("q")
        """Numbers of the rows whose bid or ask price differs from the row before, at least of all in the hot buffer;
        the owner adds to it. Segments know theirs."""

    @property
    def oldest_row(self) -> int:
        """The number of the oldest row held."""
        return self._first_rows[0] if self._first_rows else self.hot.first_row

    @property
    def oldest_recv_ns(self) -> int:
        """Receive time of the oldest row held, which there must be."""
        return self.segments[0].first_recv_ns if self.segments else int(self.hot.recv_ns[0])

    @property
    def nbytes(self) -> int:
        """Bytes of all rows held and their price-change index; buffers count at their full capacity."""
        spare_rows = 0 if self._spare is None else len(self._spare) // ROW_BYTES
        hot_rows = self.hot.capacity + spare_rows + (self._successor.capacity if self._successor else 0)
        index = self.changes.buffer_info()[1] * self.changes.itemsize
        return hot_rows * ROW_BYTES + index + sum(segment.nbytes for segment in self.segments)

    def make_room(self, appended: int, newest_ns: int) -> int:
        """Do one step of housekeeping with `appended` rows ever written.

        Returns:
            The row number at which the next step is due; the hot buffer, which may be another one now, has room
            up to there.
        """
        self._evict(newest_ns - self._hold_ns)
        outdated = bisect_left(self.changes, self.hot.first_row)
        if outdated >= INDEX_SLACK:
            del self.changes[:outdated]
        if self._retired is not None and not release_some(self._retired):
            self._retired = None
        free = self.hot.first_row + self.hot.capacity - appended
        # The rows to copy number eight times a step's at first, then seven times for each step that goes by: a quarter
        # of them is more than enough room, and the buffer is never full before the next one takes over.
        moving = self._successor is not None or free <= max(2 * STEP_ROWS, (appended - self._sealed) // 4)
        self._seal(
            appended, newest_ns - self._rolling_ns, at_least=1 if moving and self._successor is None else SEGMENT_ROWS
        )
        if moving:
            self._move(appended)
        limit = appended + STEP_ROWS
        assert limit <= self.hot.first_row + self.hot.capacity
        self.hot.touch(appended, limit)
        return limit

    def _evict(self, before_ns: int) -> None:
        old = 0
        while old < min(EVICT_SEGMENTS, len(self.segments)) and self.segments[old].last_recv_ns < before_ns:
            old += 1
        if old:
            self.has_evicted = True
            del self.segments[:old], self._last_ns[:old], self._first_rows[:old]

    def _seal(self, appended: int, before_ns: int, *, at_least: int) -> None:
        hot = self.hot
        settled = hot.first_at(before_ns, appended - hot.first_row)
        if settled - self._sealed < at_least:
            return
        stop_row = min(settled, self._sealed + SEGMENT_ROWS)
        changed = self._changed(self._sealed, stop_row)
        segment = Segment(self._sealed, hot.view(self._sealed, stop_row), changed, self._grids)
        self.segments.append(segment)
        self._last_ns.append(segment.last_recv_ns)
        self._first_rows.append(segment.first_row)
        self._sealed = stop_row

    def is_packed(self, appended: int) -> bool:
        """Whether every row that was ever written stands in a segment."""
        return appended == self.hot.first_row == self._sealed and self._successor is None

    def append_segment(self, columns: Columns, changed: Bits) -> None:
        """Seal rows that never stood in the hot buffer; everything before them is packed."""
        hot = self.hot
        segment = Segment(hot.first_row, columns, changed, self._grids)
        self.segments.append(segment)
        self._last_ns.append(segment.last_recv_ns)
        self._first_rows.append(segment.first_row)
        hot.first_row += columns.rows
        self._sealed = hot.first_row
        self._evict(segment.last_recv_ns - self._hold_ns)

    def _changed(self, start_row: int, stop_row: int) -> Bits:
        changed = np.zeros(stop_row - start_row, np.bool_)
        low, high = (bisect_left(self.changes, row) for row in (start_row, stop_row))
        changed[np.array(self.changes[low:high], np.int64) - start_row] = True
        return changed

    def _move(self, appended: int) -> None:
        if self._successor is None:
            self._copied = self._sealed
            self._successor = self._next_buffer(_capacity(appended - self._sealed))
        stop_row = min(appended, self._copied + COPY_ROWS)
        self._successor.copy_from(self.hot, self._copied, stop_row)
        self._copied = stop_row
        if stop_row == appended:
            self._spare = self.hot.pages
            self.hot = self._successor
            self._successor = None

    def _next_buffer(self, capacity: int) -> HotBuffer:
        """Memory of the one before is used again where it has three quarters of the room, and not more than twice."""
        spare, self._spare = self._spare, None
        if spare is None:
            return HotBuffer(self._sealed, capacity)
        rows = len(spare) // ROW_BYTES
        if 3 * capacity <= 4 * rows <= 8 * capacity and is_free(spare):
            return HotBuffer(self._sealed, capacity, spare)
        self._retired = spare
        return HotBuffer(self._sealed, capacity)

    def load(self, columns: Columns, changed: Bits, young: int, appended: int) -> None:
        """Put rows before the oldest one, nothing having been evicted.

        Args:
            columns: In order of receipt.
            changed: Which of them, and whether the row behind them, has another bid or ask price than the one before.
            young: How many of the newest belong to the rows that always stand in one piece.
            appended: Rows ever written.
        """
        if not changed[-1]:
            self._unmark_oldest()
        old = columns.rows - young
        if young:
            self._load_hot(columns.slice(old, columns.rows), changed[old:-1], appended)
        stop_row = self.oldest_row
        segments = []
        for stop in range(old, 0, -SEGMENT_ROWS):
            start = max(stop - SEGMENT_ROWS, 0)
            stop_row -= stop - start
            segments.append(Segment(stop_row, columns.slice(start, stop), changed[start:stop], self._grids))
        segments.reverse()
        self.segments[:0] = segments
        self._last_ns[:0] = array("q", [segment.last_recv_ns for segment in segments])
        self._first_rows[:0] = array("q", [segment.first_row for segment in segments])

    def _unmark_oldest(self) -> None:
        """It may stand in a segment and in the hot buffer."""
        at = bisect_left(self.changes, self.oldest_row)
        if at < len(self.changes) and self.changes[at] == self.oldest_row:
            del self.changes[at]
        if self.segments:
            self.segments[0].unmark_change()

    def _load_hot(self, columns: Columns, changed: Bits, appended: int) -> None:
        # So young are rows only before anything was sealed.
        hot = self.hot
        first_row = hot.first_row - columns.rows
        self.hot = HotBuffer(first_row, _capacity(appended - first_row))
        self.hot.fill(columns)
        self.hot.copy_from(hot, hot.first_row, appended)
        self._sealed, self._successor = first_row, None
        self.changes[:0] = array("q", (first_row + np.flatnonzero(changed)).tolist())

    def row_at(self, ts_ns: int, appended: int) -> int:
        """The number of the first row received at `ts_ns` or later; `appended` where there is none."""
        hot = self.hot
        if self.segments and ts_ns <= hot.recv_ns[0]:
            at = bisect_left(self._last_ns, ts_ns)
            if at < len(self.segments):
                return self.segments[at].first_at(ts_ns)
        return hot.first_at(ts_ns, appended - hot.first_row)

    def row_before(self, ts_ns: int, appended: int) -> RowValues | None:
        """The newest row received before `ts_ns`; None where none is held. Looks each thing up once, calling little."""
        hot = self.hot
        recv_ns = hot.recv_ns
        if self.segments and ts_ns <= recv_ns[0]:
            at = bisect_left(self._last_ns, ts_ns)
            if at < len(self.segments):
                segment = self.segments[at]
                number = segment.first_at(ts_ns)
                if number > segment.first_row:
                    return segment.row(number - 1)
                return self.segments[at - 1].row(number - 1) if at else None
        at = bisect_left(recv_ns, ts_ns, 0, appended - hot.first_row) - 1
        if at >= 0:
            return unpack_row(hot.memory, at * ROW_BYTES)
        number = hot.first_row - 1
        return self.row(number) if number >= self.oldest_row else None

    def row(self, number: int) -> RowValues:
        """One row that is held."""
        if number >= self.hot.first_row:
            return self.hot.row(number)
        return self.segments[self._segment_of(number)].row(number)

    def parts(self, start_row: int, stop_row: int) -> list[Columns]:
        """What the rows stand in, oldest first."""
        cold_stop, hot = self._parted(start_row, stop_row)
        parts = [one.columns(start_row, cold_stop) for one in self._cold(start_row, cold_stop)]
        return [*parts, self.hot.view(*hot)] if hot else parts

    def prices(self, start_row: int, stop_row: int) -> list[tuple[Floats, Floats]]:
        """Bid and ask prices of the rows, by part."""
        cold_stop, hot = self._parted(start_row, stop_row)
        parts = [one.prices(start_row, cold_stop) for one in self._cold(start_row, cold_stop)]
        rows = self.hot.view(*hot) if hot else EMPTY
        return [*parts, (rows.bid_price, rows.ask_price)]

    def price_changes(self, start_row: int, stop_row: int) -> list[Columns]:
        """Those of the rows that have another bid or ask price than the one before, by part; copies."""
        cold_stop, hot = self._parted(start_row, stop_row)
        parts = [one.changes(start_row, cold_stop) for one in self._cold(start_row, cold_stop)]
        return [*parts, self.hot.view(*hot).take(np.flatnonzero(self._changed(*hot)))] if hot else parts

    def _parted(self, start_row: int, stop_row: int) -> tuple[int, tuple[int, int] | None]:
        """Where the rows end that only segments hold, and those that the hot buffer holds."""
        hot_row = self.hot.first_row
        return min(stop_row, hot_row), (max(start_row, hot_row), stop_row) if stop_row > max(
            start_row, hot_row
        ) else None

    def _cold(self, start_row: int, stop_row: int) -> list[Segment]:
        if start_row >= stop_row:
            return []
        return self.segments[self._segment_of(start_row) : self._segment_of(stop_row - 1) + 1]

    def _segment_of(self, number: int) -> int:
        return bisect_right(self._first_rows, number) - 1


def _capacity(rows: int) -> int:
    """Of a buffer that begins with so many."""
    return max(FIRST_ROWS, 3 * rows + 4 * STEP_ROWS)
