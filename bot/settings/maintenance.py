"""Windows of announced maintenance, as a person copies them from a venue's page."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator


def window(text: str) -> tuple[int, int]:
    """First and last moment of `2026-12-01T06:00Z/2026-12-01T08:00Z`, UTC ns.

    Raises:
        ValueError: It is none, has no time zone, or ends before it begins.
    """
    begin, slash, end = text.partition("/")
    if not slash:
        raise ValueError("two moments with a slash between: 2026-12-01T06:00Z/2026-12-01T08:00Z")
    begins_ns, ends_ns = _moment_ns(begin), _moment_ns(end)
    if ends_ns <= begins_ns:
        raise ValueError(f"{text} ends before it begins")
    return begins_ns, ends_ns


def _moment_ns(text: str) -> int:
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        raise ValueError(f"{text} names no time zone: put a Z behind a time in UTC")
    return int(moment.astimezone(UTC).timestamp()) * 10**9


def _checked(text: str) -> str:
    window(text)
    return text


Window = Annotated[str, AfterValidator(_checked)]
