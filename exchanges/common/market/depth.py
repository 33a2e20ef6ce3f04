"""What the depth readers of all venues share: one book per slot, and who hears of it."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from bot.domain.instrument import Feed
from bot.domain.order_book import BookChange, BookState, OrderBook
from bot.ports import FeedState
from exchanges.common.market.book_builder import BookBuilder, BookEvents

BuilderT = TypeVar("BuilderT", bound=BookBuilder)


class DepthSink(Protocol):
    """Where order books go. All calls come on one thread, in receive order."""

    def on_book(self, slot: int, book: OrderBook | None, change: BookChange, ts_recv_ns: int) -> None:
        """A change arrived; `book` has it and is the one to read, or None while it may not be used.

        The first change after a loss is a whole book: kept in order, the changes are an archive of the book. A snapshot
        and the changes that waited for it are told one after the other, with the book that has them all.
        """

    def on_book_state(self, slot: int, state: BookState, reason: str) -> None:
        """From now on the instrument's book may be used (VALID), or may not any more, and why."""

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        """A frame that belongs to no book; it was skipped."""

    def on_feed_state(self, feed: Feed, state: FeedState, detail: str) -> None:
        """A connection changed; `detail` is one line for a person."""

    def on_batch_end(self, ts_recv_ns: int) -> None:
        """Everything that was there to read has been delivered."""


class SlotBook(Generic[BuilderT]):
    """One instrument's builder, whose events go to the sink under its slot."""

    def __init__(
        self,
        slot: int,
        sink: DepthSink,
        build: Callable[[BookEvents], BuilderT],
        on_wanted: Callable[[str], None],
        on_valid: Callable[[], None] | None = None,
    ) -> None:
        """An empty book.

        Args:
            slot: Of the instrument.
            sink: Hears of the book.
            build: Makes the builder, which talks to this object.
            on_wanted: Takes why a whole book is wanted.
            on_valid: Called whenever the book has become right.
        """
        self._slot = slot
        self._sink = sink
        self._on_wanted = on_wanted
        self._on_valid = on_valid
        self.builder = build(self)

    def on_book_change(self, change: BookChange, ts_recv_ns: int) -> None:
        """To the sink, with the book if it may be used."""
        self._sink.on_book(self._slot, self.builder.book, change, ts_recv_ns)

    def on_book_state(self, state: BookState, reason: str) -> None:
        """To the sink."""
        if state is BookState.VALID and self._on_valid is not None:
            self._on_valid()
        self._sink.on_book_state(self._slot, state, reason)

    def on_book_wanted(self, reason: str) -> None:
        """To whoever can bring one."""
        self._on_wanted(reason)
