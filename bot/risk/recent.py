"""Counts over the last minute and second, in monotonic time: a wall clock that is set changes nothing."""

from bisect import bisect_right
from collections import deque

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS


class Recent:
    """When something happened, for as long as it counts."""

    __slots__ = ("_times",)

    def __init__(self) -> None:
        self._times: deque[int] = deque()

    def add(self, at_ns: int) -> None:
        """It happened at this time, which is not before the last one."""
        self._times.append(at_ns)

    def last_minute(self, now_ns: int) -> int:
        """How often in the last 60 s."""
        while self._times and self._times[0] <= now_ns - MINUTE_NS:
            self._times.popleft()
        return len(self._times)

    def last_second(self, now_ns: int) -> int:
        """How often in the last second."""
        count = self.last_minute(now_ns)
        return count - bisect_right(self._times, now_ns - SECOND_NS) if count else 0
