"""How much money a route ties up, and what it earns on it."""

from math import isfinite

from bot.domain.order import Side
from bot.domain.route import Route
from bot.pricing.inputs import PricingInputs

YEAR_S = 365 * 86_400.0


def capital_part(route: Route, inputs: PricingInputs, ratio: float) -> float | None:
    """Capital locked per unit of the first trade's money; None where a margin is not known.

    Spot that is bought locks its price, spot that is sold the stock that it is sold from, a derivative its margin; an
    amount that travels through a chain is locked once.
    """
    locked = 1.0 if route.chain else 0.0
    beside = {leg.instrument.id for leg in route.hedges} if route.chain else None
    for leg in route.opening:
        if beside is not None and leg.instrument.id not in beside:
            continue
        money = ratio if leg.side is Side.SELL and not route.chain else 1.0
        part = inputs.instruments[leg.instrument.id].margin_ratio if leg.instrument.is_perpetual else 1.0
        if part is None or not isfinite(part) or part <= 0.0:
            return None
        locked += money * part
    return locked


def return_per_year(net_bps: float, capital: float | None, time_out_s: float) -> float | None:
    """Net edge over the capital, times how often it could be earned in a year; None where no time passes."""
    if capital is None or not capital > 0.0 or not time_out_s > 0.0:
        return None
    return net_bps / 1e4 / capital * (YEAR_S / time_out_s)
