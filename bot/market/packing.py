"""Numbers in fewer bytes: whole numbers above the least of them, and prices as ticks of their grid. Nothing is lost."""

from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Bits: TypeAlias = NDArray[np.bool_]

_EXACT = 2.0**53
"""Below it every whole number is a float."""
_CODES = {"B": "=u1", "H": "=u2", "I": "=u4", "q": "=i8", "d": "=f8"}


class Grid(NamedTuple):
    """Numbers k × multiple / divisor, for whole k.

    One division of two exact floats is rounded once, like the decimal that a venue prints is when it is parsed: both
    give the same bits. k × 0.01 would not.
    """

    multiple: int
    divisor: float
    """A power of ten."""


@lru_cache(maxsize=256)
def grid_of(step: float) -> Grid:
    """The grid of a tick or a lot: 0.05 is 5 / 100.

    Raises:
        ValueError: If the step is not a number above zero.
    """
    if not 0 < step < float("inf"):
        raise ValueError(f"a grid needs a step above zero, not {step!r}")
    exact = Decimal(repr(step)).normalize()
    exponent = int(exact.as_tuple().exponent)
    return Grid(int(exact.scaleb(-exponent)), 10.0**-exponent) if exponent < 0 else Grid(int(exact), 1.0)


class Codec(NamedTuple):
    """What a stored number means: (stored + base) × multiple / divisor."""

    code: str
    """Of `struct`: B, H, I above the base; q and d as they came."""
    base: float
    """A whole number, but −0.0 for floats as they came: the only one whose addition changes no float."""
    multiple: int = 1
    divisor: float = 1.0


_WHOLE = Codec("q", 0)
_AS_THEY_CAME = Codec("d", -0.0)


def pack_ints(values: Ints) -> tuple[Codec, Ints]:
    """How these integers are stored, and what is stored."""
    low = int(values.min())
    code = _code(int(values.max()) - low)
    # Python's integers, for a difference of 2**63 would overflow.
    return (_WHOLE, values) if code is None else (Codec(code, low), values - low)


def pack_floats(values: Floats, grid: Grid | None) -> tuple[Codec, Floats]:
    """How these floats are stored, and what is stored; as they came unless every one of them is on the grid."""
    values = np.ascontiguousarray(values)
    found = None if grid is None else _ticks(values, grid)
    if grid is not None and found is not None:
        ticks, low, high = found
        code = _code(int(high - low))
        if code is not None:
            ticks -= low
            return Codec(code, int(low), *grid), ticks
    return _AS_THEY_CAME, values


def _code(span: int) -> str | None:
    if span <= 0xFF:
        return "B"
    if span <= 0xFFFF:
        return "H"
    return "I" if span <= 0xFFFF_FFFF else None


def _ticks(values: Floats, grid: Grid) -> tuple[Floats, float, float] | None:
    """How many multiples each value is, the least and the most; None where one would not come back bit by bit."""
    multiple, divisor = grid
    with np.errstate(over="ignore", invalid="ignore"):
        ticks: Floats = values * divisor
        if multiple != 1:
            ticks /= multiple
        np.rint(ticks, out=ticks)
        low, high = float(ticks.min()), float(ticks.max())
        if not (low * multiple > -_EXACT and high * multiple < _EXACT):  # NaN is in no range either
            return None
        if low <= 0:
            ticks += 0.0  # −0.0 is no whole number: it must not seem to come back
        back = ticks * multiple / divisor if multiple != 1 else ticks / divisor
    return (ticks, low, high) if back.tobytes() == values.tobytes() else None


def decoded_ints(stored: NDArray[Any], codec: Codec) -> Ints:
    """The integers again; the stored ones themselves where they stand as they came."""
    if codec.code == "q":
        return stored
    values = stored.astype(np.int64)
    values += int(codec.base)
    return values


def decoded_floats(stored: NDArray[Any], codec: Codec) -> Floats:
    """The floats again, bit by bit; the stored ones themselves where they stand as they came."""
    if codec.code == "d":
        return stored
    values = stored.astype(np.float64)
    # Whole numbers below 2**53 all the way to the one division.
    values += codec.base
    if codec.multiple != 1:
        values *= codec.multiple
    if codec.divisor != 1.0:
        values /= codec.divisor
    return values


def dtype_of(codec: Codec) -> np.dtype[Any]:
    """The type in which numbers of the codec are stored."""
    return np.dtype(_CODES[codec.code])
