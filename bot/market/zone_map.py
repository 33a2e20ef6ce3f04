"""The highest bid and the lowest ask of every second that moved a price: what a search over a day looks at first."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from math import inf
from typing import NamedTuple

import numpy as np

from bot.market.packing import Floats, Ints

BUCKET_NS = 1_000_000_000
SLACK = 4_096
"""Buckets that may be outdated before they are dropped."""
NOBODY = (0.0, inf)
"""The highest bid and the lowest ask where nobody bids and nobody offers: on no market is that a crossing."""


class Zones(NamedTuple):
    """Buckets by column: seconds since the epoch in which a price changed, in order.

    A quote that has the prices of the one before needs no bucket: they stand since then.
    """

    second: Ints
    high_bid: Floats
    """Of the changes within it; 0 where none had a bid."""
    low_ask: Floats
    """Infinite where none had an ask."""
    close_bid: Floats
    """Of its last change, which stands until the next bucket."""
    close_ask: Floats

    def slice(self, start: int, stop: int) -> "Zones":
        """Buckets `start` to `stop`."""
        second, high_bid, low_ask, close_bid, close_ask = self
        cut = slice(start, stop)
        return Zones(second[cut], high_bid[cut], low_ask[cut], close_bid[cut], close_ask[cut])


def extremes_of(parts: Iterable[tuple[Floats, Floats]]) -> tuple[float, float]:
    """The highest bid and the lowest ask of these prices, `NOBODY` where there are none.

    A price that is no finite number above zero, as venues send where a side of the book is empty, is nobody's.
    """
    high, low = NOBODY
    for bids, asks in parts:
        if len(bids):
            bids, asks = _offered(bids, asks)
            high, low = max(high, float(bids.max())), min(low, float(asks.min()))
    return high, low


def _offered(bids: Floats, asks: Floats) -> tuple[Floats, Floats]:
    # NaN compares as false.
    return np.where((bids > 0) & (bids < inf), bids, 0.0), np.where(asks > 0, asks, inf)


def zones_of(recv_ns: Ints, bids: Floats, asks: Floats) -> Zones:
    """The buckets of changes in order of receipt."""
    seconds = recv_ns // BUCKET_NS
    bids, asks = _offered(bids, asks)
    starts = np.flatnonzero(seconds[1:] != seconds[:-1]) + 1
    first = np.concatenate(([0], starts)) if len(seconds) else starts
    last = np.concatenate((starts, [len(seconds)])) - 1 if len(seconds) else starts
    if not len(first):
        return Zones(seconds, bids, asks, bids, asks)
    return Zones(
        seconds[first], np.maximum.reduceat(bids, first), np.minimum.reduceat(asks, first), bids[last], asks[last]
    )


def joined_zones(earlier: Zones, later: Zones) -> Zones:
    """Both, one bucket where the last of the one is the first of the other."""
    if len(earlier.second) and len(later.second) and earlier.second[-1] == later.second[0]:
        shared = Zones(
            later.second[:1],
            np.maximum(earlier.high_bid[-1:], later.high_bid[:1]),
            np.minimum(earlier.low_ask[-1:], later.low_ask[:1]),
            later.close_bid[:1],
            later.close_ask[:1],
        )
        parts: tuple[Zones, ...] = (earlier.slice(0, -1), shared, later.slice(1, len(later.second)))
    else:
        parts = (earlier, later)
    return Zones(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class ZoneMap:
    """Buckets of one instrument: 40 bytes a second that moved a price."""

    __slots__ = ("_columns", "_second")

    def __init__(self) -> None:
        self._second = array("q")
        self._columns = tuple(array("d") for _ in Zones._fields[1:])

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return len(self._second) * self._second.itemsize * len(Zones._fields)

    def append(self, recv_ns: Ints, bids: Floats, asks: Floats) -> None:
        """Take in changes that came after all others."""
        new = zones_of(recv_ns, bids, asks)
        size = len(self._second)
        if size and len(new.second) and new.second[0] == self._second[-1]:
            size -= 1
            new = joined_zones(self.slice(size, size + 1), new)
        self._replace(slice(size, None), new)

    def prepend(self, recv_ns: Ints, bids: Floats, asks: Floats) -> None:
        """Take in changes that came before all others."""
        old = zones_of(recv_ns, bids, asks)
        shared = len(self._second) and len(old.second) and old.second[-1] == self._second[0]
        self._replace(slice(0, 1 if shared else 0), joined_zones(old, self.slice(0, 1)) if shared else old)

    def _replace(self, where: slice, zones: Zones) -> None:
        self._second[where] = array("q", zones.second.tobytes())
        for column, values in zip(self._columns, zones[1:], strict=True):
            column[where] = array("d", values.tobytes())

    def evict(self, before_ns: int) -> None:
        """Drop buckets that ended before then, once they are many; the last of them still tells what stood."""
        outdated = self.at(before_ns // BUCKET_NS) - 1
        if outdated >= SLACK:
            self._replace(slice(0, outdated), self.slice(0, 0))

    def at(self, second: int) -> int:
        """The number of the first bucket of this second or a later one."""
        return bisect_left(self._second, second)

    def slice(self, start: int, stop: int) -> Zones:
        """A copy of these buckets."""
        # A view would forbid the arrays to grow.
        seconds = np.array(self._second[start:stop], np.int64)
        return Zones(seconds, *(np.frombuffer(column[start:stop], np.float64) for column in self._columns))

    def extremes(self, start: int, stop: int) -> tuple[float, float]:
        """The highest bid and the lowest ask of these buckets."""
        if start >= stop:
            return NOBODY
        high, low = (np.frombuffer(column, np.float64)[start:stop] for column in self._columns[:2])
        return float(high.max()), float(low.min())
