"""The venues that this bot knows. A new venue is a folder and a line here."""

from bot.ports import LiveVenueModule
from bot.settings import Settings
from exchanges.binance.venue import BinanceVenue
from exchanges.bybit.venue import BybitVenue
from exchanges.coinbase.venue import CoinbaseVenue
from exchanges.kraken.venue import KrakenVenue

TRADING_VENUES = frozenset({"binance", "bybit", "kraken"})
"""Where this version can send orders. The others are watched, priced and scanned; routes over them are not taken."""
MAY_BE_WATCHED = frozenset({"kraken"})
"""Of these, who is watched as well where no key of theirs is found."""


def order_venues(settings: Settings) -> frozenset[str]:
    """Where the market of these settings could take orders: the ones that are simulated, or have a test system."""
    if settings.market == "testnet" or (settings.market == "simulated" and not settings.simulator.kraken):
        return TRADING_VENUES - {"kraken"}
    return TRADING_VENUES


def all_venues() -> dict[str, LiveVenueModule]:
    """By ccxt's name."""
    venues: tuple[LiveVenueModule, ...] = (BinanceVenue(), BybitVenue(), KrakenVenue(), CoinbaseVenue())
    return {venue.id: venue for venue in venues}
