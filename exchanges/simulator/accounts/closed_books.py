"""A market some of whose books are closed: nobody sees them, nobody trades with them."""

from collections.abc import Sequence
from decimal import Decimal

from exchanges.simulator.core.ports import Market
from exchanges.simulator.core.values import BookChanged, Levels, MarketEvent, TradePrinted, TradingStatus

_ALL = 1_000_000
_NOTHING: tuple[Levels, Levels] = ((), ())


def _gone(side: Levels) -> Levels:
    return tuple((ticks, 0) for ticks, _ in side)


class ClosedBooks:
    """`Market` that shows closed books as empty, and what happens in them not at all.

    The street goes on behind the curtain, so that a listing that opens again has the price of the day. The chain of
    a book's ids holds: the change that empties it follows the last one seen, and the one that fills it follows that.
    """

    def __init__(self, street: Market) -> None:
        self.listings = street.listings
        self._street = street
        self._last_ids: dict[int, int] = {}
        self._returning: set[int] = set()

    @property
    def any_closed(self) -> bool:
        """Whether there is anything to hide."""
        return bool(self._last_ids)

    def is_closed(self, listing: int) -> bool:
        """Whether a book is not to be seen; also a moment after `open`."""
        return listing in self._last_ids

    def close(self, listing: int, ts_ns: int) -> Sequence[MarketEvent]:
        """Empty a book: what everybody sees of it."""
        self._returning.discard(listing)
        if listing in self._last_ids:
            return ()
        bids, asks = self._street.levels(listing, _ALL)
        last = self._street.book_id(listing)
        self._last_ids[listing] = last + 1
        return (BookChanged(listing, ts_ns, last + 1, last + 1, last, _gone(bids), _gone(asks), True),)

    def open(self, listing: int, ts_ns: int) -> Sequence[MarketEvent]:
        """Show it again: what everybody sees of it. Where it has not changed since, it comes with its next change.

        That is because it needs an id behind those that were seen.
        """
        if listing not in self._last_ids:
            return ()
        if self._street.book_id(listing) <= self._last_ids[listing]:
            self._returning.add(listing)
            return ()
        return (self._whole(listing, ts_ns),)

    def seen(self, events: Sequence[MarketEvent]) -> list[MarketEvent]:
        """Of a batch that the street has just finished, what is not hidden; books that return come whole."""
        shown: list[MarketEvent] = []
        back: dict[int, int] = {}
        for event in events:
            if not isinstance(event, BookChanged | TradePrinted) or event.listing not in self._last_ids:
                shown.append(event)
            elif isinstance(event, BookChanged) and self._returns(event):
                back[event.listing] = event.ts_ns
        return [*shown, *(self._whole(listing, ts_ns) for listing, ts_ns in back.items())]

    def _returns(self, event: BookChanged) -> bool:
        return event.listing in self._returning and event.last_id > self._last_ids[event.listing]

    def _whole(self, listing: int, ts_ns: int) -> BookChanged:
        self._returning.discard(listing)
        previous = self._last_ids.pop(listing)
        bids, asks = self._street.levels(listing, _ALL)
        return BookChanged(listing, ts_ns, previous + 1, self._street.book_id(listing), previous, bids, asks, True)

    # The market

    def advance_to(self, ts_ns: int) -> Sequence[MarketEvent]:
        """As the street does."""
        return self._street.advance_to(ts_ns)

    def next_event_ns(self) -> int:
        """As the street does."""
        return self._street.next_event_ns()

    def levels(self, listing: int, depth: int) -> tuple[Levels, Levels]:
        """Bids and asks; none of a closed book."""
        return _NOTHING if listing in self._last_ids else self._street.levels(listing, depth)

    def book_id(self, listing: int) -> int:
        """`last_id` of the newest change that was seen."""
        return self._last_ids.get(listing) or self._street.book_id(listing)

    def mark(self, listing: int) -> Decimal:
        """The street's mark price, also of a closed book: positions are still worth something."""
        return self._street.mark(listing)

    def status(self, listing: int) -> TradingStatus:
        """As the street has it."""
        return self._street.status(listing)

    def set_status(self, listing: int, status: TradingStatus, ts_ns: int) -> Sequence[MarketEvent]:
        """As the street does."""
        return self._street.set_status(listing, status, ts_ns)

    def take(
        self, listing: int, *, buys: bool, lots: int, limit_ticks: int | None, ts_ns: int
    ) -> tuple[Levels, Sequence[MarketEvent]]:
        """Trade against the book; a closed one gives nothing."""
        if listing in self._last_ids:
            return (), ()
        return self._street.take(listing, buys=buys, lots=lots, limit_ticks=limit_ticks, ts_ns=ts_ns)

    def rest(
        self, listing: int, order_number: int, *, buys: bool, ticks: int, lots: int, ts_ns: int
    ) -> Sequence[MarketEvent]:
        """As the street does; the caller puts nothing into a closed book.

        Raises:
            ValueError: If the book is closed.
        """
        if listing in self._last_ids:
            raise ValueError(f"order {order_number} cannot rest: the book of listing {listing} is closed")
        return self._street.rest(listing, order_number, buys=buys, ticks=ticks, lots=lots, ts_ns=ts_ns)

    def withdraw(self, listing: int, order_number: int, ts_ns: int) -> tuple[int, Sequence[MarketEvent]]:
        """As the street does."""
        return self._street.withdraw(listing, order_number, ts_ns)

    def shrink(self, listing: int, order_number: int, lots: int, ts_ns: int) -> tuple[bool, Sequence[MarketEvent]]:
        """As the street does."""
        return self._street.shrink(listing, order_number, lots, ts_ns)
