"""Totals over the last so many buckets of time, kept up without subtracting and without looking at them again."""

from itertools import accumulate
from math import inf
from typing import NamedTuple


class Totals(NamedTuple):
    """What is known about a stretch of time."""

    covered_ns: int = 0
    """Time for which there was a price."""
    mid_ns: float = 0.0
    """∫ mid dt."""
    spread_ns: float = 0.0
    """∫ spread in bps dt."""
    high_bid: float = -inf
    low_ask: float = inf
    squares: float = 0.0
    """Σ of squared log returns from one bucket's close to the next one's."""
    returns: int = 0
    quotes: int = 0
    price_changes: int = 0

    def merged(self, other: "Totals") -> "Totals":
        """Of both stretches together."""
        covered, mid, spread, high, low, squares, returns, quotes, changes = self
        covered_b, mid_b, spread_b, high_b, low_b, squares_b, returns_b, quotes_b, changes_b = other
        return Totals(
            covered + covered_b,
            mid + mid_b,
            spread + spread_b,
            high if high > high_b else high_b,
            low if low < low_b else low_b,
            squares + squares_b,
            returns + returns_b,
            quotes + quotes_b,
            changes + changes_b,
        )


NOTHING = Totals()


class RollingTotals:
    """Totals of the last `size` buckets: a queue of two stacks.

    The older stack holds, for each of its buckets, the total from there up to its youngest; the newer one its buckets
    and their total. Dropping the oldest bucket is a pop, so sums that run for days cannot drift, and highs and lows
    need no search. Once in `size` buckets the newer stack becomes the older one (a third of a millisecond for 360).
    """

    __slots__ = ("_newer", "_newer_total", "_older", "_size", "total")

    def __init__(self, size: int) -> None:
        self._size = size
        self._older: list[Totals] = []
        self._newer: list[Totals] = []
        self._newer_total = NOTHING
        self.total = NOTHING
        """Of all buckets held."""

    def push(self, bucket: Totals) -> None:
        """Add the newest bucket; the oldest goes when there are more than `size`."""
        self._newer.append(bucket)
        self._newer_total = self._newer_total.merged(bucket)
        if len(self._older) + len(self._newer) > self._size:
            self._drop_oldest()
        self.total = self._older[-1].merged(self._newer_total) if self._older else self._newer_total

    def _drop_oldest(self) -> None:
        if not self._older:
            self._older = list(accumulate(reversed(self._newer), Totals.merged))
            self._newer = []
            self._newer_total = NOTHING
        self._older.pop()
