"""From a venue's book messages to an order book that is right, or said to be INVALID; what every venue shares.

    EMPTY -> SYNCING -> VALID <-> INVALID

A builder is synchronous and performs nothing: what it needs from outside it asks for, and whoever drives it does the
I/O. A message that is missing, does not decode or crosses the book makes it INVALID before `on_frame` returns, so no
decision can be taken on it.
"""

from collections.abc import Sequence
from typing import Protocol

from bot.domain.order_book import BookChange, BookState, OrderBook
from bot.errors import MalformedPayload, MarketDataError, SequenceGap


class BookEvents(Protocol):
    """Who a builder talks to."""

    def on_book_change(self, change: BookChange, ts_recv_ns: int) -> None:
        """It is in the book now, whose state has been told; the first one after a loss is whole."""

    def on_book_state(self, state: BookState, reason: str) -> None:
        """The state or its reason changed; `reason` is empty for a VALID book."""

    def on_book_wanted(self, reason: str) -> None:
        """The builder needs a whole book; told once, until one has come or the builder was reset."""


class BookBuilder:
    """One instrument's book. A venue's builder adds which message may follow which."""

    def __init__(self, book: OrderBook, events: BookEvents) -> None:
        """`book` is empty, and this builder's alone to change."""
        self._book = book
        self._events = events
        self._has_asked = False
        self.state = BookState.EMPTY
        self.error: MarketDataError | None = None
        """Why the book is INVALID or EMPTY: SequenceGap, MalformedPayload, or no book that a market could have."""

    @property
    def book(self) -> OrderBook | None:
        """The book while it is VALID, else None."""
        return self._book if self.state is BookState.VALID else None

    def reset(self, reason: str) -> None:
        """The messages' source is gone (connection lost): nothing is known any more, and nothing asked for."""
        self._forget()
        self._has_asked = False
        if self.state is not BookState.EMPTY:
            self._move(BookState.INVALID, MarketDataError(reason))

    def _forget(self) -> None:
        self._book.clear()

    def _lose(self, error: MarketDataError) -> None:
        """The book is not to be trusted from now on: INVALID, and a new one is asked for."""
        self._forget()
        self._move(BookState.INVALID, error)
        self._ask(str(error))

    def _ask(self, reason: str) -> None:
        if self.state is BookState.EMPTY and self._book.sequence is None:
            self._move(BookState.SYNCING, None)
        if not self._has_asked:
            self._has_asked = True
            self._events.on_book_wanted(reason)

    def _take(self, changes: Sequence[BookChange], ts_recv_ns: int, *, is_joined: bool = True) -> None:
        """Put changes in the book, say what it then is, and tell them if there still is one.

        In this order: who hears of a change may read the book, and must not find a crossed one. `is_joined` is False
        where the changes alone do not show that none is missing.
        """
        try:
            for change in changes:
                self._book.apply(change)
        except MalformedPayload as error:
            self._lose(error)
            return
        if is_joined:
            self._judge()
        if self._book.sequence is not None:
            for change in changes:
                self._events.on_book_change(change, ts_recv_ns)

    def _judge(self) -> None:
        """Say what the book is, now that everything that has come is in it."""
        book = self._book
        if book.is_crossed:
            self._lose(MarketDataError(f"crossed: bid {book.bids.best_price} >= ask {book.asks.best_price}"))
        elif len(book.bids) and len(book.asks):
            self._move(BookState.VALID, None)
        else:
            self._judge_empty()

    def _judge_empty(self) -> None:
        book = self._book
        lacking = [name for name, side in (("bids", book.bids), ("asks", book.asks)) if not len(side)]
        if any(side.is_partial for side in (book.bids, book.asks) if not len(side)):
            self._lose(SequenceGap(f"every level of the {lacking[0]} that was known is used up"))
        elif len(lacking) == 2:
            self._move(BookState.EMPTY, MarketDataError("the venue's book is empty"))
        else:
            # The venue may well have none; the next change can bring some, and nothing is missing.
            self._move(BookState.INVALID, MarketDataError(f"no {lacking[0]}"))

    def _move(self, state: BookState, error: MarketDataError | None) -> None:
        if state is self.state and str(error) == str(self.error):
            return
        self.state, self.error = state, error
        self._events.on_book_state(state, "" if error is None else str(error))
