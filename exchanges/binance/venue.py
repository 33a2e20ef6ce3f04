"""What Binance offers to `main.py`."""

from collections.abc import Collection, Mapping, Sequence

from bot.domain.fees import FeeSchedule, FeeTier
from bot.domain.instrument import Feed, Instrument
from bot.domain.market import PrintedQuote
from bot.ports import FrameDecoder, MarketReader, MarketSink, Wiring
from bot.settings import Settings
from exchanges.binance import normalize, shipped
from exchanges.binance.decoder import BinanceDecoder
from exchanges.binance.endpoints import INVERSE, LINEAR, SPOT, VENUE
from exchanges.binance.fee_tiers import FEE_TIERS
from exchanges.binance.reader import BinanceReader


class BinanceVenue:
    """Binance: spot and USDⓈ-M perpetuals; COIN-M perpetuals from recordings."""

    id = VENUE

    def feeds(self) -> Sequence[Feed]:
        """`binance.spot`, `binance.linear` and `binance.inverse`; the last cannot be read live."""
        return (SPOT, LINEAR, INVERSE)

    def decoder(self, feed: Feed, slots: Mapping[str, int], sink: MarketSink) -> FrameDecoder:
        """A decoder of one feed; `slots` maps Binance's symbols (`BTCUSDT`, `BTCUSD_PERP`) to slots."""
        return BinanceDecoder(feed, slots, sink)

    def reader(
        self,
        feed: Feed,
        slots: Mapping[str, int],
        sink: MarketSink,
        wiring: Wiring,
    ) -> MarketReader:
        """A live connection to one feed; nothing happens before its `start`.

        Raises:
            SettingsError: If the feed cannot be read live.
        """
        return BinanceReader(feed, slots, sink, wiring)

    async def instruments(self, feed: Feed, wanted: Collection[str], settings: Settings) -> dict[str, Instrument]:
        """Ask Binance for the instruments with these unified symbols, or `ALL`; the answer is by Binance's symbol.

        Raises:
            SettingsError: If one of them does not trade on the feed, or the feed cannot be read live.
            VenueError: Binance cannot be asked, or refuses.
        """
        # Imported here, because python-binance takes the better part of a second to load and recorded markets never
        # need it.
        from exchanges.binance.metadata import connected

        async with connected(feed, settings) as rest:
            return await rest.instruments(wanted)

    def quoted_symbol(self, raw: bytes) -> str | None:
        """Binance's symbol if `raw` is a book ticker, else None."""
        return normalize.quoted_symbol(raw)

    def printed(self, feed: Feed, raw: bytes) -> PrintedQuote:
        """A delivered quote again, with the digits that Binance printed.

        Raises:
            MalformedPayload: If `raw` is no book ticker.
        """
        return normalize.printed(raw)

    def shipped_instruments(self, feed: Feed) -> Mapping[str, Instrument]:
        """By Binance's symbol: the most traded pairs; empty for a feed that is not Binance's."""
        return shipped.INSTRUMENTS.get(feed, {})

    def published_fees(self, feed: Feed) -> FeeSchedule | None:
        """Binance's lowest tier; None for a feed that is not Binance's."""
        return shipped.FEES.get(feed)

    def fee_tiers(self, feed: Feed) -> Sequence[FeeTier]:
        """Binance's price list of a feed, from the lowest tier; empty for a feed that is not Binance's."""
        return FEE_TIERS.get(feed, ())
