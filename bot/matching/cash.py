"""What a trade and a funding payment are worth in cash, exactly.

Sums and products of `Decimal` are never rounded here: the arithmetic runs in a context that is wide enough for any
float's digits and raises `decimal.Inexact` instead of rounding. Only two things divide: the value of an inverse
contract (its price is in the denominator) and the share of a partly closed position; both are rounded to
`QUANTUM`, away from our favour, and what was cut off stays where it was, so that every asset's cash adds up.
"""

from collections.abc import Callable
from decimal import (
    ROUND_DOWN,
    ROUND_FLOOR,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    getcontext,
    setcontext,
)
from functools import wraps
from typing import ParamSpec, TypeVar

from bot.domain.fees import fee_asset
from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Side

P = ParamSpec("P")
R = TypeVar("R")

QUANTUM = Decimal("1e-18")
"""Step of the few figures that come from a division."""

# A float has at most 17 digits, anywhere between 1e308 and 1e-324; a product of two and a rate fits well into this.
_DIGITS = 1500
_FAULTS = (InvalidOperation, DivisionByZero, Overflow)
_EXACT = Context(prec=_DIGITS, traps=[*_FAULTS, Inexact])
_DOWN = Context(prec=_DIGITS, rounding=ROUND_DOWN, traps=list(_FAULTS))
_FLOOR = Context(prec=_DIGITS, rounding=ROUND_FLOOR, traps=list(_FAULTS))
_SHOWN = Context(prec=28, traps=list(_FAULTS))


def exact(function: Callable[P, R]) -> Callable[P, R]:
    """The same function with unrounded `Decimal` arithmetic; `decimal.Inexact` where that is impossible."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        before = getcontext()
        if before is _EXACT:
            # Such functions call one another, sixty times for an order: entering each time was a third of its cost.
            return function(*args, **kwargs)
        # Itself and not a copy, as `localcontext` would take: that is how it is recognised above.
        setcontext(_EXACT)
        try:
            return function(*args, **kwargs)
        finally:
            setcontext(before)

    return run


def from_float(number: float) -> Decimal:
    """The shortest decimal that the float prints as: the digits that the venue sent, for up to fifteen of them."""
    return Decimal(repr(number))


def cash_asset(instrument: Instrument) -> str:
    """The asset that trades of it are paid in: the quote of spot, the settle asset of a derivative."""
    if instrument.segment is Segment.SPOT:
        return instrument.quote
    assert instrument.settle is not None, f"{instrument.id}: a derivative settles in something"
    return instrument.settle


@exact
def cash_value(instrument: Instrument, price: Decimal, quantity: Decimal) -> Decimal:
    """What `quantity` (venue units, not negative) is worth at `price`, in units of `cash_asset`.

    Exact for spot and linear; an inverse contract's quotient is rounded down to `QUANTUM`.
    """
    contracts = quantity * instrument.contract_multiplier
    if instrument.segment is Segment.INVERSE:
        return _DOWN.quantize(_DOWN.divide(contracts, price), QUANTUM)
    return contracts * price


@exact
def cash_flow(instrument: Instrument, side: Side, price: Decimal, quantity: Decimal) -> Decimal:
    """What the trade adds to `cash_asset`, fees aside: positive is received.

    For a derivative it is the part of the profit that this trade contributes: the flows of a position that is flat
    again sum to its profit. Buying an inverse contract counts as received, because its holder is short of the
    quote currency: `quantity × multiplier × (1/entry − 1/exit)`.
    """
    signed = side.sign * cash_value(instrument, price, quantity)
    return signed if instrument.segment is Segment.INVERSE else -signed


@exact
def trade_fee(instrument: Instrument, side: Side, price: Decimal, quantity: Decimal, rate_bps: Decimal) -> Decimal:
    """The fee of a trade in units of `fee_asset`; negative is a rebate. Not rounded."""
    in_base = fee_asset(instrument, side) == instrument.base and instrument.segment is Segment.SPOT
    charged = quantity if in_base else cash_value(instrument, price, quantity)
    return (charged * rate_bps).scaleb(-4)


@exact
def funding_amount(instrument: Instrument, quantity: Decimal, rate: Decimal, mark_price: Decimal) -> Decimal:
    """What a position of `quantity` (signed, venue units) gets at a settlement; negative is paid.

    Longs pay when `rate` is positive. In the settle asset.
    """
    sign = 1 if quantity > 0 else -1
    return -sign * cash_value(instrument, mark_price, abs(quantity)) * rate


def share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """`amount × part / whole`, rounded down to `QUANTUM`, towards minus infinity."""
    return _FLOOR.quantize(_FLOOR.divide(_FLOOR.multiply(amount, part), whole), QUANTUM)


def ratio(numerator: Decimal, denominator: Decimal) -> Decimal:
    """A quotient to 28 digits, for average prices: to be shown, never to be booked."""
    return _SHOWN.divide(numerator, denominator)
