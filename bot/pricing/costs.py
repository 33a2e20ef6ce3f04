"""What a route costs beside fees. Each function adds its costs by name, or answers with the input that is missing.

**Adverse move.** An order meets the book a latency τ after the decision, and the price has moved meanwhile: for a
volatility of σ a second by a normally distributed X with deviation σ√τ. A move in our favour is taken by others; one
against us is paid. The cost is what is paid on average, E[max(X, 0)] = σ √(τ / 2π): half the mean of the half-normal
distribution (F. C. Leone et al., The Folded Normal Distribution, Technometrics 3, 1961), and Bachelier's value of an
option at the money (Théorie de la spéculation, 1900). Moves of two sides are added, as if neither hedged the other.
A taker that hedges a post-only leg waits for the news of its fill too; in a chain each trade waits for those before.

**Exit basis.** What closing is expected to cost: buying back what was sold at its ask, selling what was bought at its
bid. Two markets that usually differ by 4 bps will differ by 4 bps again; a bot that expects them to meet calls a
standing difference a profit. A post-only leg closes at its own side, and half the spread is earned there.

**Funding.** The holding time is a mean H, and any time up to 2H is taken as equally likely: a settlement t from now is
met with probability 1 − t/2H. Summed over a schedule whose phase is not known that is H over the interval, pro rata,
which is what is charged where nothing tells the next settlement. Rates are kept within cap and floor.
"""

from math import ceil, inf, isfinite, pi, sqrt

from bot.domain.legs import TradeLeg, TransferLeg
from bot.domain.route import Route
from bot.ports import TransferEstimate
from bot.pricing.fees import no_way
from bot.pricing.inputs import FundingInput, InstrumentInput, PricingInputs
from bot.pricing.sheet import CostLines, Unpriced, not_known
from bot.pricing.transfers import price_sd_bps

EXIT_BASIS = "exit basis"
TRANSFER_RISK = "transfer risk"
REBALANCING = "rebalancing"
_MEAN_ADVERSE = 1.0 / sqrt(2.0 * pi)
_MOST_SETTLEMENTS = 100_000
"""Of one holding: more than a year of them every five minutes is an error of the data."""


def known(*figures: float | None) -> bool:
    """Whether all are numbers; NaN and infinity are none."""
    for figure in figures:  # noqa: SIM110  asked a dozen times a route and second; a generator takes twice as long
        if figure is None or not isfinite(figure):
            return False
    return True


def check_warm(route: Route, inputs: PricingInputs) -> Unpriced | None:
    """Whether the statistics of everything that is traded reach back far enough."""
    used = [inputs.instruments[instrument.id] for instrument in route.instruments]
    covered_s = min(one.covered_s for one in used)
    figures = [figure for one in used for figure in (one.mean_mid, one.mean_spread_bps, one.covered_s)]
    told = known(*figures) and all((one.mean_mid or 0.0) > 0.0 for one in used)
    if told and covered_s >= inputs.rules.warmup_s:
        return None
    return Unpriced("warm_up", covered_s, inputs.rules.warmup_s, "s")


def exit_basis_bps(route: Route, inputs: PricingInputs) -> float:
    """Expected cost of closing two sides, bps. The inputs are warm."""
    buy, sell = (inputs.instruments[leg.instrument.id] for leg in route.priced)
    mid_buy, mid_sell = buy.mean_mid or 0.0, (sell.mean_mid or 0.0) * _rate(inputs)
    makers = {leg.instrument.id for leg in route.closing if leg.is_maker}
    halves = [-(one.mean_spread_bps or 0.0) if one.instrument.id in makers else one.mean_spread_bps or 0.0
              for one in (buy, sell)]  # fmt: skip
    half_spreads = sum(halves) / 2
    return half_spreads if inputs.rules.converged else (mid_sell / mid_buy - 1.0) * 1e4 + half_spreads


def charge_exit(route: Route, inputs: PricingInputs, lines: CostLines) -> Unpriced | None:
    """What closing costs beside fees: of two sides their difference and spreads, of a hedge its spread.

    A round trip's way back is one of its two prices already.
    """
    if route.closing and not route.chain and not route.is_round_trip:
        lines.add(EXIT_BASIS, exit_basis_bps(route, inputs))
    for leg in route.hedges:
        # Two trades of one instrument, one at the bid and one at the ask: half the spread each.
        half_spread = (_of(leg, inputs).mean_spread_bps or 0.0) / 2
        lines.add(f"{EXIT_BASIS} {route.label(leg.instrument)}", half_spread)
    return None


def charge_funding(route: Route, inputs: PricingInputs, lines: CostLines) -> Unpriced | None:
    """Funding of every perpetual over the time that it is expected to be held: a long pays a positive rate."""
    held_s = time_out_s(route, inputs)
    if not held_s:
        return None
    for leg in route.opening:
        if not leg.instrument.is_perpetual:
            continue
        funding = _of(leg, inputs).funding
        count = None if funding is None else expected_settlements(funding, held_s)
        if funding is None or count is None:
            return not_known("funding_rate")
        bps = leg.side.sign * funding.bounded_bps * count
        lines.add(f"funding {route.label(leg.instrument)}", bps, on_last=route.is_on_last(leg), assumed=funding.assumed)
    return None


def expected_settlements(funding: FundingInput, held_s: float) -> float | None:
    """How many settlements a holding of `held_s` in the mean meets; None where the schedule makes no sense."""
    interval, first = funding.interval_s, funding.next_s
    bounds = [bound for bound in (funding.cap_bps, funding.floor_bps) if bound is not None]
    if not (known(funding.rate_bps, interval, *bounds) and interval > 0.0):
        return None
    if first is None:
        return held_s / interval
    if not (isfinite(first) and first >= 0.0) or 2.0 * held_s / interval > _MOST_SETTLEMENTS:
        return None
    count = max(0, ceil((2.0 * held_s - first) / interval))
    # Σ 1 − (first + k·interval) / 2H over k = 0 … count − 1, in closed form.
    return count - (count * first + interval * count * (count - 1) / 2) / (2.0 * held_s)


def charge_adverse_moves(route: Route, inputs: PricingInputs, lines: CostLines) -> Unpriced | None:
    """What prices move against each taker until its order meets the book."""
    if not inputs.rules.adverse_moves:
        return None
    for stage in (route.opening, route.closing):
        waited_s = makers_s = 0.0
        for leg in stage:
            if leg.is_maker:
                makers_s += _of(leg, inputs).latency_s or 0.0
        for leg in stage:
            one = _of(leg, inputs)
            latency_s, volatility_bps = one.latency_s, one.volatility_bps
            if latency_s is None or not 0.0 <= latency_s < inf:
                return not_known("latency")
            if volatility_bps is None or not 0.0 <= volatility_bps < inf:
                return not_known("volatility")
            waited_s = (waited_s if route.chain else 0.0) + latency_s
            if not leg.is_maker:
                bps = volatility_bps * sqrt(waited_s + makers_s) * _MEAN_ADVERSE
                lines.add(f"adverse move {route.label(leg.instrument)}", bps, on_last=route.is_on_last(leg))
    return None


def charge_transfer_risk(route: Route, inputs: PricingInputs, lines: CostLines) -> Unpriced | None:
    """What the price may move while an unhedged amount travels: deviations of σ√E[T], E[T] ≥ (E√T)² by Jensen."""
    time_s = sum(estimate.mean_s for estimate in _sent(route, inputs))
    if not any(isinstance(leg, TransferLeg) for leg in route.chain) or route.hedges:
        return None
    volatility = inputs.instruments[route.sell.id].volatility_bps
    if not known(volatility) or (volatility or 0.0) < 0.0:
        return not_known("volatility")
    if not isfinite(time_s) or time_s < 0.0:
        return not_known("transfer_time")
    lines.add(TRANSFER_RISK, inputs.rules.transfer_risk_sd * price_sd_bps(volatility or 0.0, time_s), on_last=True)
    return None


def charge_rebalancing(route: Route, inputs: PricingInputs, lines: CostLines) -> Unpriced | None:
    """The deferred transfers' fees, shared out: of a transfer of N each trade of q bears q/N, which is fee/N of q."""
    deferred = [leg for leg in route.transfers if leg.deferred]
    if not deferred:
        return None
    fees = [_shared_fee_bps(leg, route, inputs) for leg in deferred]
    bps = sum(fee for fee in fees if fee is not None)
    assumed = inputs.rules.assumed_rebalancing_bps
    if None not in fees and isfinite(bps) and bps >= 0.0:
        lines.add(REBALANCING, bps)
    elif assumed is not None and isfinite(assumed):
        lines.add(REBALANCING, assumed, assumed=True)
    else:
        closed = next((leg for leg in deferred if leg in inputs.closed), deferred[0])
        return no_way(closed, inputs)
    return None


def _shared_fee_bps(leg: TransferLeg, route: Route, inputs: PricingInputs) -> float | None:
    estimate, price = inputs.transfers.get(leg), _price(leg.asset, route, inputs)
    if estimate is None or price is None or not (price > 0.0 and inputs.rules.rebalance_notional > 0.0):
        return None
    if not estimate.takes(inputs.rules.rebalance_notional / price):
        return None
    return (estimate.fee * price / inputs.rules.rebalance_notional + estimate.fee_ratio) * 1e4


def _price(asset: str, route: Route, inputs: PricingInputs) -> float | None:
    """Of one unit in the first trade's currency."""
    if asset == route.buy.quote:
        return 1.0
    return inputs.instruments[route.buy.id].mean_mid if asset == route.buy.base else _rate(inputs)


def charge_conversion(route: Route, inputs: PricingInputs, lines: CostLines) -> Unpriced | None:
    """Turning the last trade's currency back into the first's, for each trade that is paid in it."""
    there, here = route.sell.quote, route.buy.quote
    if not needs_conversion(route):
        return None
    conversion = inputs.conversion
    if conversion is None or not known(conversion.rate, conversion.cost_bps) or not conversion.rate > 0.0:
        return not_known(f"conversion {there}/{here}")
    for leg in route.trades:
        if leg.instrument.id == route.sell.id:
            lines.add(f"conversion {there}/{here}", conversion.cost_bps, on_last=True, assumed=conversion.assumed)
    return None


def needs_conversion(route: Route) -> bool:
    """Whether it ends in another currency than it began with; through a ring the amount comes back by itself."""
    if route.chain:
        return route.priced[0].spends != route.priced[-1].brings
    return route.sell.quote != route.buy.quote


def time_out_s(route: Route, inputs: PricingInputs) -> float:
    """How long the money is out, mean: holding, or on its way between venues."""
    return route.hold_s + sum(estimate.mean_s for estimate in _sent(route, inputs))


def _sent(route: Route, inputs: PricingInputs) -> list[TransferEstimate]:
    sent = [inputs.transfers.get(leg) for leg in route.chain if isinstance(leg, TransferLeg)]
    return [estimate for estimate in sent if estimate is not None]


def _rate(inputs: PricingInputs) -> float:
    return 1.0 if inputs.conversion is None else inputs.conversion.rate


def _of(leg: TradeLeg, inputs: PricingInputs) -> InstrumentInput:
    return inputs.instruments[leg.instrument.id]
