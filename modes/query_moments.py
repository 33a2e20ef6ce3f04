"""The market at one moment: the top of book, the whole book, and how far either may be trusted."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bot.domain.order_book import BookState
from bot.storage.instants import utc_text
from bot.storage.market_queries import BookAt
from modes.query_source import KeptSource


def quote_at(source: KeptSource, name: str, at_ns: int) -> dict[str, Any]:
    """The newest quote of a moment, its age, and the gap that the moment lies in.

    Raises:
        SettingsError: If none was kept up to then; what is kept is told.
    """
    found = source.market.top_of_book(name, at_ns)
    if found is None:
        source.nothing(name, "quote", f"up to {utc_text(at_ns)}")
    quote = found.quote
    return {
        "instrument": name,
        "at_ns": at_ns,
        "ts_recv_ns": found.ts_recv_ns,
        "age_s": (at_ns - found.ts_recv_ns) / 1e9,
        "ts_event_ns": quote.ts_event_ns,
        "sequence": quote.sequence,
        "bid_price": quote.bid_price,
        "bid_qty": quote.bid_qty,
        "ask_price": quote.ask_price,
        "ask_qty": quote.ask_qty,
        "gap": found.gap,
    }


@dataclass(frozen=True)
class BookAnswer:
    """An order book, and how old what it was built from is."""

    book: BookAt

    @property
    def age_s(self) -> float | None:
        """Since its newest message."""
        return None if self.book.ts_recv_ns is None else (self.book.ts_ns - self.book.ts_recv_ns) / 1e9

    @property
    def snapshot_age_s(self) -> float | None:
        """Since the whole book that it rests on."""
        return None if self.book.begun_ns is None else (self.book.ts_ns - self.book.begun_ns) / 1e9

    def facts(self, limit: int | None) -> dict[str, Any]:
        """All of it, with at most so many levels a side."""
        book = self.book
        return {
            "instrument": book.instrument,
            "at_ns": book.ts_ns,
            "state": book.state.value,
            "reason": book.reason,
            "ts_recv_ns": book.ts_recv_ns,
            "age_s": self.age_s,
            "snapshot_ns": book.begun_ns,
            "snapshot_age_s": self.snapshot_age_s,
            "ts_event_ns": book.ts_event_ns,
            "sequence": book.sequence,
            "bids": book.bids[:limit],
            "asks": book.asks[:limit],
        }

    def levels(self, limit: int | None) -> Iterator[dict[str, Any]]:
        """A row a level, best first; a book that is not VALID is one row without a level."""
        book = self.book
        head = {"instrument": book.instrument, "at_ns": book.ts_ns, "state": book.state.value, "reason": book.reason}
        head |= {"sequence": book.sequence, "age_s": self.age_s, "snapshot_age_s": self.snapshot_age_s}
        if book.state is not BookState.VALID:
            yield head | dict.fromkeys(("side", "level", "price", "quantity"))
        for side, levels in (("bid", book.bids), ("ask", book.asks)):
            for number, (price, quantity) in enumerate(levels[:limit], 1):
                yield head | {"side": side, "level": number, "price": price, "quantity": quantity}


def book_at(source: KeptSource, name: str, at_ns: int) -> BookAnswer:
    """The order book of a moment.

    Raises:
        SettingsError: If no book of it was kept up to then; what is kept is told.
    """
    book = source.market.order_book(name, at_ns)
    if book.state is BookState.EMPTY and book.ts_recv_ns is None:
        source.nothing(name, "book", f"up to {utc_text(at_ns)}")
    return BookAnswer(book)
