"""What Bybit offers to `main.py`."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing

from bot.domain.fees import FeeSchedule, FeeTier
from bot.domain.instrument import Feed, Instrument
from bot.domain.market import PrintedQuote
from bot.errors import SettingsError
from bot.ports import FrameDecoder, MarketReader, MarketSink, Wiring
from bot.settings import Settings
from bot.suggestion import did_you_mean
from exchanges.bybit import normalize, shipped
from exchanges.bybit.decoder import BybitDecoder
from exchanges.bybit.endpoints import rest_url
from exchanges.bybit.fee_tiers import FEE_TIERS
from exchanges.bybit.normalize import LINEAR, SPOT, VENUE
from exchanges.bybit.reader import BybitReader
from exchanges.common.market.wanted import wants_all


class BybitVenue:
    """Bybit v5: linear perpetuals and spot."""

    id = VENUE

    def feeds(self) -> Sequence[Feed]:
        """`bybit.linear` and `bybit.spot`."""
        return (LINEAR, SPOT)

    def decoder(self, feed: Feed, slots: Mapping[str, int], sink: MarketSink) -> FrameDecoder:
        """A decoder of one feed; `slots` maps Bybit's symbols (`BTCUSDT`) to slots."""
        return BybitDecoder(feed, slots, sink)

    def reader(
        self,
        feed: Feed,
        slots: Mapping[str, int],
        sink: MarketSink,
        wiring: Wiring,
    ) -> MarketReader:
        """A live connection to one feed; nothing happens before its `start`."""
        return BybitReader(feed, slots, sink, wiring)

    async def instruments(self, feed: Feed, wanted: Collection[str], settings: Settings) -> dict[str, Instrument]:
        """Ask Bybit for the instruments with these unified symbols, or `ALL`; the answer is by Bybit's symbol.

        Raises:
            SettingsError: If one of them does not trade on the feed; the nearest known one is named.
            VenueError: Bybit cannot be asked, or refuses.
        """
        # Imported here, because pybit takes half a second to load and recorded markets never need it.
        from exchanges.bybit.metadata import BybitRest

        with closing(BybitRest(rest_url(feed, settings))) as rest:
            listed = await rest.instruments(feed)
        if wants_all(wanted):
            return listed
        known = {instrument.symbol for instrument in listed.values()}
        for symbol in wanted:
            if symbol not in known:
                raise SettingsError(_unknown(feed, symbol, known))
        return {name: instrument for name, instrument in listed.items() if instrument.symbol in wanted}

    def quoted_symbol(self, raw: bytes) -> str | None:
        """Bybit's symbol if `raw` is an `orderbook.1` frame, else None."""
        return normalize.quoted_symbol(raw)

    def printed(self, feed: Feed, raw: bytes) -> PrintedQuote:
        """A delivered quote again, with the digits that Bybit printed; an empty side is 0."""
        return normalize.printed(raw)

    def shipped_instruments(self, feed: Feed) -> Mapping[str, Instrument]:
        """By Bybit's symbol: the most traded pairs; empty for a feed that is not Bybit's."""
        return shipped.INSTRUMENTS.get(feed, {})

    def published_fees(self, feed: Feed) -> FeeSchedule | None:
        """Bybit's non-VIP tier."""
        return shipped.FEES.get(feed)

    def fee_tiers(self, feed: Feed) -> Sequence[FeeTier]:
        """Bybit's price list of a feed, from the lowest tier; empty for a feed that is not Bybit's."""
        return FEE_TIERS.get(feed, ())


def _unknown(feed: Feed, symbol: str, known: Collection[str]) -> str:
    return f"instruments.{feed}: {symbol} does not trade there{did_you_mean(symbol, known)}"
