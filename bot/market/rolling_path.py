"""What rolling statistics become over many quotes and rolls at once, bucket by bucket, equal to the last bit.

Within a bucket a sum grows by one product for every stretch of time between two of its events: price changes, and the
roll where it comes before the first of these. `numpy.bincount` adds its weights one after another, in order, as the
loop of `RollingStatistics.update` does; `numpy.sum` would add them in pairs, and end in another bit.
"""

from math import log
from typing import NamedTuple

import numpy as np

from bot.market.packing import Bits, Floats, Ints
from bot.market.rolling_totals import RollingTotals, TotalColumns


class Standing(NamedTuple):
    """Statistics that are interrupted by nothing, as they stand before the path."""

    ts_ns: int
    """Counted up to here."""
    next_roll_ns: int
    bucket_ns: int
    bid: float
    ask: float
    close: float | None
    """Of the bucket before this one; None where there is none."""
    seen: int
    counted: int
    covered_ns: int
    """Of the bucket that is not full yet, as the next five."""
    mid_ns: float
    spread_ns: float
    high_bid: float
    low_ask: float
    price_changes: int


class Rolls(NamedTuple):
    """When the statistics are rolled from outside: once in each bucket, in the same place of it."""

    ts_ns: Ints
    seen: Ints
    """Quotes so far, at each."""


class Prices(NamedTuple):
    """Prices that differ, each from the one before, from when on."""

    ts_ns: Ints
    bid: Floats
    ask: Floats


class Told(NamedTuple):
    """What statistics say at some moments; NaN where they say nothing yet."""

    covered_s: Floats
    mean_mid: Floats
    mean_spread_bps: Floats
    volatility_bps: Floats


class Path:
    """Buckets that fill up, and the one that is not full at the end."""

    __slots__ = ("_roll_splits", "_rolls", "_split_ns", "_start", "_sums", "_totals", "end", "past")

    def __init__(self, start: Standing, past: RollingTotals, prices: Prices, rolls: Rolls) -> None:
        """Follow the statistics through all of it; there is at least one roll, and a bucket that it closes.

        Args:
            start: Before.
            past: The full buckets before, the path's own; it takes the new ones.
            prices: In order, none from before `start.ts_ns`.
            rolls: In order, none of them within the bucket that stands but after `start.ts_ns`.
        """
        self._start, self._rolls = start, rolls
        bucket_ns = start.bucket_ns
        first_ns = start.next_roll_ns - bucket_ns
        bid, ask = np.concatenate(([start.bid], prices.bid)), np.concatenate(([start.ask], prices.ask))
        mid = (bid + ask) / 2
        spread_bps = (ask - bid) / mid * 1e4
        last_ns = max(int(rolls.ts_ns[-1]), int(prices.ts_ns[-1]) if len(prices.ts_ns) else 0)
        count = (last_ns - first_ns) // bucket_ns  # buckets that are full at the end
        edges_ns = first_ns + bucket_ns * np.arange(1, count + 1)
        # Of each bucket, the place of its first price; the price at that place stands when the bucket begins.
        starts_at = np.concatenate(([0], np.searchsorted(prices.ts_ns, edges_ns)))
        self._roll_splits = self._first_events(first_ns, prices)
        # Where time is split: where it was counted up to, bucket by bucket, at rolls and at prices.
        others_ns = np.sort(np.concatenate((edges_ns, rolls.ts_ns[self._roll_splits])))
        split_ns = np.concatenate((others_ns, prices.ts_ns))
        order = np.argsort(split_ns, kind="stable")
        self._split_ns = np.concatenate(([start.ts_ns], split_ns[order]))
        standing = np.concatenate(([0], np.cumsum(order >= len(others_ns))))[:-1]
        bucket = (self._split_ns[:-1] - first_ns) // bucket_ns
        # Counted before its own bucket would be: the one that stands begins with what it has.
        bucket = np.concatenate(([0], bucket))
        took_ns = self._split_ns[1:] - self._split_ns[:-1]
        weights = [
            np.concatenate(([first], values[standing] * took_ns))
            for first, values in ((start.mid_ns, mid), (start.spread_ns, spread_bps))
        ]
        mid_ns, spread_ns = (np.bincount(bucket, weight, count + 1).astype(np.float64) for weight in weights)
        self._sums = [np.cumsum(weight) for weight in weights]
        full_ns = np.full(count, bucket_ns)
        full_ns[0] = start.covered_ns + int(edges_ns[0]) - start.ts_ns
        stops_at = np.concatenate((starts_at[1:], [len(prices.ts_ns)]))
        highs, lows = _extremes(bid, ask, starts_at, stops_at)
        highs[0], lows[0] = max(start.high_bid, float(highs[0])), min(start.low_ask, float(lows[0]))
        changes = stops_at - starts_at
        changes[0] += start.price_changes
        closes = mid[stops_at[:-1]]
        squares, returns = _returns(closes, start.close)
        seen = self._seen_at_closing(first_ns, count)
        buckets = TotalColumns(
            full_ns,
            mid_ns[:count],
            spread_ns[:count],
            highs[:count],
            lows[:count],
            squares,
            returns,
            seen - np.concatenate(([start.counted], seen[:-1])),
            changes[:count],
        )
        self.past = past
        """With every bucket that is full at the end."""
        self._totals = past.extend(buckets)
        self.end = Standing(
            ts_ns=int(self._split_ns[-1]),
            next_roll_ns=first_ns + (count + 1) * bucket_ns,
            bucket_ns=bucket_ns,
            bid=float(bid[-1]),
            ask=float(ask[-1]),
            close=float(closes[-1]),
            seen=int(rolls.seen[-1]),
            counted=int(seen[-1]),
            covered_ns=int(self._split_ns[-1]) - int(edges_ns[-1]),
            mid_ns=float(mid_ns[count]),
            spread_ns=float(spread_ns[count]),
            high_bid=float(highs[count]),
            low_ask=float(lows[count]),
            price_changes=int(changes[count]),
        )

    def _first_events(self, first_ns: int, prices: Prices) -> Bits:
        """Which rolls are the first event of their bucket; one in the bucket that stands is none."""
        rolls_ns, bucket_ns = self._rolls.ts_ns, self._start.bucket_ns
        number = (rolls_ns - first_ns) // bucket_ns
        is_first: Bits = np.searchsorted(prices.ts_ns, rolls_ns) == np.searchsorted(
            prices.ts_ns, first_ns + number * bucket_ns
        )
        return is_first & (number > 0)

    def _seen_at_closing(self, first_ns: int, count: int) -> Ints:
        """What had been told of quotes when each full bucket was closed: by the first event of the one after it."""
        rolls, start = self._rolls, self._start
        first_roll = int(rolls.ts_ns[0] - first_ns) // start.bucket_ns
        told = np.concatenate((np.full(first_roll, start.seen), rolls.seen))[: count + 1]
        splits = np.concatenate((np.zeros(first_roll, np.bool_), self._roll_splits))[: count + 1]
        if len(told) <= count:  # no roll comes in the bucket that is not full
            told, splits = np.append(told, told[-1]), np.append(splits, False)
        return np.where(splits[1:], told[1:], told[:-1])

    def at_rolls(self) -> "Told":
        """What is told right after each roll. For bounds: differences of longer sums end in other bits."""
        rolls_ns, start, totals = self._rolls.ts_ns, self._start, self._totals
        first_ns = start.next_roll_ns - start.bucket_ns
        number = (rolls_ns - first_ns) // start.bucket_ns
        # Sums up to a split, and those up to where the bucket began. A price of the same moment comes after the roll.
        up_to = np.searchsorted(self._split_ns, rolls_ns) - np.where(self._roll_splits, 0, 1)
        up_to = np.maximum(up_to, 0)
        begin_ns = first_ns + number * start.bucket_ns
        began_at = np.searchsorted(self._split_ns, begin_ns)
        is_later = number > 0
        began_at = np.where(is_later, began_at, 0)
        counted_ns = self._split_ns[up_to] - self._split_ns[began_at] + np.where(is_later, 0, start.covered_ns)
        covered_ns = totals.covered_ns[number] + counted_ns
        mid_ns, spread_ns = (
            total[number] + sums[up_to] - np.where(is_later, sums[began_at], 0.0)
            for total, sums in zip((totals.mid_ns, totals.spread_ns), self._sums, strict=True)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            means = mid_ns / covered_ns, spread_ns / covered_ns
            squares = totals.squares[number] / totals.returns[number]
        return Told(covered_ns / 1e9, *means, np.sqrt(squares / (start.bucket_ns / 1e9)) * 1e4)


def _extremes(bid: Floats, ask: Floats, starts_at: Ints, stops_at: Ints) -> tuple[Floats, Floats]:
    """The highest bid and the lowest ask of each bucket, the one included that stands when it begins."""
    places = np.ravel(np.column_stack((starts_at, stops_at + 1)))
    # Every other range is one between two buckets; the last one ends beyond the last price.
    highs = np.maximum.reduceat(np.append(bid, bid[-1]), places)[::2]
    lows = np.minimum.reduceat(np.append(ask, ask[-1]), places)[::2]
    return highs, lows


def _returns(closes: Floats, before: float | None) -> tuple[Floats, Ints]:
    """Squared log returns of each close over the one before it, and whether there is one."""
    squares, returns = np.zeros(len(closes)), np.ones(len(closes), np.int64)
    earlier = np.concatenate(([np.nan if before is None else before], closes[:-1]))
    moved = np.flatnonzero(closes != earlier)
    # Not numpy's logarithm: it may differ from the other one in the last bit.
    squares[moved] = [log(ratio) ** 2 for ratio in (closes[moved] / earlier[moved]).tolist()]
    if before is None:
        squares[0], returns[0] = 0.0, 0
    return squares, returns
