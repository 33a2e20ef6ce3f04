"""How a report for people writes counts, amounts and times."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal

from bot.text import inert

_SHOWN = Context(prec=40, rounding=ROUND_HALF_EVEN)


def tally(counts: Mapping[str, int]) -> str:
    """`net_edge 10, no_quote 4`; empty where nothing was counted."""
    return ", ".join(f"{inert(name)} {count}" for name, count in counts.items())


def amounts_in_words(amounts: Mapping[str, Decimal]) -> str:
    """Signed amounts in units of their assets, never added up."""
    return ", ".join(f"{digits(amount, 8)} {inert(asset)}" for asset, amount in amounts.items())


def digits(amount: Decimal, places: int) -> str:
    """Rounded; a true zero has no sign, and what is too small to see keeps one digit of its size."""
    rounded = _SHOWN.quantize(amount, Decimal(1).scaleb(-places))
    if not rounded and amount:
        return f"{amount:.0e}"
    return f"{rounded or Decimal(0).scaleb(-places):f}"


def moment(ts_ns: int | None) -> str:
    """UTC, to the second; a question mark where it is not known."""
    if ts_ns is None:
        return "?"
    return f"{datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S}Z"
