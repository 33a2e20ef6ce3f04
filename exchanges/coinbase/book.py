"""One product's book, kept for its top. Coinbase's own tickers come with trades alone: between two they are old."""

import json

from bot.domain.market import TopOfBook
from bot.domain.order_book import BookChange, OrderBook
from bot.errors import MalformedPayload, SequenceGap

_DEPTH = 5_000
"""Levels kept on each side of the tens of thousands that a snapshot has; a new one is asked for long before none is."""
_NOTHING = ("0", "0")

Told = tuple[TopOfBook, bytes]
"""A top of book, and a payload that holds its digits."""


class TopKeeper:
    """A book that is right, or not there. Everything that shows that it may be wrong forgets it."""

    def __init__(self, symbol: str) -> None:
        """No book; `symbol` is Coinbase's (`BTC-USD`)."""
        self._symbol = symbol
        self._book = OrderBook(_DEPTH, is_window=False)
        self._told: tuple[tuple[str, str], tuple[str, str]] | None = None
        self._sequence = 1
        self.is_lost = False
        """Whether there was a book, or a change to one, that could not be trusted: a whole one has to come."""

    def take(self, change: BookChange) -> Told | None:
        """The top after a change; None where the change left it as it was, and while a whole book has to come.

        Raises:
            SequenceGap: There is no book to change, or its known levels are nearly used up.
            MalformedPayload: The change makes no book; it is forgotten.
        """
        if change.whole:
            self.is_lost, self._told = False, None
        elif self.is_lost:
            return None
        elif self._book.sequence is None:
            raise SequenceGap(f"{self._symbol}: a change came before any book")
        self._book.apply(change)
        if self._book.is_crossed:
            raise MalformedPayload(f"{self._symbol}: bids cross asks")
        if self._book.is_thin:
            raise SequenceGap(f"{self._symbol}: the known levels are nearly used up")
        return self._news(change.ts_event_ns)

    def lose(self) -> Told | None:
        """Forget the book; what to tell in place of its top (a quote of nothing), or None if none was told."""
        self._book.clear()
        had, self._told, self.is_lost = self._told is not None, None, True
        return self._quote((_NOTHING, _NOTHING), None) if had else None

    def forget(self) -> None:
        """A new connection begins: its first message is a whole book."""
        self._book.clear()
        self._told, self.is_lost, self._sequence = None, False, 1

    def _news(self, ts_event_ns: int | None) -> Told | None:
        bids, asks = self._book.bids.printed(1), self._book.asks.printed(1)
        top = bids[0] if bids else _NOTHING, asks[0] if asks else _NOTHING
        if top == self._told:
            return None
        self._told = top
        return self._quote(top, ts_event_ns)

    def _quote(self, top: tuple[tuple[str, str], tuple[str, str]], ts_event_ns: int | None) -> Told:
        (bid, bid_qty), (ask, ask_qty) = top
        # The venue's numbers count messages of a connection: the time is what grows beyond one.
        self._sequence = max(self._sequence, ts_event_ns or 0)
        quote = TopOfBook(
            bid_price=float(bid),
            bid_qty=float(bid_qty),
            ask_price=float(ask),
            ask_qty=float(ask_qty),
            sequence=self._sequence,
            ts_event_ns=ts_event_ns,
        )
        return quote, json.dumps(
            {"product_id": self._symbol, "bid": [bid, bid_qty], "ask": [ask, ask_qty]}, separators=(",", ":")
        ).encode()
