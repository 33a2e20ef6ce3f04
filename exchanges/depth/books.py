"""The order books of a market that is connected to: read once, whoever follows them."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

from bot.clock import Clock
from bot.domain.instrument import Feed, Instrument
from bot.errors import BotError
from bot.ports import FeedState, MarketReader, Wiring
from bot.settings import OrderBookSettings, Settings
from exchanges.common.market.depth import DepthSink
from exchanges.depth.fanout import DepthFanout
from exchanges.depth.readers import depth_readers, has_books

ALL = "ALL"


class BookSource(Protocol):
    """Where order books come from."""

    def wanted(self, settings: OrderBookSettings) -> list[int]:
        """The slots whose books the settings name, of those that have any."""

    def listen(self, slots: Collection[int], sink: DepthSink) -> None:
        """Tell `sink` of these slots' books; call it before the market runs."""


@runtime_checkable
class HasBooks(Protocol):
    """A market with order books."""

    books: BookSource


class LiveBooks:
    """As many sockets as the followed books need, and none where nobody follows any."""

    def __init__(self, by_feed: Mapping[Feed, Mapping[str, Instrument]], settings: Settings, clock: Clock) -> None:
        """Nothing is connected before `start`.

        Args:
            by_feed: Feed -> the venue's symbol -> instrument; their order gives the slots.
            settings: Addresses, limits and waits.
            clock: Stamps frames.
        """
        self._by_feed = by_feed
        self._settings = settings
        self._clock = clock
        instruments = (one for found in by_feed.values() for one in found.values())
        self._slots = {one.id: slot for slot, one in enumerate(instruments)}
        self._fanout = DepthFanout()
        self._readers: Sequence[MarketReader] = ()
        self._starting: list[asyncio.Task[None]] = []

    def wanted(self, settings: OrderBookSettings) -> list[int]:
        """The slots whose books the settings name, of those that can be read live."""
        return wanted_slots(self._by_feed, settings, has_books)

    def listen(self, slots: Collection[int], sink: DepthSink) -> None:
        """Tell `sink` of these slots' books; call it before `start`."""
        self._fanout.add(slots, sink)

    def start(self) -> None:
        """Connect, in the background: a market without its order books is still one to decide on.

        Raises:
            SettingsError: If a followed feed has no live order books.
        """
        for feed, found in self._by_feed.items():
            followed = {name: self._slots[one.id] for name, one in found.items()}
            followed = {name: slot for name, slot in followed.items() if slot in self._fanout.slots}
            if followed:
                readers = depth_readers({feed: followed}, self._fanout, Wiring(self._settings, self._clock))
                self._readers = [*self._readers, *readers]
                self._starting += [asyncio.create_task(self._start(reader, feed)) for reader in readers]

    async def stop(self) -> None:
        """Close every connection."""
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        await asyncio.gather(*(reader.stop() for reader in self._readers), return_exceptions=True)

    async def _start(self, reader: MarketReader, feed: Feed) -> None:
        try:
            await reader.start()
        except BotError as error:
            self._fanout.on_feed_state(feed, FeedState.FAILED, str(error))


def wanted_slots(
    by_feed: Mapping[Feed, Mapping[str, Instrument]], settings: OrderBookSettings, has: Callable[[Feed], bool]
) -> list[int]:
    """The slots whose books the settings name, of the feeds that have any."""
    listed = [(feed, one) for feed, found in by_feed.items() for one in found.values()]
    named = settings.symbols if settings.enabled else ()
    return [slot for slot, (feed, one) in enumerate(listed) if has(feed) and (ALL in named or one.symbol in named)]
