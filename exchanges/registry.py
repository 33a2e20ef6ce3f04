"""The venues that this bot knows. A new venue is a folder and a line here."""

from bot.ports import LiveVenueModule
from exchanges.binance.venue import BinanceVenue
from exchanges.bybit.venue import BybitVenue
from exchanges.coinbase.venue import CoinbaseVenue
from exchanges.kraken.venue import KrakenVenue

TRADING_VENUES = frozenset({"binance", "bybit", "kraken"})
"""Where this version can send orders. The others are watched, priced and scanned; routes over them are not taken."""


def all_venues() -> dict[str, LiveVenueModule]:
    """By ccxt's name."""
    venues: tuple[LiveVenueModule, ...] = (BinanceVenue(), BybitVenue(), KrakenVenue(), CoinbaseVenue())
    return {venue.id: venue for venue in venues}
