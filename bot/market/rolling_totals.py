"""Totals over the last so many buckets of time, kept up without subtracting and without looking at them again."""

from collections.abc import Sequence
from itertools import accumulate, repeat
from math import inf
from typing import Any, NamedTuple

import numpy as np

from bot.market.packing import Floats, Ints


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

    def as_columns(self) -> "TotalColumns":
        """The same as a column of one row each."""
        return _columns([self])


class TotalColumns(NamedTuple):
    """Many totals, by column: the fields of `Totals`, integers as 64 bits."""

    covered_ns: Ints
    mid_ns: Floats
    spread_ns: Floats
    high_bid: Floats
    low_ask: Floats
    squares: Floats
    returns: Ints
    quotes: Ints
    price_changes: Ints

    def slice(self, start: int, stop: int) -> "TotalColumns":
        """Rows `start` to `stop`."""
        columns: Any = (column[start:stop] for column in self)
        return TotalColumns(*columns)

    def take(self, rows: Ints) -> "TotalColumns":
        """A copy of the rows at these positions."""
        columns: Any = (column[rows] for column in self)
        return TotalColumns(*columns)

    def followed_by(self, *others: "TotalColumns") -> "TotalColumns":
        """These rows and others after them."""
        columns: Any = (np.concatenate(parts) for parts in zip(self, *others, strict=True))
        return TotalColumns(*columns)

    def as_totals(self) -> list[Totals]:
        """Row by row."""
        # What the constructor does, at a third of its time: there are hundreds.
        rows = zip(*(column.tolist() for column in self), strict=True)
        return list(map(tuple.__new__, repeat(Totals), rows))

    def merged(self, other: "TotalColumns") -> "TotalColumns":
        """Row by row what `Totals.merged` makes of them, to the last bit."""
        return TotalColumns(
            self.covered_ns + other.covered_ns,
            self.mid_ns + other.mid_ns,
            self.spread_ns + other.spread_ns,
            np.maximum(self.high_bid, other.high_bid),
            np.minimum(self.low_ask, other.low_ask),
            self.squares + other.squares,
            self.returns + other.returns,
            self.quotes + other.quotes,
            self.price_changes + other.price_changes,
        )

    def accumulated(self, first: Totals) -> "TotalColumns":
        """What `first` becomes as it is merged with one row after another; the first row is `first` itself.

        An accumulation adds one element to the next, as a loop does; a sum would add them in pairs.
        """
        add, most, least = np.add.accumulate, np.maximum.accumulate, np.minimum.accumulate
        ways = (add, add, add, most, least, add, add, add, add)
        columns: Any = (
            way(np.concatenate(([value], column))) for way, value, column in zip(ways, first, self, strict=True)
        )
        return TotalColumns(*columns)


def _columns(rows: Sequence[Totals]) -> TotalColumns:
    columns: Sequence[Any] = [np.array(column) for column in zip(*rows, strict=True)]
    return TotalColumns(*columns)


NOTHING = Totals()


class RollingTotals:
    """Totals of the last `size` buckets: a queue of two stacks.

    The older stack holds, for each of its buckets, the total from there up to its youngest; the newer one its buckets
    and their total. Dropping the oldest bucket is a pop, so sums that run for days cannot drift, and highs and lows
    need no search. Once in `size` buckets the newer stack becomes the older one (a third of a millisecond for 360).
    """

    __slots__ = ("_newer", "_newer_total", "_older", "_older_columns", "_size", "total")

    def __init__(self, size: int) -> None:
        self._size = size
        self._older: list[Totals] = []
        self._older_columns: TotalColumns | None = None
        """The older stack, with what was popped since; made where it is needed."""
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

    def copy(self) -> "RollingTotals":
        """The same totals, which go their own way from now on."""
        made = RollingTotals(self._size)
        made._older, made._newer = self._older.copy(), self._newer.copy()
        made._older_columns, made._newer_total, made.total = self._older_columns, self._newer_total, self.total
        return made

    def extend(self, buckets: TotalColumns) -> TotalColumns:
        """Add buckets one after another; returns the totals before the first of them and after each."""
        found = [self.total.as_columns()]
        done, count = 0, len(buckets.quotes)
        while done < count:
            room = self._size - len(self._older) - len(self._newer)
            step = min(room + len(self._older), count - done)
            if step:
                found.append(self._extend(buckets.slice(done, done + step), room))
            else:  # the newer stack becomes the older one
                step = 1
                self.push(buckets.slice(done, done + 1).as_totals()[0])
                found.append(self.total.as_columns())
            done += step
        first, *others = found
        return first.followed_by(*others)

    def _extend(self, buckets: TotalColumns, room: int) -> TotalColumns:
        """Buckets for which there is room, or that push out some of the older stack."""
        count = len(buckets.quotes)
        newer = buckets.accumulated(self._newer_total).slice(1, count + 1)
        left = len(self._older) - np.maximum(np.arange(1, count + 1) - room, 0)
        self._newer += buckets.as_totals()
        self._newer_total = newer.slice(count - 1, count).as_totals()[0]
        totals = newer
        if self._older:
            if self._older_columns is None:
                self._older_columns = _columns(self._older)
            beside = int(np.count_nonzero(left))  # those that find an older bucket
            older = self._older_columns.take(left[:beside] - 1)
            both = older.merged(newer.slice(0, beside))
            totals = both.followed_by(newer.slice(beside, count))
            del self._older[int(left[-1]) :]
        self.total = totals.slice(count - 1, count).as_totals()[0]
        return totals

    def _drop_oldest(self) -> None:
        if not self._older:
            self._older_columns = None
            self._older = list(accumulate(reversed(self._newer), Totals.merged))
            self._newer = []
            self._newer_total = NOTHING
        self._older.pop()
