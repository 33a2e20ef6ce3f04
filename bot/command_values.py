"""Values of the command line: durations, times, recordings, choices. Errors say what to write instead."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from bot.domain.instrument import Feed, Segment
from bot.suggestion import did_you_mean

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST_S = 3650 * 86400.0
_PART = r"(\d{1,15}(?:\.\d{1,15})?)(ms|[smhd])"


class Recording(NamedTuple):
    """A file of raw frames, and the feed that they came from."""

    feed: Feed
    path: Path


def parse_port(text: str) -> int:
    """A TCP port; 0 means any free one.

    Raises:
        ValueError: If it is no port.
    """
    if not text.isascii() or not text.isdecimal() or int(text) > 65_535:
        raise ValueError("must be a port, 0 to 65535")
    return int(text)


def parse_seed(text: str) -> int:
    """A seed: a whole number, 0 or more.

    Raises:
        ValueError: If it is none.
    """
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise ValueError("must be a whole number, 0 or more")
    return int(text)


def parse_duration(text: str) -> float:
    """Seconds of `500ms`, `30s`, `10m`, `2h`, `1d` or `1h30m`.

    Raises:
        ValueError: If it is none of these, zero, or longer than ten years.
    """
    if re.fullmatch(f"({_PART})+", text, re.ASCII) is None:
        raise ValueError("write a number and its unit: 500ms, 30s, 10m, 2h, 1d or 1h30m")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in re.findall(_PART, text, re.ASCII))
    if not 0 < seconds <= _LONGEST_S:
        raise ValueError("must be above zero and at most ten years")
    return seconds


def parse_since(text: str) -> timedelta | datetime:
    """How long ago (`24h`), or an aware UTC time (`2024-08-08T13:00:00Z`; without an offset it is UTC).

    Raises:
        ValueError: If it is neither.
    """
    if re.match(_PART, text, re.ASCII):
        return timedelta(seconds=parse_duration(text))
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("write a duration (24h) or a UTC time (2024-08-08T13:00:00Z)") from None


def parse_recording(text: str) -> Recording:
    """Read `VENUE.SEGMENT=PATH`.

    Raises:
        ValueError: If it is not of that form, or the segment is none.
    """
    name, _, path = text.partition("=")
    venue, _, segment = name.partition(".")
    if not (venue and segment and path):
        raise ValueError("write FEED=PATH, for example binance.spot=spot.gz")
    # The shell leaves a `~` after `FEED=` as it is.
    return Recording(Feed(venue=venue, segment=Segment(choose(segment, tuple(Segment)))), Path(path).expanduser())


def parse_override(text: str) -> str:
    """`KEY=VALUE` as it is; the settings judge key and value.

    Raises:
        ValueError: If there is no `=`, or nothing before it.
    """
    if not text.partition("=")[0].strip() or "=" not in text:
        raise ValueError("write KEY=VALUE, for example risk.max_open_pairs=1")
    return text


def not_blank(text: str) -> str:
    """`text` as it is.

    Raises:
        ValueError: If there is nothing in it.
    """
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def choose(text: str, choices: Sequence[str]) -> str:
    """The choice that `text` names.

    Raises:
        ValueError: If it names none; the nearest is told.
    """
    if text in choices:
        return text
    raise ValueError(f"must be one of {', '.join(choices)}{did_you_mean(text, choices)}")
