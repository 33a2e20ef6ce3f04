"""What Coinbase offers to `main.py`."""

import random
from collections.abc import Collection, Mapping, Sequence

from bot.clock import Clock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument
from bot.domain.market import PrintedQuote
from bot.ports import FrameDecoder, FrameTap, MarketReader, MarketSink
from bot.settings import Settings
from exchanges.coinbase import metadata, normalize, shipped
from exchanges.coinbase.decoder import CoinbaseDecoder
from exchanges.coinbase.endpoints import SPOT, VENUE
from exchanges.coinbase.reader import CoinbaseReader


class CoinbaseVenue:
    """Coinbase spot: watched, not traded on by this version."""

    id = VENUE

    def feeds(self) -> Sequence[Feed]:
        """`coinbase.spot`."""
        return (SPOT,)

    def decoder(self, feed: Feed, slots: Mapping[str, int], sink: MarketSink) -> FrameDecoder:
        """A decoder of spot; `slots` maps products (`BTC-USD`) to slots."""
        return CoinbaseDecoder(slots, sink)

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
        return CoinbaseReader(slots, sink, settings, clock, rng, tap)

    async def instruments(self, feed: Feed, wanted: Collection[str], settings: Settings) -> dict[str, Instrument]:
        """Ask Coinbase for the products with these unified symbols, or `ALL`; the answer is by product.

        Raises:
            SettingsError: If one of them does not trade, or is described in a way that is not safe to use.
            VenueError: Coinbase cannot be asked, or refuses.
        """
        return await metadata.instruments(wanted, settings)

    def quoted_symbol(self, raw: bytes) -> str | None:
        """The product if `raw` tells of a book, else None."""
        return normalize.quoted_symbol(raw)

    def printed(self, feed: Feed, raw: bytes) -> PrintedQuote:
        """A delivered quote again, with the digits that Coinbase printed.

        Raises:
            MalformedPayload: If `raw` is no top of book that the decoder delivered.
        """
        return normalize.printed(raw)

    def shipped_instruments(self, feed: Feed) -> Mapping[str, Instrument]:
        """By product: BTC and ETH against USD, USDT and USDC; empty for a feed that is not Coinbase's."""
        return shipped.INSTRUMENTS if feed == SPOT else {}

    def published_fees(self, feed: Feed) -> FeeSchedule | None:
        """Coinbase's lowest tier; None for a feed that is not Coinbase's."""
        return shipped.FEES if feed == SPOT else None
