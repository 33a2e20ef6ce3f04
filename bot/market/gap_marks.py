"""Spans in which a history may miss something, beside it in memory: what is missing is no quiet market."""

from collections.abc import Callable
from typing import NamedTuple


class KnownGap(NamedTuple):
    """Rows may be missing that were received from `start_ns` to before `stop_ns`, UTC."""

    start_ns: int
    stop_ns: int
    reason: str


FirstSince = Callable[[int], int | None]
"""When the first row came that was received at a time or later; None where none has."""
FOR_EVER_NS = 2**63 - 1
"""The end of a gap that has none yet."""


class GapMarks:
    """The gaps of one history over the newest hours; one that was begun lasts until the history's next row.

    Nothing has to be told of the rows themselves: where a gap ended is looked up when somebody asks.
    """

    __slots__ = ("_begun", "_hold_ns", "_known")

    def __init__(self, hold_ns: int) -> None:
        """Without any; what ended `hold_ns` before the beginning of a new one is forgotten."""
        self._hold_ns = hold_ns
        self._known: list[KnownGap] = []
        self._begun: list[tuple[int, str]] = []

    def add(self, gap: KnownGap) -> None:
        """A gap that is known from its beginning to its end."""
        if gap.start_ns < gap.stop_ns:
            self._known.append(gap)

    def begin(self, start_ns: int, reason: str, first_since: FirstSince) -> None:
        """From `start_ns` on rows may be missing; where a gap lasts already it just goes on."""
        self._settle(first_since)
        if not self._begun:
            self._begun.append((start_ns, reason))
        self._known = [gap for gap in self._known if gap.stop_ns > start_ns - self._hold_ns]

    def end(self, stop_ns: int, first_since: FirstSince) -> None:
        """Whatever comes from `stop_ns` on is whole; nothing happens where no gap lasts."""
        self._settle(first_since)
        for start_ns, reason in self._begun:
            self.add(KnownGap(start_ns, stop_ns, reason))
        self._begun.clear()

    def between(self, start_ns: int, stop_ns: int, first_since: FirstSince) -> list[KnownGap]:
        """The gaps that overlap the span, by start; one that lasts ends `FOR_EVER_NS`."""
        self._settle(first_since)
        lasting = [KnownGap(since_ns, FOR_EVER_NS, reason) for since_ns, reason in self._begun]
        return sorted(gap for gap in (*self._known, *lasting) if gap.start_ns < stop_ns and gap.stop_ns > start_ns)

    def _settle(self, first_since: FirstSince) -> None:
        for start_ns, reason in self._begun:
            ended_ns = first_since(start_ns)
            if ended_ns is not None:
                self.add(KnownGap(start_ns, ended_ns, reason))
                self._begun.clear()
