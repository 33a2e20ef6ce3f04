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
from bot.pricing.inputs import InstrumentInput, PricingInputs
from bot.pricing.sheet import CostLines, Unpriced, not_known

WITHDRAWAL_FEE = "withdrawal fee"


def charge_fees(route: Route, inputs: PricingInputs, lines: CostLines) -> Unpriced | None:
    """Fees of every trade and of every transfer that is made with the amount; None when all are known."""
    if any(inputs.instruments[instrument.id].fees is None for instrument in route.instruments):
        return not_known("fee_schedule")
    refused = _charge_chain(route, inputs, lines)
    beside = route.hedges if route.chain else route.trades
    for leg in beside:
        lines.add(_name(route, leg), _rates(leg, inputs)[0], on_last=route.is_on_last(leg))
    for leg in beside:
        if _pays_in_token(leg, inputs):
            lines.add(_discount_name(route, leg), _rates(leg, inputs)[1], on_last=route.is_on_last(leg))
    return refused


def _charge_chain(route: Route, inputs: PricingInputs, lines: CostLines) -> Unpriced | None:
    left = 1.0
    for leg in route.chain:
        if isinstance(leg, TransferLeg):
            part = _withdrawn(leg, route, inputs, left)
            if isinstance(part, Unpriced):
                return part
            lines.add(WITHDRAWAL_FEE, left * part * 1e4, on_last=True)
            left *= 1.0 - part
            continue
        rate, discount = _rates(leg, inputs)
        lines.add(_name(route, leg), left * rate, on_last=True)
        if _pays_in_token(leg, inputs):
            lines.add(_discount_name(route, leg), left * discount, on_last=True)
        else:
            left *= 1.0 - rate / 1e4
    return None


def _withdrawn(leg: TransferLeg, route: Route, inputs: PricingInputs, left: float) -> float | Unpriced:
    """The part of the amount that the withdrawal takes."""
    estimate = inputs.transfers.get(leg)
    if estimate is None or not (isfinite(estimate.fee) and isfinite(estimate.fee_ratio)):
        return not_known("network")
    amount = base_quantity(route, inputs)
    if amount is None:
        return not_known("warm_up")
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


def _rates(leg: TradeLeg, inputs: PricingInputs) -> tuple[float, float]:
    """Fee and discount, bps of the trade's money; the discount is below zero."""
    fees = _of(leg, inputs).fees
    assert fees is not None
    return float(fees.rate_bps(is_maker=leg.is_maker)), float(fees.discount_bps(is_maker=leg.is_maker))


def _pays_in_token(leg: TradeLeg, inputs: PricingInputs) -> bool:
    fees = _of(leg, inputs).fees
    return fees is not None and fees.token is not None


def _of(leg: TradeLeg, inputs: PricingInputs) -> InstrumentInput:
    return inputs.instruments[leg.instrument.id]


def _name(route: Route, leg: TradeLeg) -> str:
    stage = "open" if any(leg is one for one in route.opening) else "close"
    return f"fee {stage} {leg.side} {route.label(leg.instrument)}"


def _discount_name(route: Route, leg: TradeLeg) -> str:
    return f"fee discount {route.label(leg.instrument)}"
