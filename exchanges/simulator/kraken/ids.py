"""Kraken's ids: `OABCDE-...` of orders, `TABCDE-...` of trades; here with the number in them."""

import re

_DIGITS = re.compile(r"([OT])(\d{5})-(\d{5})-(\d{6})")
_MOST_TRADES = 10**12


def order_id(number: int) -> str:
    """Of an order."""
    return _printed("O", number)


def trade_id(listing: int, number: int) -> str:
    """Of a trade: the market counts them by listing."""
    return _printed("T", listing * _MOST_TRADES + number)


def number_in(text: str) -> int | None:
    """Of an order's id; None where it is none."""
    found = _DIGITS.fullmatch(text)
    return int(found[2] + found[3] + found[4]) if found is not None and found[1] == "O" else None


def _printed(letter: str, number: int) -> str:
    digits = f"{number:016d}"
    return f"{letter}{digits[:5]}-{digits[5:10]}-{digits[10:]}"
