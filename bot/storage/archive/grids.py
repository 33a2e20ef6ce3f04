"""Prices and quantities as whole numbers: value = number / divisor, exactly the same float again.

A divisor is a power of ten. A venue prints decimals, and a decimal of up to fifteen digits is the float nearest to
(whole number / power of ten), which is what one division gives; tick × size would miss it by the last bit at times.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]

_MOST_DECIMALS = 15
_EXACT = 2.0**53
_SAMPLE = 64


def decimals(step: Decimal) -> int:
    """Digits behind the point of every multiple of `step`: 2 for 0.01 and for 0.25, 0 for 5."""
    exponent = step.normalize().as_tuple().exponent
    return min(max(-int(exponent), 0), _MOST_DECIMALS)


def on_grids(
    columns: Sequence[Floats], lengths: npt.NDArray[np.intp], hints: Sequence[int]
) -> tuple[list[Floats], Floats, bool]:
    """The columns times their divisor, the divisor of every row, and whether all of it is whole numbers.

    Args:
        columns: Of equal length; groups of rows share a divisor.
        lengths: Rows of each group.
        hints: Decimals that each group should have.

    Returns:
        Where a group is on no grid, its divisor is 1 and its numbers are the values; the flag is then False.
    """
    tens = 10.0 ** np.asarray(hints, np.float64)
    divisors = np.repeat(tens, lengths)
    scaled = [_times(column, divisors) for column in columns]
    fits = np.logical_and.reduce(
        [_is_same(number, divisors, column) for number, column in zip(scaled, columns, strict=True)]
    )
    is_whole = True
    if not fits.all():
        ends = np.cumsum(lengths)
        for group in np.unique(np.searchsorted(ends, np.flatnonzero(~fits), side="right")):
            rows = slice(int(ends[group] - lengths[group]), int(ends[group]))
            is_whole &= _regrid([column[rows] for column in columns], [s[rows] for s in scaled], divisors[rows])
    return scaled, divisors, is_whole


def _regrid(values: Sequence[Floats], scaled: Sequence[Floats], divisors: Floats) -> bool:
    """Find the group a grid of its own; whether there is one."""
    for digits in range(_MOST_DECIMALS + 1):
        ten = np.float64(10.0**digits)
        if all(_fits(column[:_SAMPLE], ten) for column in values) and all(_fits(column, ten) for column in values):
            divisors[:] = ten
            for column, out in zip(values, scaled, strict=True):
                out[:] = _times(column, ten)
            return True
    divisors[:] = 1.0
    for column, out in zip(values, scaled, strict=True):
        out[:] = column
    return False


def _fits(column: Floats, ten: np.float64) -> bool:
    return bool(_is_same(_times(column, ten), ten, column).all())


def _times(column: Floats, divisor: Floats | np.float64) -> Floats:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.rint(column * divisor))


def _is_same(numbers: Floats, divisor: Floats | np.float64, values: Floats) -> npt.NDArray[np.bool_]:
    # By bits: NaN is itself, and -0.0, which no integer can be, is not 0.0.
    with np.errstate(over="ignore", invalid="ignore"):
        back = np.asarray(numbers / divisor + 0.0)
    is_same: npt.NDArray[np.bool_] = (back.view(np.int64) == values.view(np.int64)) & (np.abs(numbers) < _EXACT)
    return is_same
