"""Coinbase's payloads as domain values, digits kept. Pure."""

import json

from bot.domain.market import PrintedQuote
from bot.errors import MalformedPayload

_PRODUCT = b'"product_id":"'
_BOOKS = (b'"l2_data"', b'"l2update"', b'"snapshot"')


def quoted_symbol(raw: bytes) -> str | None:
    """The product (`BTC-USD`) if `raw` tells of a book, of which tops are made; of several the first one's."""
    if not any(mark in raw for mark in _BOOKS) or b'"market_trades"' in raw[:40]:
        return None
    if _PRODUCT not in raw:
        return _product_of_json(raw)
    product, mark, _ = raw.partition(_PRODUCT)[2].partition(b'"')
    return product.decode(errors="replace") if mark else None


def _product_of_json(raw: bytes) -> str | None:
    try:
        message = json.loads(raw)
        return str((message["events"][0] if "events" in message else message)["product_id"])
    except (LookupError, TypeError, ValueError, RecursionError):
        return None


def printed(raw: bytes) -> PrintedQuote:
    """The top of book of a payload that the decoder delivered, digits as Coinbase printed them; an empty side is 0.

    Raises:
        MalformedPayload: If `raw` is no such payload.
    """
    try:
        message = json.loads(raw)
        (bid, bid_qty), (ask, ask_qty) = message["bid"], message["ask"]
        return PrintedQuote(
            symbol=message["product_id"],
            top_bid=bid,
            top_bid_quantity=bid_qty,
            top_ask=ask,
            top_ask_quantity=ask_qty,
        )
    except (KeyError, TypeError, ValueError, RecursionError):
        raise MalformedPayload("no top of book of Coinbase") from None
