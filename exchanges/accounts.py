"""Where a run's orders will be, for whoever has to cancel them without the run."""

from collections.abc import Callable, Mapping, Sequence

from bot.domain.instrument import Feed, Instrument, Segment
from bot.settings import Settings
from exchanges.binance import endpoints as binance
from exchanges.bybit import endpoints as bybit
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.emergency import Account
from exchanges.kraken import endpoints as kraken
from exchanges.registry import TRADING_VENUES, order_venues
from exchanges.signing import signing_hosts

_REST_URLS: Mapping[str, Callable[[Feed, Settings], str]] = {
    "binance": binance.rest_url,
    "bybit": bybit.rest_url,
    "kraken": lambda feed, settings: kraken.rest_url(settings),
}


def order_accounts(
    by_feed: Mapping[Feed, Mapping[str, Instrument]], settings: Settings, keys: Mapping[str, ApiKeys], market: str
) -> Sequence[Account]:
    """One account for each venue of `by_feed` that takes orders.

    Args:
        by_feed: What is traded, by feed and the venue's symbol.
        settings: Where the venues are.
        keys: What signs, by venue; a venue without is watched.
        market: `simulated`, `testnet` or `live`.
    """
    venues = sorted({feed.venue for feed in by_feed} & TRADING_VENUES & keys.keys())
    return [_account(venue, by_feed, settings, keys[venue], market) for venue in venues]


def configured_places(settings: Settings) -> Sequence[Account]:
    """The same from the settings alone, without keys, symbols and listings; what settles in USDT and USDC is looked at.

    Raises:
        SettingsError: If a feed that is named cannot be traded.
    """
    found = []
    for venue in sorted(settings.instruments.keys() & order_venues(settings)):
        feeds = [
            Feed(venue=venue, segment=Segment(name)) for name, symbols in settings.instruments[venue].items() if symbols
        ]
        urls = {str(feed.segment): _REST_URLS[venue](feed, settings) for feed in feeds}
        if urls:
            hosts = signing_hosts(settings.market, venue)
            found.append(Account(venue, settings.market, urls, {}, ("USDC", "USDT"), hosts=hosts))
    return found


def _account(
    venue: str,
    by_feed: Mapping[Feed, Mapping[str, Instrument]],
    settings: Settings,
    keys: ApiKeys,
    market: str,
) -> Account:
    feeds = {feed: found for feed, found in by_feed.items() if feed.venue == venue}
    settles = {instrument.settle for found in feeds.values() for instrument in found.values() if instrument.settle}
    return Account(
        venue=venue,
        market=market,
        rest_urls={str(feed.segment): _REST_URLS[venue](feed, settings) for feed in feeds},
        symbols={str(feed.segment): list(found) for feed, found in feeds.items()},
        settles=sorted(settles),
        key=keys.key.get_secret_value(),
        secret=keys.secret.get_secret_value(),
        is_in_keyring=keys.is_in_keyring,
    )
