"""Kraken's v2 payloads. Numbers come as JSON numbers; their digits are kept, since checksums are made over digits.

Source: https://docs.kraken.com/api/docs/websocket-v2/book (and `instrument` beside it).
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.errors import MalformedPayload

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MAX_CHECKSUM = 2**32 - 1
_MAX_DIGITS = 18


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class WireLevel(_Wire):
    """One level, digits as printed; quantity 0 deletes."""

    price: str
    qty: str


class BookData(_Wire):
    """One symbol's book, or what changed of it."""

    symbol: str
    bids: tuple[WireLevel, ...]
    asks: tuple[WireLevel, ...]
    checksum: int = Field(ge=0, le=_MAX_CHECKSUM)
    """CRC32 of the best ten levels of each side after this message."""
    timestamp: datetime | None = None

    @property
    def ts_event_ns(self) -> int | None:
        """The matching engine's time; snapshots of older servers carry none."""
        if self.timestamp is None or self.timestamp.tzinfo is None:
            return None
        return (self.timestamp - _EPOCH) // _MICROSECOND * 1_000


class BookFrame(_Wire):
    """A frame of the `book` channel."""

    channel: Literal["book"]
    type: Literal["snapshot", "update"]
    data: tuple[BookData, ...]


class Pair(_Wire):
    """The digits of a pair, as its checksums count them."""

    symbol: str
    price_precision: int = Field(ge=0, le=_MAX_DIGITS)
    qty_precision: int = Field(ge=0, le=_MAX_DIGITS)


class InstrumentData(_Wire):
    """What the `instrument` channel says about pairs."""

    pairs: tuple[Pair, ...] = ()


class InstrumentFrame(_Wire):
    """A frame of the `instrument` channel."""

    channel: Literal["instrument"]
    data: InstrumentData


def decoded(raw: bytes) -> dict[str, Any]:
    """A frame as plain data, every fraction as the digits that were printed.

    Raises:
        MalformedPayload: If it is not a JSON object.
    """
    try:
        message = json.loads(raw, parse_float=str)
    except (ValueError, RecursionError):
        raise MalformedPayload("not JSON") from None
    if not isinstance(message, dict):
        raise MalformedPayload("not a JSON object")
    return message


def book_frame(message: dict[str, Any]) -> BookFrame:
    """A decoded frame of the `book` channel.

    Raises:
        MalformedPayload: If it is not one.
    """
    try:
        return BookFrame.model_validate(_with_digits(message))
    except ValidationError as error:
        raise MalformedPayload(why(error)) from None


def why(error: ValidationError) -> str:
    """The first thing wrong with a payload, in a few words and nothing of the payload itself."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def _with_digits(message: dict[str, Any]) -> dict[str, Any]:
    # A whole number is printed without a point; as a price or quantity it is text like the others.
    rows = message.get("data")
    for row in rows if isinstance(rows, list) else ():
        for level in _levels(row):
            level.update({key: str(value) for key, value in level.items() if type(value) is int})
    return message


def _levels(row: Any) -> Sequence[dict[str, Any]]:
    sides = [row.get(side) for side in ("bids", "asks")] if isinstance(row, dict) else []
    return [level for side in sides if isinstance(side, list) for level in side if isinstance(level, dict)]
