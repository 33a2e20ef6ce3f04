"""At which edge a route is taken at the least, whatever its statistics are at the ticks of a stretch of time.

A route's costs are the real ones (`PriceWatch.sheet_with`), summed for the corners of what its inputs go through. The
edge at which it is taken grows with its costs, and these

    grow with the mid of what is sold over that of what is bought (exit basis), and with volatility (adverse moves)
    grow or fall with each spread, in a straight line (exit basis; post-only legs earn it)
    grow or fall with time all the way to a settlement (funding), which the stretch does not reach

so the least of them is found in a corner. Where a cost depends on anything else, nothing is said.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from math import inf
from typing import NamedTuple

import numpy as np

from bot.engine.route_state import RouteState
from bot.market.packing import Floats
from bot.market.rolling_path import Told
from bot.pricing.costs import needs_conversion
from bot.pricing.sheet import Unpriced
from bot.pricing.watch import NET_EDGE, PriceWatch

_ROUNDING_BPS = 1e-6
"""Far more than rounding, far less than a price step."""


_SUMS = ("refresh", "assess", "sheet_with", "_gather", "_summed")
"""What decides where a route is taken."""


class Corner(NamedTuple):
    """One set of statistics. Implements `bot.ports.Statistics`."""

    covered_s: float
    mean_mid: float | None
    mean_spread_bps: float | None
    volatility_bps_per_sqrt_s: float | None


def has_bounds(state: RouteState) -> bool:
    """Whether what is said above is true of a route's costs, as far as that never changes."""
    watch, route = state.watch, state.route
    if not isinstance(watch, PriceWatch) or watch.take_ratio is None:
        return False
    # A strategy may add to what is summed, or answer otherwise: nobody here knows how.
    kind = type(watch)
    is_plain = all(getattr(kind, name) is getattr(PriceWatch, name) for name in _SUMS)
    return is_plain and not (route.chain or route.is_round_trip or needs_conversion(route))


def least_take_at(state: RouteState, buy: Told, sell: Told, first_ns: int, last_ns: int) -> float | None:
    """The least gross edge at which a route of `has_bounds` is taken between two ticks, bps.

    Infinite while it has no price, for the reason that stands; None where it is not known.
    """
    watch = state.watch
    assert isinstance(watch, PriceWatch)
    if watch.inputs.transfers:
        return None
    least, limits = inf, set()
    covered_s = np.minimum(buy.covered_s, sell.covered_s)
    for corner in _corners(state, buy, sell):
        # What is covered grows with time, but for a second that is not full yet.
        for now_ns, reached_s in ((first_ns, float(covered_s.min())), (last_ns, float(covered_s.max()))):
            sheet = watch.sheet_with(now_ns, {name: one._replace(covered_s=reached_s) for name, one in corner.items()})
            if isinstance(sheet, Unpriced):
                limits.add(sheet.limit)
            else:
                limits.add(NET_EDGE)
                least = min(least, sheet.take_at(watch.min_net_bps) - _ROUNDING_BPS)
    return least if limits == {state.reason} else None


def _corners(state: RouteState, buy: Told, sell: Told) -> Iterator[Mapping[str, Corner]]:
    ratio = sell.mean_mid / buy.mean_mid
    mids = float(buy.mean_mid[0]), float(buy.mean_mid[0] * ratio.min())
    names = state.buy.instrument.id, state.sell.instrument.id
    rests = any(leg.is_maker for leg in state.route.trades)
    spreads = [_ends(one.mean_spread_bps)[: 2 if rests else 1] for one in (buy, sell)]
    for chosen in product(*spreads):
        yield {
            name: Corner(0.0, mid, spread, _ends(told.volatility_bps)[0])
            for name, mid, spread, told in zip(names, mids, chosen, (buy, sell), strict=True)
        }


def _ends(figures: Floats) -> tuple[float | None, float | None]:
    """The least and the greatest; None while there is none at some time: then nothing is priced at that time."""
    low, high = float(figures.min()), float(figures.max())
    return (None, None) if low != low else (low, high)
