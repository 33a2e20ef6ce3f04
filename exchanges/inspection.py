"""Who can say how an account is set: a line a venue that orders are sent to."""

from collections.abc import Callable, Mapping, Sequence

from bot.clock import Clock
from bot.domain.instrument import Feed, Instrument
from bot.ports.inspection import AccountInspector
from bot.settings import Settings
from exchanges.binance.inspection import BinanceInspector
from exchanges.bybit.inspection import BybitInspector
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.kraken.inspection import KrakenInspector

_INSPECTORS: Mapping[str, Callable[..., AccountInspector]] = {
    "binance": BinanceInspector,
    "bybit": BybitInspector,
    "kraken": KrakenInspector,
}


def inspectors(
    by_feed: Mapping[Feed, Mapping[str, Instrument]], settings: Settings, clock: Clock, keys: Mapping[str, ApiKeys]
) -> Sequence[AccountInspector]:
    """One for each account of `keys` that has instruments in `by_feed`.

    Raises:
        SettingsError: If a key must not be used at an endpoint.
    """
    venues = sorted({feed.venue for feed in by_feed} & keys.keys())
    return [_INSPECTORS[venue](by_feed, settings, clock, keys[venue]) for venue in venues]
