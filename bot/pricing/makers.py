"""Post-only legs: what it means that somebody has to come.

A post-only order at the touch is filled with probability p before it is given up; the other side is traded when it
is. With two of them the fills are taken as independent, and a leg whose partner was filled while it was not is taken
at once: it pays the spread, and the taker's fee for the maker's. With P = 1 − Π(1 − p) that any leg is filled,

    net edge = P · (gross − costs) − (1 − P) · w,   costs containing  P(late leg)/P · (spread + taker − maker fee)

where w is what an attempt costs that nobody fills. P, p and w are settings until fills have been measured.
"""

from bot.domain.legs import TradeLeg
from bot.domain.route import Route
from bot.pricing.inputs import PricingInputs
from bot.pricing.sheet import CostLines, Unpriced, not_known


def fill_probability(route: Route, inputs: PricingInputs) -> float | Unpriced:
    """That the route is opened at all; 1 where every opening leg takes."""
    waiting = [leg for leg in route.opening if leg.is_maker]
    if not waiting:
        return 1.0
    missed = 1.0
    for leg in waiting:
        chance = inputs.instruments[leg.instrument.id].fill_probability
        if chance is None or not 0.0 < chance <= 1.0:
            return not_known("fill_probability")
        missed *= 1.0 - chance
    return 1.0 - missed


def charge_late_hedges(route: Route, inputs: PricingInputs, lines: CostLines) -> Unpriced | None:
    """What it costs that one post-only leg is filled and the other has to be taken."""
    waiting = [leg for leg in route.opening if leg.is_maker]
    if len(waiting) < 2:
        return None
    whole = fill_probability(route, inputs)
    if isinstance(whole, Unpriced):
        return whole
    for leg in waiting:
        others_missed = missed = 1.0
        for other in waiting:
            gap = 1.0 - (inputs.instruments[other.instrument.id].fill_probability or 0.0)
            missed, others_missed = (missed * gap, others_missed) if other is leg else (missed, others_missed * gap)
        late = missed * (1.0 - others_missed) / whole
        bps = late * _taking_instead_bps(leg, inputs)
        lines.add(f"late hedge {route.label(leg.instrument)}", bps, on_last=route.is_on_last(leg), assumed=True)
    return None


def _taking_instead_bps(leg: TradeLeg, inputs: PricingInputs) -> float:
    one = inputs.instruments[leg.instrument.id]
    assert one.fees is not None
    fees = one.fees
    taker = fees.taker_bps + fees.discount_bps(is_maker=False)
    maker = fees.maker_bps + fees.discount_bps(is_maker=True)
    return max(0.0, (one.mean_spread_bps or 0.0) + float(taker - maker))
