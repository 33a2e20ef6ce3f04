"""How an instrument's book stood at a minute's end; pure functions."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from bot.domain.instrument import Instrument
from bot.domain.order_book import BookState
from bot.storage.market_queries import BookAt, Level

LEVELS = 20
"""Of each side that a minute's row keeps."""


def minute_book_row(
    book: BookAt, instrument: Instrument, minute_end_ns: int, last_trade_ns: int | None = None, depth: int = LEVELS
) -> dict[str, Any] | None:
    """A row of the minute_books channel; None for a book that is not VALID, since no book is made up for a gap.

    Args:
        book: As it was at the minute's end, live or out of the archive.
        instrument: Tells how many digits the venue prints.
        minute_end_ns: UTC ns.
        last_trade_ns: The venue's time of the minute's newest trade; the book's own time stands in for it.
        depth: Levels a side.
    """
    if book.state is not BookState.VALID or book.ts_recv_ns is None:
        return None
    return {
        "instrument": book.instrument,
        "ts_recv_ns": minute_end_ns,
        "event_time_ns": book.ts_recv_ns if book.ts_event_ns is None else book.ts_event_ns,
        "last_transaction_time_ns": book.ts_event_ns if last_trade_ns is None else last_trade_ns,
        "bids": _printed(book.bids[:depth], instrument),
        "offers": _printed(book.asks[:depth], instrument),
    }


def to_minute_books_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the minute_books channel with what follows from its levels, in quote units per base unit.

    `event_time` and `last_transaction_time` are UTC ns; `bid`, `ask`, `mid` and `spread` (ask - bid) are `Decimal`,
    exact; `bids` and `offers` are lists of price and quantity, digits as the venue prints them, best first.
    """
    bid, ask = Decimal(row["bids"][0]["price"]), Decimal(row["offers"][0]["price"])
    return {
        "event_time": row["event_time_ns"],
        "last_transaction_time": row["last_transaction_time_ns"],
        "mid": (bid + ask) / 2,
        "bid": bid,
        "ask": ask,
        "spread": ask - bid,
        "bids": [(level["price"], level["quantity"]) for level in row["bids"]],
        "offers": [(level["price"], level["quantity"]) for level in row["offers"]],
    }


def printed(number: float, step: Decimal) -> str:
    """The number with the decimals of `step`; with as many as it needs where it is off that grid."""
    places = max(0, -int(step.normalize().as_tuple().exponent))
    text = f"{number:.{places}f}"
    return text if float(text) == number else format(Decimal(repr(number)), "f")


def _printed(levels: Sequence[Level], instrument: Instrument) -> list[dict[str, str]]:
    tick, lot = instrument.tick_size, instrument.lot_size
    return [{"price": printed(price, tick), "quantity": printed(quantity, lot)} for price, quantity in levels]
