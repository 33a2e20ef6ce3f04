"""What Kraken offers to `main.py`."""

import random
from collections.abc import Collection, Mapping, Sequence

from bot.clock import Clock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument
from bot.domain.market import PrintedQuote
from bot.ports import FrameDecoder, FrameTap, MarketReader, MarketSink
from bot.settings import Settings
from exchanges.kraken import metadata, normalize, shipped
from exchanges.kraken.decoder import KrakenDecoder
from exchanges.kraken.endpoints import SPOT, VENUE
from exchanges.kraken.reader import KrakenReader


class KrakenVenue:
    """Kraken spot: watched, not traded on by this version."""

    id = VENUE

    def feeds(self) -> Sequence[Feed]:
        """`kraken.spot`."""
        return (SPOT,)

    def decoder(self, feed: Feed, slots: Mapping[str, int], sink: MarketSink) -> FrameDecoder:
        """A decoder of spot; `slots` maps the v2 stream's symbols (`BTC/USD`) to slots."""
        return KrakenDecoder(slots, sink)

    def reader(
        self,
        feed: Feed,
        slots: Mapping[str, int],
        sink: MarketSink,
        settings: Settings,
        clock: Clock,
        rng: random.Random,
        tap: FrameTap | None = None,
    ) -> MarketReader:
        """A live connection; nothing happens before its `start`.

        Raises:
            SettingsError: If it would read the real exchange where nothing may leave the machine.
        """
        return KrakenReader(slots, sink, settings, clock, rng, tap)

    async def instruments(self, feed: Feed, wanted: Collection[str], settings: Settings) -> dict[str, Instrument]:
        """Ask Kraken for the pairs with these unified symbols, or `ALL`; the answer is by the stream's symbol.

        Raises:
            SettingsError: If one of them does not trade, or is described in a way that is not safe to use.
            VenueError: Kraken cannot be asked, or refuses.
        """
        return await metadata.instruments(wanted, settings)

    def quoted_symbol(self, raw: bytes) -> str | None:
        """The v2 symbol if `raw` is a `ticker` frame, else None."""
        return normalize.quoted_symbol(raw)

    def printed(self, feed: Feed, raw: bytes) -> PrintedQuote:
        """A delivered quote again, with the digits that Kraken printed.

        Raises:
            MalformedPayload: If `raw` is no `ticker` frame.
        """
        return normalize.printed(raw)

    def shipped_instruments(self, feed: Feed) -> Mapping[str, Instrument]:
        """By the v2 symbol: BTC and ETH against USD, USDT and USDC; empty for a feed that is not Kraken's."""
        return shipped.INSTRUMENTS if feed == SPOT else {}

    def published_fees(self, feed: Feed) -> FeeSchedule | None:
        """Kraken's lowest tier; None for a feed that is not Kraken's."""
        return shipped.FEES if feed == SPOT else None
