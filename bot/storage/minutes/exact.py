"""Sums of prices and quantities without an error in the last digit.

The archive keeps numbers as `float`, which is exact to the fifteen digits that a venue prints: the shortest decimal of
a float is what was printed. Sums of them as floats are not exact; whole numbers of Python are, at any length.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

PLACES = 18
"""Decimal places that are kept of a sum."""
_WIDE = Context(prec=200, rounding=ROUND_HALF_EVEN)
_LAST_PLACE = Decimal(1).scaleb(-PLACES)


@dataclass(frozen=True, slots=True)
class Scaled:
    """Decimal numbers as whole ones: each is `units` / 10^`places`."""

    units: NDArray[Any]
    """Python's integers, which do not overflow."""
    places: int

    @classmethod
    def of(cls, numbers: NDArray[np.float64]) -> "Scaled":
        """The decimal numbers that these floats were printed as; they have to be finite."""
        distinct, where = np.unique(numbers, return_inverse=True)
        printed = [Decimal(repr(number)) for number in distinct.tolist()]
        places = max((-int(number.as_tuple().exponent) for number in printed), default=0)
        places = max(places, 0)
        units = np.empty(len(printed), dtype=object)
        units[:] = [int(number.scaleb(places, _WIDE)) for number in printed]
        return cls(units[where], places)


def to_decimal(number: Fraction) -> Decimal:
    """The number to `PLACES` decimal places, half to even; all of it where it has no more."""
    quotient = _WIDE.divide(Decimal(number.numerator), Decimal(number.denominator))
    return quotient.quantize(_LAST_PLACE, context=_WIDE)
