"""The order books behind the quotes: where their gap-checked builders hand them in, and where they are looked at."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from bot.domain.instrument import Feed
from bot.domain.market import PublicTrade
from bot.domain.order import Side
from bot.domain.order_book import BookChange, BookState, OrderBook, offered
from bot.engine.feed_desk import NAMED_MALFORMED
from bot.engine.slot import InstrumentSlot
from bot.ports import FeedState
from bot.pricing.ladder import Ladder, ladder
from bot.settings import Settings

_NAMED_LOSSES = 3


@runtime_checkable
class FillsFromBooks(Protocol):
    """A venue that fills from the books that it is shown: the paper venue. Others fill from their own."""

    def on_book(self, slot: int, book: OrderBook | None) -> None:
        """From now on orders meet this book, as it is when they come; None: what quotes show is all there is."""


@runtime_checkable
class FillsFromTrades(Protocol):
    """A venue whose resting orders are filled by what the public trades: the paper venue."""

    def on_trade(self, slot: int, trade: PublicTrade) -> None:
        """Somebody traded."""


class BookDesk:
    """Keeps each slot's book while it is right. What depth readers call their sink (`exchanges.common.market.depth`).

    A book that may not be used is None before the call that says so returns, so no decision is taken on it. Books
    decide nothing themselves: the next quote does.
    """

    def __init__(self, slots: Sequence[InstrumentSlot], venue: object, event: Callable[[str, str], None]) -> None:
        """Fill `slots`, show `venue` the books if it fills from them; `event` takes a level and a line for a person."""
        self._slots = slots
        self._show = venue.on_book if isinstance(venue, FillsFromBooks) else None
        self._event = event
        self.malformed = 0
        self.lost: Counter[str] = Counter()
        """By instrument id: how often its book was not to be used any more."""
        self._closed: set[Feed] = set()
        """Whose connection was ended in order: that books go with it is no loss."""

    def on_book(self, slot: int, book: OrderBook | None, change: BookChange, ts_recv_ns: int) -> None:
        """A change arrived; `book` has it, or is None while it may not be used."""
        s = self._slots[slot]
        s.book_ns = ts_recv_ns
        if book is not s.book:
            self._hand_over(s, book)

    def on_book_state(self, slot: int, state: BookState, reason: str) -> None:
        """The book may be used (its next change brings it), or may not any more."""
        s = self._slots[slot]
        if state is not BookState.VALID and s.book is not None:
            self._hand_over(s, None)
            if s.feed not in self._closed:
                self._say_lost(s, state, reason)

    def _say_lost(self, s: InstrumentSlot, state: BookState, reason: str) -> None:
        self.lost[s.instrument.id] += 1
        count = self.lost[s.instrument.id]
        if count <= _NAMED_LOSSES or count & (count - 1) == 0:  # then only each time their number has doubled
            times = "" if count == 1 else f" ({count} times so far)"
            why = f"order book {state.value}{times}: {reason}; sizes follow the quote until it is whole"
            self._event("info" if count <= _NAMED_LOSSES else "warning", f"{s.instrument.id}: {why}")

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        """A frame that belongs to no book."""
        self.malformed += 1
        if self.malformed <= NAMED_MALFORMED:
            self._event("warning", f"{feed} order books: malformed frame skipped: {reason}")

    def on_feed_state(self, feed: Feed, state: FeedState, detail: str) -> None:
        """The books say themselves what becomes of them; a person has to know when none will come any more."""
        if state is FeedState.CLOSED:
            self._closed.add(feed)
        else:
            self._closed.discard(feed)
        if state is FeedState.FAILED:
            self._event("error", f"{feed} order books: {state.value}: {detail}; sizes follow the top of the book alone")

    def on_batch_end(self, ts_recv_ns: int) -> None:
        """Quotes decide."""

    def _hand_over(self, s: InstrumentSlot, book: OrderBook | None) -> None:
        s.book = book
        if self._show is not None:
            self._show(s.index, book)


class DepthMet:
    """What orders may take of an instrument now: of its book while that is fresh, else of its quote alone."""

    def __init__(self, settings: Settings) -> None:
        """By as many levels as are followed, of a book as young as a quote has to be, within the cap of orders."""
        self._levels = settings.order_books.levels
        self._max_age_ns = settings.quote_gate.max_age_ms * 1e6
        self._cap = settings.execution.price_cap_bps / 1e4

    def ladder(self, s: InstrumentSlot, side: Side, now_ns: int) -> Ladder:
        """For an order of `side` on an instrument that has a quote, base units; no level beyond its limit counts."""
        assert s.quote is not None
        book = s.book if now_ns - s.book_ns <= self._max_age_ns else None
        met = offered(s.quote, book, side, self._levels)
        return ladder(s.instrument, met, worst_price=met[0][0] * (1.0 + side.sign * self._cap))
