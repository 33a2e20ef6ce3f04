"""What is to happen at a time of the market."""

import heapq
import itertools
from collections.abc import Callable

Action = Callable[[int], None]
"""Told the time that it was due, UTC ns of the market."""


class Agenda:
    """Runs each action once, in the order of their times; of one time in the order in which they were noted."""

    def __init__(self) -> None:
        self._due: list[tuple[int, int, Action]] = []
        self._numbers = itertools.count()

    def at(self, due_ns: int, action: Action) -> Callable[[], None]:
        """Note an action; call what is returned to drop it, which does nothing once it has run."""
        number = next(self._numbers)
        heapq.heappush(self._due, (due_ns, number, action))
        return lambda: self._drop(number)

    def next_event_ns(self) -> int | None:
        """When the next one is due; None where there is none."""
        return self._due[0][0] if self._due else None

    def advance_to(self, ts_ns: int) -> None:
        """Run what is due up to `ts_ns`."""
        while self._due and self._due[0][0] <= ts_ns:
            due_ns, _, action = heapq.heappop(self._due)
            action(due_ns)

    def _drop(self, number: int) -> None:
        self._due = [one for one in self._due if one[1] != number]
        heapq.heapify(self._due)
