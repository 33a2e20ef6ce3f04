"""Moments and spans as people and programs write them, in UTC nanoseconds."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"(\d{1,19})(?:\.(\d{1,9}))?", re.ASCII)
_FRACTION = re.compile(r"[.,](\d{1,9})(?=Z|[+-]\d\d:?\d\d|$)", re.ASCII)
_UNITS = ((11, 1_000_000_000), (14, 1_000_000), (17, 1_000), (19, 1))
"""Digits of an epoch time -> ns of its unit: seconds have 11 until the year 5138, and so on; below 10 it is seconds."""
_LAST_NS = 2**63 - 1
_HINT = "write a UTC time (2024-08-08T23:55:00Z) or an epoch time in s, ms, µs or ns (1723161300)"
_SEPARATORS = ("..", "/")


class Span(NamedTuple):
    """From `start_ns` to before `stop_ns`, UTC."""

    start_ns: int
    stop_ns: int


def parse_instant(text: str) -> int:
    """UTC ns of `2024-08-08T23:55:00.5Z` (no offset means UTC), of a date (its midnight), or of an epoch time.

    An epoch time's unit is told by its digits: up to 11 are seconds, 12 to 14 milliseconds, 15 to 17 microseconds, 18
    and 19 nanoseconds. Nothing is rounded: a fraction may have the nine digits that a nanosecond needs.

    Raises:
        ValueError: If it is neither, or outside the years 1970 to 2262.
    """
    text = text.strip()
    number = _NUMBER.fullmatch(text)
    ns = _of_epoch(number[1], number[2] or "") if number else _of_iso(text)
    if not 0 <= ns <= _LAST_NS:
        raise ValueError(f"{text[:40]!r} lies outside the years 1970 to 2262; {_HINT}")
    return ns


def parse_span(text: str) -> Span:
    """`START..STOP` or `START/STOP`, each as for `parse_instant`; the end does not belong to it.

    Raises:
        ValueError: If either is no time, or the end does not lie behind the start.
    """
    for separator in _SEPARATORS:
        start, found, stop = text.partition(separator)
        if found:
            span = Span(parse_instant(start), parse_instant(stop))
            if span.start_ns >= span.stop_ns:
                raise ValueError(f"{text[:80]!r} ends before it begins; write START..STOP")
            return span
    raise ValueError(f"{text[:80]!r} is no span; write START..STOP, each a UTC time or an epoch time")


def utc_text(ts_ns: int) -> str:
    """The moment as text that `parse_instant` reads back: `2024-08-08T23:55:00Z`, with as many digits as it needs."""
    seconds, ns = divmod(ts_ns, 1_000_000_000)
    fraction = f".{ns:09d}".rstrip("0") if ns else ""
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _of_epoch(whole: str, fraction: str) -> int:
    unit_ns = next(unit for digits, unit in _UNITS if len(whole) <= digits)
    ns = Decimal(f"{whole}.{fraction or 0}") * unit_ns
    if ns != int(ns):
        raise ValueError(f"{whole}.{fraction} is finer than a nanosecond; {_HINT}")
    return int(ns)


def _of_iso(text: str) -> int:
    # `fromisoformat` keeps six digits of a fraction and drops the rest: they are read here.
    fraction = _FRACTION.search(text)
    whole = _FRACTION.sub("", text, count=1)
    try:
        if "." in whole or "," in whole:
            raise ValueError
        time = datetime.fromisoformat(whole)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} is no time; {_HINT}") from None
    whole_seconds = (time - _EPOCH) // timedelta(seconds=1)
    return whole_seconds * 1_000_000_000 + (int(fraction[1].ljust(9, "0")) if fraction else 0)
