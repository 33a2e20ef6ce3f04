"""A venue with one feed, as whoever watches it sees it; whether orders go there is settled elsewhere."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol

from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument
from bot.domain.market import PrintedQuote
from bot.ports import FrameDecoder, MarketReader, MarketSink, Wiring
from bot.settings import Settings

AskInstruments = Callable[[Collection[str], Settings], Awaitable[dict[str, Instrument]]]


class _Read(Protocol):
    def __call__(
        self,
        slots: Mapping[str, int],
        sink: MarketSink,
        wiring: Wiring,
    ) -> MarketReader: ...


class WatchedVenue:
    """A `LiveVenueModule` made of the parts of a venue's folder."""

    def __init__(
        self,
        feed: Feed,
        *,
        decoder: Callable[[Mapping[str, int], MarketSink], FrameDecoder],
        reader: _Read,
        instruments: AskInstruments,
        quoted_symbol: Callable[[bytes], str | None],
        printed: Callable[[bytes], PrintedQuote],
        shipped: Mapping[str, Instrument],
        fees: FeeSchedule,
    ) -> None:
        """Each part is told of in the method that uses it."""
        self.id = feed.venue
        self._feed = feed
        self._decoder = decoder
        self._reader = reader
        self._instruments = instruments
        self._quoted_symbol = quoted_symbol
        self._printed = printed
        self._shipped = shipped
        self._fees = fees

    def feeds(self) -> Sequence[Feed]:
        """The one."""
        return (self._feed,)

    def decoder(self, feed: Feed, slots: Mapping[str, int], sink: MarketSink) -> FrameDecoder:
        """A decoder; `slots` maps the stream's symbols to slots."""
        return self._decoder(slots, sink)

    def reader(
        self,
        feed: Feed,
        slots: Mapping[str, int],
        sink: MarketSink,
        wiring: Wiring,
    ) -> MarketReader:
        """A live connection; nothing happens before its `start`.

        Raises:
            SettingsError: If it would read the real exchange where nothing may leave the machine.
        """
        return self._reader(slots, sink, wiring)

    async def instruments(self, feed: Feed, wanted: Collection[str], settings: Settings) -> dict[str, Instrument]:
        """Ask the venue for the instruments with these unified symbols, or `ALL`; by the stream's symbol.

        Raises:
            SettingsError: If one of them does not trade, or is described in a way that is not safe to use.
            VenueError: The venue cannot be asked, or refuses.
        """
        return await self._instruments(wanted, settings)

    def quoted_symbol(self, raw: bytes) -> str | None:
        """The stream's symbol if `raw` tells of a top of book, else None."""
        return self._quoted_symbol(raw)

    def printed(self, feed: Feed, raw: bytes) -> PrintedQuote:
        """A delivered quote again, with the digits that the venue printed.

        Raises:
            MalformedPayload: If `raw` is no top of book that the decoder delivered.
        """
        return self._printed(raw)

    def shipped_instruments(self, feed: Feed) -> Mapping[str, Instrument]:
        """By the stream's symbol: what is known without asking; empty for a feed that is not the venue's."""
        return self._shipped if feed == self._feed else {}

    def published_fees(self, feed: Feed) -> FeeSchedule | None:
        """The lowest tier; None for a feed that is not the venue's."""
        return self._fees if feed == self._feed else None
