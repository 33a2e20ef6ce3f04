"""Order books on a tape: what changed them, and when; built again only when somebody is going to look.

A book decides nothing by itself, so a stretch of rows that decides nothing does not need it either. Changes are kept
in order and applied before the next row that takes the full way.
"""

from collections.abc import Callable, Sequence

from pydantic import BaseModel, ConfigDict

from bot.domain.instrument import Feed
from bot.domain.order_book import BookChange, BookState, OrderBook
from bot.engine.books import BookDesk
from bot.ports import FeedState


class BookEvent(BaseModel):
    """A book changed, came or went, before row `at` of its piece."""

    model_config = ConfigDict(frozen=True)

    at: int
    slot: int
    ts_recv_ns: int
    change: BookChange | None
    """None: from here on the book is not known."""
    depth: int
    is_window: bool
    """Of `bot.domain.order_book.OrderBook`."""


class BookWriter:
    """Implements `exchanges.common.market.depth.DepthSink`: writes down what it is told.

    Args:
        place: How many rows stand before what comes now, and the time of the newest.
        add: Takes each event.
    """

    def __init__(self, place: Callable[[], tuple[int, int]], add: Callable[[BookEvent], None]) -> None:
        self._place = place
        self._add = add
        self._known: set[int] = set()

    def on_book(self, slot: int, book: OrderBook | None, change: BookChange, ts_recv_ns: int) -> None:
        """A change; the first one of a book that was not known is written as the whole book."""
        if book is None:
            self._lose(slot, ts_recv_ns)
            return
        told = change if slot in self._known else book.image()
        if told is not None:
            self._known.add(slot)
            at, _ = self._place()
            self._add(
                BookEvent(
                    at=at, slot=slot, ts_recv_ns=ts_recv_ns, change=told, depth=book.depth, is_window=book.is_window
                )
            )

    def on_book_state(self, slot: int, state: BookState, reason: str) -> None:
        """A book that may not be used any more is not known."""
        if state is not BookState.VALID:
            self._lose(slot, self._place()[1])

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        """The book that lacks it says so itself."""

    def on_feed_state(self, feed: Feed, state: FeedState, detail: str) -> None:
        """The books say themselves what becomes of them."""

    def on_batch_end(self, ts_recv_ns: int) -> None:
        """Books end no batch."""

    def _lose(self, slot: int, ts_recv_ns: int) -> None:
        if slot in self._known:
            self._known.discard(slot)
            at, _ = self._place()
            self._add(BookEvent(at=at, slot=slot, ts_recv_ns=ts_recv_ns, change=None, depth=1, is_window=False))


class BookPlayer:
    """Builds the books again and hands them to an engine."""

    def __init__(self, desk: BookDesk) -> None:
        self._desk = desk
        self._books: dict[int, OrderBook] = {}
        self._events: Sequence[BookEvent] = ()
        self._next = 0

    def begin(self, events: Sequence[BookEvent]) -> None:
        """Apply what is left of the piece before, and take over the events of the next one."""
        self.catch_up(1 << 62)
        self._events, self._next = events, 0

    def catch_up(self, at: int) -> None:
        """Apply every change that came before row `at`."""
        events = self._events
        while self._next < len(events) and events[self._next].at <= at:
            self._apply(events[self._next])
            self._next += 1

    def _apply(self, event: BookEvent) -> None:
        change = event.change
        if change is None:
            self._books.pop(event.slot, None)
            self._desk.on_book_state(event.slot, BookState.INVALID, "as it was")
            return
        if event.slot not in self._books:
            if not change.whole:
                return  # a tape may begin between two whole books
            self._books[event.slot] = OrderBook(event.depth, is_window=event.is_window)
        book = self._books[event.slot]
        book.apply(change)
        self._desk.on_book(event.slot, book, change, event.ts_recv_ns)
