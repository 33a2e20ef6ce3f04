"""When one instrument's bid may have stood above another's ask: a day is searched by its seconds, not by its rows."""

from typing import Protocol

import numpy as np

from bot.market.packing import Floats, Ints
from bot.market.zone_map import BUCKET_NS, Zones


class ZonedQuotes(Protocol):
    """What is asked of a window."""

    def zones(self, start_ns: int, stop_ns: int) -> Zones:
        """The buckets of a span, and the one before them."""


def possible_crossings(
    bids: ZonedQuotes, asks: ZonedQuotes, start_ns: int, stop_ns: int, *, excess: float = 0.0
) -> Ints:
    """Spans in which a bid of `bids` may have stood above an ask of `asks` × (1 + `excess`).

    A quote stands until the next one of its instrument. Outside the spans it never did; within them it may have stood
    at another moment of the second than the ask. Where the last quotes of both cross, the span goes on to the next.

    Args:
        bids: Where it would be sold.
        asks: Where it would be bought.
        start_ns: UTC.
        stop_ns: The span to search ends before.
        excess: A ratio: 0.001 asks for ten bps.

    Returns:
        Start and end (before which) of each, UTC ns, in two columns; in order, neither touching nor empty.
    """
    ours, theirs = bids.zones(start_ns, stop_ns), asks.zones(start_ns, stop_ns)
    seconds = np.unique(np.concatenate((ours.second, theirs.second, [start_ns // BUCKET_NS])))
    seconds = seconds[seconds >= start_ns // BUCKET_NS]
    high, close_bid = _standing(seconds, ours.second, ours.high_bid, ours.close_bid, 0.0)
    low, close_ask = _standing(seconds, theirs.second, -theirs.low_ask, -theirs.close_ask, -np.inf)
    factor = 1.0 + excess
    crossed, stays = high > -low * factor, close_bid > -close_ask * factor
    starts = np.maximum(seconds * BUCKET_NS, start_ns)
    next_ns = np.append(seconds[1:] * BUCKET_NS, stop_ns)
    stops = np.minimum(np.where(stays, next_ns, (seconds + 1) * BUCKET_NS), stop_ns)
    return _merged(starts[crossed], stops[crossed])


def _standing(seconds: Ints, bucket_seconds: Ints, high: Floats, close: Floats, nobody: float) -> tuple[Floats, Floats]:
    """The highest value that stood in each second, and the one that stood at its end."""
    at = np.searchsorted(bucket_seconds, seconds, side="right")
    closes = np.concatenate(([nobody], close))
    had_quotes = (at > 0) & (np.concatenate(([-1], bucket_seconds))[at] == seconds)
    highs = np.concatenate(([nobody], high))[at]
    return np.where(had_quotes, np.maximum(highs, closes[at - had_quotes]), closes[at]), closes[at]


def _merged(starts: Ints, stops: Ints) -> Ints:
    if not len(starts):
        return np.empty((0, 2), np.int64)
    apart = starts[1:] > stops[:-1]
    return np.column_stack((starts[np.append(True, apart)], stops[np.append(apart, True)]))
