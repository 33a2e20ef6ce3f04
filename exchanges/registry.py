"""The venues that this bot knows. A new venue is a folder and a line here."""

from bot.ports import LiveVenueModule
from exchanges.binance.venue import BinanceVenue
from exchanges.bybit.venue import BybitVenue


def all_venues() -> dict[str, LiveVenueModule]:
    """By ccxt's name."""
    venues: tuple[LiveVenueModule, ...] = (BinanceVenue(), BybitVenue())
    return {venue.id: venue for venue in venues}
