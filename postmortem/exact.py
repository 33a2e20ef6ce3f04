"""Arithmetic that does not round, and how its results are printed.

Sums and products of recorded decimals are exact here (rounding raises), so that a bridge closes to zero and not to
almost zero. Only ratios round: bps and percentages, for people.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import ROUND_DOWN, Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow, localcontext
from typing import Annotated

from pydantic import PlainSerializer

ZERO = Decimal(0)

_EXACT = Context(prec=1_000, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
_DOWN = Context(prec=1_000, rounding=ROUND_DOWN)
_RATIO = Context(prec=50)
_QUANTUM = Decimal("1e-18")
_SIX_DIGITS = Decimal("0.000001")


def plain(amount: Decimal) -> str:
    """All digits, no exponent, no trailing zeros: `0`, `-1.25`."""
    text = f"{amount:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


Money = Annotated[Decimal, PlainSerializer(plain, return_type=str, when_used="json")]


@contextmanager
def exact() -> Iterator[None]:
    """Additions and multiplications inside are exact, or raise `decimal.Inexact`."""
    with localcontext(_EXACT):
        yield


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Their sum; call it inside `exact()`."""
    return sum(amounts, ZERO)


def from_float(value: float) -> Decimal:
    """The decimal that the float prints as."""
    return Decimal(repr(value))


def quotient(amount: Decimal, by: Decimal) -> Decimal:
    """Cut off at 18 decimals, towards zero, as the venue of paper books it; the only division of amounts."""
    return _DOWN.quantize(_DOWN.divide(amount, by), _QUANTUM)


def bps(part: Decimal, whole: Decimal) -> Decimal | None:
    """`part` of `whole` in bps, six digits; None where the whole is zero."""
    if not whole:
        return None
    return _RATIO.quantize(_RATIO.divide(_RATIO.multiply(part, Decimal(10_000)), whole), _SIX_DIGITS)
