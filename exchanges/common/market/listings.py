"""How a venue lists its instruments now: asked in public, without a client library, whose reading holds up a loop."""

from collections.abc import Mapping, Sequence
from typing import Any

import pydantic_core

from bot.domain.instrument import ListingStatus
from bot.errors import VenueError, VenueUnavailable
from exchanges.common.requests.public_http import PublicHttp

_NEVER_MS = 4_102_444_800_000
"""2100-01-01: venues write a date of that year for what has no end."""
_MS = 1_000_000


def delivery_ns(delivery_ms: int | None) -> int | None:
    """A venue's date of delivery, UTC ns; None for 0 and for a date that stands for never."""
    return delivery_ms * _MS if delivery_ms and delivery_ms < _NEVER_MS else None


def listing_status(word: str, words: Mapping[str, ListingStatus], delivery: int | None) -> ListingStatus:
    """What a venue's word means: UNKNOWN for one that `words` lacks, and what ends some day is being delisted.

    Only for instruments that have no end by their nature: spot and perpetuals.
    """
    status = words.get(word, ListingStatus.UNKNOWN)
    return ListingStatus.DELISTING if status is ListingStatus.TRADING and delivery is not None else status


async def asked(venue: str, urls: Sequence[str]) -> list[Any]:
    """The answers to public questions, one after another, as JSON.

    A question that the venue refuses for what it asks (a symbol that it has no longer) has none, and spoils no other.

    Raises:
        VenueError: One of them was not answered with JSON, or all were refused.
    """
    http = PublicHttp(venue)
    answers: list[Any] = []
    refused: VenueError | None = None
    try:
        for url in urls:
            try:
                answers.append(_json(venue, await http.get(url)))
            except VenueError as error:
                if type(error) is not VenueError:
                    raise
                refused = error
    finally:
        await http.close()
    if refused is not None and not answers:
        raise refused
    return answers


def rows_under(venue: str, answer: Any, *path: str) -> list[Any]:
    """The rows that stand in an answer under these keys, in a list or each under its name.

    Raises:
        VenueUnavailable: If it has another shape.
    """
    for key in path:
        answer = answer.get(key) if isinstance(answer, Mapping) else None
    rows = list(answer.values()) if isinstance(answer, Mapping) else answer
    if not isinstance(rows, list):
        raise VenueUnavailable(venue, f"an answer without {'.'.join(path)}")
    return rows


def _json(venue: str, body: bytes) -> Any:
    try:
        return pydantic_core.from_json(body)
    except ValueError as error:
        raise VenueUnavailable(venue, "an answer that is no JSON") from error
