"""Who can be asked for fees, funding schedules, listings and networks: a line a venue."""

from collections.abc import Callable, Mapping, Sequence

from bot.clock import Clock
from bot.domain.instrument import Feed, Instrument
from bot.ports import TermsSource
from bot.settings import Settings
from exchanges.binance.terms import BinanceTerms
from exchanges.bybit.terms import BybitTerms
from exchanges.coinbase.terms import CoinbaseTerms
from exchanges.common.account.terms_source import TermsSetup
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.kraken.terms import KrakenTerms
from exchanges.registry import TRADING_VENUES

_SOURCES: Mapping[str, Callable[[TermsSetup], TermsSource]] = {
    "binance": BinanceTerms,
    "bybit": BybitTerms,
    "coinbase": CoinbaseTerms,
    "kraken": KrakenTerms,
}


def terms_sources(
    by_feed: Mapping[Feed, Mapping[str, Instrument]],
    settings: Settings,
    clock: Clock,
    keys: Mapping[str, ApiKeys],
    budgets: Mapping[str, RequestBudget] | None = None,
) -> Sequence[TermsSource]:
    """One for each venue of `by_feed` that tells its terms; where `keys` has none for it, what is public alone.

    Args:
        by_feed: Feed -> the venue's symbol -> instrument.
        settings: Where the venues are.
        clock: Stamps requests and answers.
        keys: Venue -> of the account, where there is one.
        budgets: By venue: what may be asked, shared with who trades there.

    Raises:
        SettingsError: If a key must not be used at an endpoint.
    """
    assets = sorted(
        {asset for listed in by_feed.values() for one in listed.values() for asset in (one.base, one.quote)}
    )
    venues = sorted({feed.venue for feed in by_feed} & _SOURCES.keys())
    # A key belongs to the venues that orders are sent to; no other hears of it.
    own = {venue: key for venue, key in keys.items() if venue in TRADING_VENUES}
    return [
        _SOURCES[venue](TermsSetup(by_feed, assets, settings, clock, own.get(venue), (budgets or {}).get(venue)))
        for venue in venues
    ]
