"""Times that venues write as text (RFC 3339) as UTC nanoseconds."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def iso_ns(text: object) -> int:
    """UTC ns of `2026-07-10T00:00:00.123456Z`, cut to whole microseconds.

    Raises:
        ValueError: If it is no time with a zone, or one before 1970.
    """
    if not isinstance(text, str):
        raise ValueError("a time is text")  # noqa: TRY004 - pydantic turns a ValueError into one of its own
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    ns = (moment - _EPOCH) // _MICROSECOND * 1_000
    if ns < 0:
        raise ValueError("a time before 1970")
    return ns


def iso_ns_or_none(text: object) -> int | None:
    """The same, and None for None, 1970 and the year 1, which venues write where they know no time.

    Raises:
        ValueError: If it is no time with a zone.
    """
    if text is None or (isinstance(text, str) and text.startswith(("0001-01-01T", "1970-01-01T00:00:00"))):
        return None
    return iso_ns(text)


IsoAsNs = Annotated[int, BeforeValidator(iso_ns)]
IsoAsNsOrNone = Annotated[int | None, BeforeValidator(iso_ns_or_none)]
