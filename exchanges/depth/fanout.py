"""One set of books for everybody who follows them: an engine, a recorder."""

from collections.abc import Collection

from bot.domain.instrument import Feed
from bot.domain.order_book import BookChange, BookState, OrderBook
from bot.ports import FeedState
from exchanges.common.market.depth import DepthSink


class DepthFanout:
    """Implements `DepthSink`: each listener hears of its own slots, in the order in which they began to listen."""

    def __init__(self) -> None:
        self._listeners: list[DepthSink] = []
        self._of_slot: dict[int, list[DepthSink]] = {}

    def add(self, slots: Collection[int], sink: DepthSink) -> None:
        """Tell `sink` of these slots, and of what concerns whole feeds."""
        self._listeners.append(sink)
        for slot in slots:
            self._of_slot.setdefault(slot, []).append(sink)

    @property
    def slots(self) -> Collection[int]:
        """Those that somebody follows."""
        return self._of_slot.keys()

    def on_book(self, slot: int, book: OrderBook | None, change: BookChange, ts_recv_ns: int) -> None:
        """To those who follow the slot."""
        for sink in self._of_slot[slot]:
            sink.on_book(slot, book, change, ts_recv_ns)

    def on_book_state(self, slot: int, state: BookState, reason: str) -> None:
        """To those who follow the slot."""
        for sink in self._of_slot[slot]:
            sink.on_book_state(slot, state, reason)

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        """To all."""
        for sink in self._listeners:
            sink.on_malformed(feed, raw, reason)

    def on_feed_state(self, feed: Feed, state: FeedState, detail: str) -> None:
        """To all."""
        for sink in self._listeners:
            sink.on_feed_state(feed, state, detail)

    def on_batch_end(self, ts_recv_ns: int) -> None:
        """To all."""
        for sink in self._listeners:
            sink.on_batch_end(ts_recv_ns)
