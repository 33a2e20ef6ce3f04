"""Figures of a venue that may be broken without spoiling the row that they stand in."""

from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

BROKEN = Decimal("NaN")
"""In place of a figure that is missing, or no number: whoever needs it refuses."""

_MOST_DIGITS = 18
"""Of what is counted, or a time in ms. Python itself makes no number of more than 4300."""


def whole_number(text: str) -> int | None:
    """`text` as a number of things; None where it is none, or beyond any."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


def figure(text: Any) -> Decimal:
    """`text` as a number; NaN where it is none."""
    try:
        return Decimal(str(text)) if text not in ("", None) else BROKEN
    except InvalidOperation:
        return BROKEN


def _price(text: Any) -> Decimal | None:
    # Venues write a price that does not exist as 0 or as nothing.
    if text in ("", None):
        return None
    price = figure(text)
    return None if price == 0 else price


Amount = Annotated[Decimal, Field(allow_inf_nan=False)]
"""A figure that its row is worth nothing without."""
Blank = Annotated[Decimal, Field(allow_inf_nan=False), BeforeValidator(lambda text: 0 if text in ("", None) else text)]
"""Venues leave empty what does not apply."""
Figure = Annotated[Decimal, Field(allow_inf_nan=True), BeforeValidator(figure)]
PriceOrNone = Annotated[Annotated[Decimal, Field(allow_inf_nan=True)] | None, BeforeValidator(_price)]
"""None: the venue says that there is none; NaN: it says nothing that can be read."""
