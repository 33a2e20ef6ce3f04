"""What a venue's own row says of an instrument, as exact numbers; whatever it lacks refuses the instrument."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

_MOST_DECIMALS = 18


class Refused(Exception):
    """An instrument that is not to be used; the text says why, and stays inside this package and its callers."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Price step in quote units per base unit, quantity step in base units."""

    tick: Decimal
    lot: Decimal


@dataclass(frozen=True, slots=True)
class Description:
    """One instrument in its venue's own words."""

    stream_symbol: str
    """How the venue's stream spells it."""
    grid: Grid
    min_quantity: Decimal
    min_notional: Decimal


def text_of(row: Mapping[str, object], key: str) -> str:
    """The text under `key`.

    Raises:
        Refused: If there is none.
    """
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise Refused(f"{key} is missing")
    return value


def decimal_of(row: Mapping[str, object], key: str) -> Decimal:
    """The number under `key`, which is above zero: a number, or its text.

    Raises:
        Refused: If it is missing, or no such number.
    """
    return positive(row.get(key), key)


def positive(value: object, name: str) -> Decimal:
    """A finite number above zero, exactly as printed: a float such as 1e-08 is taken by its shortest text.

    Raises:
        Refused: If it is none; None, NaN and a bool are none.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise Refused(f"{name} is missing")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise Refused(f"{name} is not a number") from None
    if not number.is_finite() or number <= 0:
        raise Refused(f"{name} is not above zero")
    return plain(number)


def step_of_decimals(row: Mapping[str, object], key: str) -> Decimal:
    """The step that a count of decimals stands for: 2 is 0.01.

    Raises:
        Refused: If the count is missing, or none that a price could have.
    """
    count = row.get(key)
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= _MOST_DECIMALS:
        raise Refused(f"{key} is no count of decimals")
    return Decimal(1).scaleb(-count)


def plain(number: Decimal) -> Decimal:
    """Without trailing zeros and without an exponent above zero."""
    short = number.normalize()
    return short if short == 0 or short.adjusted() < 0 or short != short.to_integral_value() else short.quantize(1)
