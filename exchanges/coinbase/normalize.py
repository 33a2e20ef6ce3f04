"""Coinbase's payloads as domain values, digits kept. Pure."""

import json

from bot.domain.market import PrintedQuote
from bot.errors import MalformedPayload

_PRODUCT = b'"product_id":"'


def quoted_symbol(raw: bytes) -> str | None:
    """The product (`BTC-USD`) if `raw` tells of a book, of which tops are made; of several the first one's."""
    if not _is_book(raw):
        return None
    product, mark, _ = raw.partition(_PRODUCT)[2].partition(b'"')
    return product.decode(errors="replace") if mark else None


def _is_book(raw: bytes) -> bool:
    head = raw[:40]
    if b'"channel"' in head:
        return b'"l2_data"' in head
    return b'"l2update"' in raw or b'"snapshot"' in raw


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
