"""Pieces of the JSON that the journal's encoder would make, for records that are spelled by hand.

Records between a decision and its orders are in nobody's way warm: 11 µs each. Cold, as they are then, the encoder
takes 0.2 ms for three of them.
"""

import math
from decimal import Decimal
from json.encoder import encode_basestring_ascii

text = encode_basestring_ascii
"""A string with its quotes."""


def text_or_null(value: str | None) -> str:
    """A string with its quotes, or null."""
    return "null" if value is None else text(value)


def decimal_or_null(value: Decimal | None) -> str:
    """A `Decimal` as the string of its digits, or null."""
    return "null" if value is None else f'"{value}"'


def whole_or_null(value: int | None) -> str:
    """A whole number, or null."""
    return "null" if value is None else str(value)


def number(value: float) -> str:
    """A number; one that is not finite is null, since JSON has none."""
    return repr(value) if math.isfinite(value) else "null"


def truth(value: bool) -> str:
    """True or false."""
    return "true" if value else "false"
