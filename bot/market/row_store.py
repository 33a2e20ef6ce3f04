"""Where a window's rows stand: sealed segments, then a hot buffer; how they get from one to the other without a pause.

Rows are numbered from the first one ever appended. Segments hold the rows up to `_sealed` without a hole, the hot
buffer those from its `first_row` on; the two may overlap, so rows can be sealed at any time and leave the buffer
later. When the buffer is nearly full, a next one is filled with what is not sealed, a few thousand rows a step,
while rows still go to the old one; it takes over once it has caught up. No step does more than bounded work: copying
the last six minutes of a busy instrument at once would stop everything for several milliseconds.
"""

from array import array
from bisect import bisect_left, bisect_right
from mmap import mmap

from bot.market.columns import Columns, RowValues, Segment
from bot.market.hot_buffer import ROW_BYTES, HotBuffer, release_some

FIRST_ROWS = 4_096
"""Capacity at the start."""
STEP_ROWS = 1_024
"""Housekeeping is done once in so many rows."""
SEGMENT_ROWS = 16_384
"""Most rows sealed in one step: half a millisecond."""
COPY_ROWS = 8_192
"""Rows copied to the next buffer in one step: eight steps' worth, so that it catches up."""
EVICT_SEGMENTS = 2
"""Segments dropped in one step: freeing a whole day at once takes tens of milliseconds."""


class RowStore:
    """Rows by number and by receive time; the owner packs new rows into `hot.memory` and says how many there are."""

    __slots__ = (
        "_copied",
        "_first_rows",
        "_hold_ns",
        "_last_ns",
        "_retired",
        "_rolling_ns",
        "_sealed",
        "_successor",
        "hot",
        "segments",
    )

    def __init__(self, hold_ns: int, rolling_ns: int) -> None:
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
        self._retired: mmap | None = None

    @property
    def oldest_row(self) -> int:
        """The number of the oldest row held."""
        return self._first_rows[0] if self._first_rows else self.hot.first_row

    @property
    def nbytes(self) -> int:
        """Bytes of all rows held; hot buffers count at their full capacity."""
        hot_rows = self.hot.capacity + (self._successor.capacity if self._successor else 0)
        return hot_rows * ROW_BYTES + sum(segment.nbytes for segment in self.segments)

    def make_room(self, appended: int, newest_ns: int) -> int:
        """Do one step of housekeeping with `appended` rows ever written.

        Returns:
            The row number at which the next step is due; the hot buffer, which may be another one now, has room
            up to there.
        """
        self._evict(newest_ns - self._hold_ns)
        if self._retired is not None and not release_some(self._retired):
            self._retired = None
        free = self.hot.first_row + self.hot.capacity - appended
        # The rows to copy number eight times a step's at first, then seven times for each step that goes by: a quarter
        # of them is more than enough room, and the buffer is never full before the next one takes over.
        moving = self._successor is not None or free <= max(2 * STEP_ROWS, (appended - self._sealed) // 4)
        self._seal(appended, newest_ns - self._rolling_ns, at_least=1 if moving else SEGMENT_ROWS)
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
        del self.segments[:old], self._last_ns[:old], self._first_rows[:old]

    def _seal(self, appended: int, before_ns: int, *, at_least: int) -> None:
        hot = self.hot
        settled = hot.first_at(before_ns, appended - hot.first_row)
        if settled - self._sealed < at_least:
            return
        stop_row = min(settled, self._sealed + SEGMENT_ROWS)
        segment = Segment(self._sealed, hot.view(self._sealed, stop_row))
        self.segments.append(segment)
        self._last_ns.append(segment.last_recv_ns)
        self._first_rows.append(segment.first_row)
        self._sealed = stop_row

    def _move(self, appended: int) -> None:
        if self._successor is None:
            self._copied = self._sealed
            capacity = max(FIRST_ROWS, 2 * (appended - self._sealed) + 4 * STEP_ROWS)
            self._successor = HotBuffer(self._sealed, capacity)
        stop_row = min(appended, self._copied + COPY_ROWS)
        self._successor.copy_from(self.hot, self._copied, stop_row)
        self._copied = stop_row
        if stop_row == appended:
            self._retired = self.hot.pages
            self.hot = self._successor
            self._successor = None

    def row_at(self, ts_ns: int, appended: int) -> int:
        """The number of the first row received at `ts_ns` or later; `appended` where there is none."""
        hot = self.hot
        if self.segments and ts_ns <= hot.recv_ns[0]:
            at = bisect_left(self._last_ns, ts_ns)
            if at < len(self.segments):
                return self.segments[at].first_at(ts_ns)
        return hot.first_at(ts_ns, appended - hot.first_row)

    def row_before(self, ts_ns: int, appended: int) -> RowValues | None:
        """The newest row received before `ts_ns`; None where none is held. Looks each thing up once."""
        hot = self.hot
        if self.segments and ts_ns <= hot.recv_ns[0]:
            at = bisect_left(self._last_ns, ts_ns)
            if at < len(self.segments):
                segment = self.segments[at]
                number = segment.first_at(ts_ns)
                if number > segment.first_row:
                    return segment.row(number - 1)
                return self.segments[at - 1].row(number - 1) if at else None
        number = hot.first_at(ts_ns, appended - hot.first_row) - 1
        return self.row(number) if number >= self.oldest_row else None

    def row(self, number: int) -> RowValues:
        """One row that is held."""
        if number >= self.hot.first_row:
            return self.hot.row(number)
        return self.segments[self._segment_of(number)].row(number)

    def parts(self, start_row: int, stop_row: int) -> list[tuple[int, Columns]]:
        """What the rows stand in, oldest first, each with the number of its first row."""
        hot_row = self.hot.first_row
        parts = self._cold_parts(start_row, min(stop_row, hot_row))
        first_row = max(start_row, hot_row)
        if first_row < stop_row:
            parts.append((first_row, self.hot.view(first_row, stop_row)))
        return parts

    def _cold_parts(self, start_row: int, stop_row: int) -> list[tuple[int, Columns]]:
        if start_row >= stop_row:
            return []
        first, last = self._segment_of(start_row), self._segment_of(stop_row - 1)
        return [
            (max(start_row, segment.first_row), segment.columns(start_row, stop_row))
            for segment in self.segments[first : last + 1]
        ]

    def _segment_of(self, number: int) -> int:
        return bisect_right(self._first_rows, number) - 1
