"""How numbers, times and names are written on the screen."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

MISSING = "–"


def bps(value: float | None, decimals: int = 1) -> str:
    """A dash where it is unknown; what rounds to zero has no sign."""
    return MISSING if value is None else f"{value:z,.{decimals}f}"


def milliseconds(value: float | None) -> str:
    """Whole milliseconds; a dash where it is unknown."""
    return MISSING if value is None else f"{value:z,.0f}"


def seconds(value: float) -> str:
    """`0.2 s`, `12 s`, `3 min`, `2 h`: as exactly as a person looks."""
    if value < 10:
        return f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7_200 else f"{value / 3_600:,.0f} h"


def count(value: float) -> str:
    """A whole number with separators."""
    return f"{value:,.0f}"


def money(value: Decimal) -> str:
    """Signed, four decimals; a smaller amount gets the eight that a coin has."""
    digits = 8 if 0 < abs(value) < Decimal("0.01") else 4
    return f"{value:+,.{digits}f}" if value else "0"


def moneys(amounts: dict[str, Decimal]) -> str:
    """Amounts of several assets, never added up: `+1.5000 USDT · -0.00010000 BNB`."""
    return " · ".join(f"{money(value)} {asset}" for asset, value in amounts.items()) or "none"


def tone_of(value: Decimal | float | None) -> str:
    """`good` above zero, `bad` below, `dim` otherwise."""
    if not value:
        return "dim"
    return "good" if value > 0 else "bad"


def moment(ts_ns: int) -> str:
    """`2024-08-08 10:00:03 UTC`."""
    return f"{_utc(ts_ns):%Y-%m-%d %H:%M:%S} UTC"


def time_of_day(ts_ns: int) -> str:
    """`10:00:03`, UTC."""
    return f"{_utc(ts_ns):%H:%M:%S}"


def duration(ns: int) -> str:
    """`1 d 02:03:04`, without days when there are none."""
    span = timedelta(seconds=max(0, ns) // 1_000_000_000)
    hours, seconds = divmod(span.seconds, 3600)
    days = f"{span.days} d " if span.days else ""
    return f"{days}{hours:02}:{seconds // 60:02}:{seconds % 60:02}"


def progress_bar(part: float, width: int) -> str:
    """`━━━━╸┄┄┄  45 %`, `width` cells long without the figure."""
    part = min(max(part, 0.0), 1.0)
    halves = round(part * width * 2)
    line = "━" * (halves // 2) + "╸" * (halves % 2)
    return f"{line.ljust(width, '┄')} {part:4.0%}"


def pair(buy: str, sell: str) -> str:
    """Two instruments (`venue:symbol`) as one line; what both have in common is said once."""
    buy_venue, _, buy_symbol = buy.partition(":")
    sell_venue, _, sell_symbol = sell.partition(":")
    if not buy_symbol or not sell_symbol:
        return f"{buy} → {sell}"
    if buy_symbol == sell_symbol:
        return f"{buy_symbol} {buy_venue} → {sell_venue}"
    if buy_venue == sell_venue:
        return f"{buy_venue} {buy_symbol} → {sell_symbol}"
    return f"{buy_venue} {buy_symbol} → {sell_venue} {sell_symbol}"


def kind(kind: str, route: str) -> str:
    """A route's kind; those that differ by what hedges them (`:hedge=VENUE:SYMBOL` in the id) are told apart by it."""
    hedges = (part.partition(":")[0] for part in route.split(":hedge=")[1:])
    return kind.replace("_", " ") + "".join(f", hedged on {venue}" for venue in hedges)


def align_points(texts: list[str | None]) -> list[str]:
    """Decimal numbers padded on the right, so that their points stand under each other."""
    tails = [len(text) - text.find(".") if text and "." in text else 0 for text in texts]
    longest = max(tails, default=0)
    return [MISSING if text is None else text + " " * (longest - tail) for text, tail in zip(texts, tails, strict=True)]


def _utc(ts_ns: int) -> datetime:
    try:
        return datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.fromtimestamp(0, UTC)
