"""Kraken's payloads as domain values, digits kept. Pure."""

import json
from typing import Any

from pydantic import ValidationError

from bot.domain.market import PrintedQuote
from bot.errors import MalformedPayload
from exchanges.kraken.quote_schemas import PrintedTicker
from exchanges.kraken.schemas import decoded

_TICKER = b'"ticker"'
_SYMBOL = b'"symbol":"'


def quoted_symbol(raw: bytes) -> str | None:
    """The v2 symbol (`BTC/USD`) if `raw` is a `ticker` frame, else None; of several rows the first one's."""
    if _TICKER not in raw or not raw.startswith(b"{"):
        return None
    if not raw.startswith(b'{"channel":"ticker"') or _SYMBOL not in raw:
        return _symbol_of_json(raw)
    symbol, mark, _ = raw.partition(_SYMBOL)[2].partition(b'"')
    return symbol.decode(errors="replace") if mark else None


def _symbol_of_json(raw: bytes) -> str | None:
    try:
        message = decoded(raw)
        return str(message["data"][0]["symbol"]) if message.get("channel") == "ticker" else None
    except (MalformedPayload, LookupError, TypeError):
        return None


def single_rows(raw: bytes) -> list[bytes]:
    """A `ticker` frame of several rows as frames of one each, digits kept."""
    message = _with_digits(raw)
    rows = message.pop("data")
    return [json.dumps({**message, "data": [row]}, separators=(",", ":")).encode() for row in rows]


def printed(raw: bytes) -> PrintedQuote:
    """The top of book of a payload that the decoder delivered, digits as Kraken printed them.

    Raises:
        MalformedPayload: If `raw` is no `ticker` frame.
    """
    try:
        quote = PrintedTicker.model_validate(_with_digits(raw)["data"][0])
    except (ValidationError, KeyError, IndexError, TypeError, ValueError):
        raise MalformedPayload("no ticker of Kraken") from None
    return PrintedQuote(**quote.model_dump())


def _with_digits(raw: bytes) -> dict[str, Any]:
    # Prices are JSON numbers: as text they keep the digits that were printed.
    message: dict[str, Any] = json.loads(raw, parse_float=str, parse_int=str, parse_constant=str)
    return message
