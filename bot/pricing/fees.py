"""What the venues take for trading and for sending away.

On two sides the trades are independent: each fee is charged on its own trade's money. Through a chain one amount
travels, and a fee that is taken from what the trade brings is not there for the next: after fees f₁ … fₙ the part
(1 − f₁) … (1 − fₙ) of the gross outcome arrives. Fee i is charged what is missing at the end because of it, fᵢ of
what was left before it, so that the named fees sum to the difference exactly:

    Σ fᵢ · Π(j<i)(1 − fⱼ)  =  1 − Π(1 − fᵢ)

A fee that is paid in the venue's own token leaves the amount as it was; its discount is a cost below zero.
"""

from math import isfinite

from bot.domain.legs import TradeLeg, TransferLeg
from bot.domain.route import Route
from bot.pricing.inputs import PricingInputs
from bot.pricing.sheet import CostLines, Unpriced, not_known

WITHDRAWAL_FEE = "withdrawal fee"


def charge_fees(route: Route, inputs: PricingInputs, lines: CostLines) -> Unpriced | None:
    """Fees of every trade and of every transfer that is made with the amount; None when all are known."""
    if any(inputs.instruments[instrument.id].fees is None for instrument in route.instruments):
        return not_known("fee_schedule")
    refused = _charge_chain(route, inputs, lines)
    beside = {id(leg) for leg in (route.hedges if route.chain else route.trades)}
    discounts = []
    for leg, name in zip(route.trades, route.fee_names, strict=True):
        if id(leg) not in beside:
            continue
        rate, discount, in_token = _rates(leg, inputs)
        lines.add(name, rate, on_last=route.is_on_last(leg))
        if in_token:
            discounts.append((leg, discount))
    for leg, discount in discounts:
        lines.add(_discount_name(route, leg), discount, on_last=route.is_on_last(leg))
    return refused


def _charge_chain(route: Route, inputs: PricingInputs, lines: CostLines) -> Unpriced | None:
    left = 1.0
    names = dict(zip(map(id, route.trades), route.fee_names, strict=True)) if route.chain else {}
    for leg in route.chain:
        if isinstance(leg, TransferLeg):
            part = _withdrawn(leg, route, inputs, left)
            if isinstance(part, Unpriced):
                return part
            lines.add(WITHDRAWAL_FEE, left * part * 1e4, on_last=True)
            left *= 1.0 - part
            continue
        rate, discount, in_token = _rates(leg, inputs)
        lines.add(names[id(leg)], left * rate, on_last=True)
        if in_token:
            lines.add(_discount_name(route, leg), left * discount, on_last=True)
        else:
            left *= 1.0 - rate / 1e4
    return None


def cash_costs(route: Route, inputs: PricingInputs) -> frozenset[str]:
    """Names of the costs that are taken from the amount of a chain itself; all others are paid or feared beside it."""
    if not route.chain:
        return frozenset()
    links = {id(leg) for leg in route.chain}
    named = zip(route.trades, route.fee_names, strict=True)
    fees = {name for leg, name in named if id(leg) in links and not _rates(leg, inputs)[2]}
    return frozenset(fees | {WITHDRAWAL_FEE})


def no_way(leg: TransferLeg, inputs: PricingInputs) -> Unpriced:
    """Why a transfer cannot be priced: its networks are closed, and which and where is in the limit; or not known."""
    closed = inputs.closed.get(leg)
    if closed is None or leg in inputs.transfers:
        return not_known("network")
    return Unpriced(f"network {leg.asset} {leg.from_venue} to {leg.to_venue}, {closed}", 0.0, 1.0, "open")


def _withdrawn(leg: TransferLeg, route: Route, inputs: PricingInputs, left: float) -> float | Unpriced:
    """The part of the amount that the withdrawal takes."""
    estimate = inputs.transfers.get(leg)
    if estimate is None or not (isfinite(estimate.fee) and isfinite(estimate.fee_ratio)):
        return no_way(leg, inputs)
    amount = base_quantity(route, inputs)
    if amount is None:
        return not_known("warm_up")
    if not estimate.takes(amount * left):
        is_little = amount * left < estimate.least
        bound = estimate.least if is_little or estimate.most is None else estimate.most
        return Unpriced("min_withdraw" if is_little else "max_withdraw", amount * left, bound, leg.asset)
    part = estimate.fee_ratio + estimate.fee / (amount * left)
    if estimate.fee < 0.0 or not 0.0 <= part < 1.0:
        return Unpriced("withdrawal_fee", estimate.fee, amount * left, leg.asset)
    return part


def base_quantity(route: Route, inputs: PricingInputs) -> float | None:
    """Base units that the first trade is about; None while nothing tells what one costs."""
    if inputs.quantity is not None:
        return inputs.quantity
    mid = inputs.instruments[route.buy.id].mean_mid
    return None if mid is None or not mid > 0.0 else inputs.rules.reference_notional / mid


def _rates(leg: TradeLeg, inputs: PricingInputs) -> tuple[float, float, bool]:
    """Fee and discount, bps of the trade's money, the discount below zero; whether it is paid in a token."""
    fees = inputs.instruments[leg.instrument.id].fees
    assert fees is not None
    rate = float(fees.rate_bps(is_maker=leg.is_maker))
    if fees.token is None:
        return rate, 0.0, False
    return rate, float(fees.discount_bps(is_maker=leg.is_maker)), True


def _discount_name(route: Route, leg: TradeLeg) -> str:
    return f"fee discount {route.label(leg.instrument)}"
