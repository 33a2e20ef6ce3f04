"""Whose a funding payment is."""

from collections.abc import Mapping
from decimal import Decimal

from bot.domain.account import FundingPayment
from bot.matching.cash import exact, funding_amount, share

_NOTHING = Decimal(0)


@exact
def funding_shares(payment: FundingPayment, held: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """What each pair's own position makes at the payment's rate and mark price, in `payment.asset`.

    Where the venue has not told them by then, the payment itself, shared out by what they held: whether others held
    something as well is not known then.

    Args:
        payment: Of one position of the account.
        held: Signed venue units of it by pair, none of them zero.
    """
    if payment.rate and payment.mark_price:
        parts = {one: _made_by(payment, quantity) for one, quantity in held.items()}
        return {one: part for one, part in parts.items() if part}
    total, left = sum(held.values(), _NOTHING), payment.amount
    if not payment.amount or not total:
        return {}
    shares: dict[str, Decimal] = {}
    for one, quantity in held.items():
        shares[one] = share(payment.amount, quantity, total)
        left -= shares[one]
    shares[next(iter(shares))] += left  # what was cut off
    return shares


def _made_by(payment: FundingPayment, quantity: Decimal) -> Decimal:
    return funding_amount(payment.instrument, quantity, payment.rate, payment.mark_price)
