"""A feed's order books over one connection; what a venue's depth reader is built on."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Generic

from bot.domain.order_book import OrderBook
from bot.ports import FeedState, Wiring
from exchanges.common.market.book_builder import BookEvents
from exchanges.common.market.depth import BuilderT, DepthSink, SlotBook
from exchanges.common.market.feed_state import GONE
from exchanges.common.market.plan import StreamPlan
from exchanges.common.market.renewable import RenewableConnection


class DepthReader(ABC, Generic[BuilderT]):
    """Keeps a builder per symbol, and renews the connection where one wants a whole book.

    A venue's reader brings each frame to its builder (`_on_frame`), and fetches books itself where the venue has a
    better way than a new connection (`_on_wanted`, `_on_valid`).
    """

    def __init__(
        self,
        plan: StreamPlan,
        slots: Mapping[str, int],
        sink: DepthSink,
        build: Callable[[str, BookEvents], BuilderT],
        wiring: Wiring,
    ) -> None:
        """Nothing happens before `start`.

        Args:
            plan: The connection that carries them all.
            slots: The venue's symbols, and the slots that the sink knows them by.
            sink: Where the books go.
            build: Makes the builder of a symbol.
            wiring: What the connection is made with.
        """
        self._feed = plan.feed
        self._sink = sink
        self._builders = {symbol: self._builder(symbol, slot, build) for symbol, slot in slots.items()}
        self._by_slot = {slot: self._builders[symbol] for symbol, slot in slots.items()}
        self._connection = RenewableConnection(
            plan,
            settings=wiring.settings.connection,
            clock=wiring.clock,
            rng=wiring.rng,
            on_frame=self._on_frame,
            on_batch_end=sink.on_batch_end,
            on_state=self._on_state,
            tap=wiring.tap,
        )

    def book(self, slot: int) -> OrderBook | None:
        """The instrument's book, if it is right now."""
        return self._by_slot[slot].book

    async def start(self) -> None:
        """Connect and subscribe; returns when the first market data has come.

        Raises:
            VenueError: The venue cannot be reached, does not serve this place, or acknowledges and stays silent.
        """
        await self._connection.start()

    async def stop(self) -> None:
        """Close the connection; nothing is delivered afterwards."""
        await self._connection.stop()

    def _builder(self, symbol: str, slot: int, build: Callable[[str, BookEvents], BuilderT]) -> BuilderT:
        return SlotBook(
            slot,
            self._sink,
            partial(build, symbol),
            on_wanted=partial(self._on_wanted, symbol),
            on_valid=partial(self._on_valid, symbol),
        ).builder

    @abstractmethod
    def _on_frame(self, raw: bytes, ts_recv_ns: int) -> None:
        """To the builder that it belongs to."""

    def _on_wanted(self, symbol: str, reason: str) -> None:
        """The symbol's builder needs a whole book: all come again with a new connection."""
        # Its other books go with the connection, and from this moment none of them is followed any more.
        self._connection.renew(reason)
        self._reset(reason)

    def _on_valid(self, symbol: str) -> None:
        """The symbol's book has become right."""

    def _on_state(self, state: FeedState, detail: str) -> None:
        if state is FeedState.CLOSED:  # told before the books go: an orderly end is no loss of them
            self._sink.on_feed_state(self._feed, state, detail)
            self._reset(detail)
            return
        if state in GONE:
            self._reset(detail)
        self._sink.on_feed_state(self._feed, state, detail)

    def _reset(self, reason: str) -> None:
        for builder in self._builders.values():
            builder.reset(reason)
