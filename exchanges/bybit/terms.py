"""Bybit's fees, funding schedules, listings and networks: a `TermsSource`.

Funding and listings are public and need no key; the rest is signed, and goes where the key may be used.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing

from bot.domain.fees import FeeSchedule
from bot.domain.funding_terms import FundingTerms
from bot.domain.network import AssetNetwork
from bot.domain.terms import Listing, Told, WalletMove
from exchanges.bybit.account_terms import account_fees
from exchanges.bybit.endpoints import rest_url
from exchanges.bybit.funding import funding_terms
from exchanges.bybit.listings import read_listings
from exchanges.bybit.networks import read_moves, read_networks
from exchanges.bybit.normalize import LINEAR, SPOT, VENUE
from exchanges.bybit.request_costs import rates
from exchanges.bybit.signed_rest import SignedRest
from exchanges.common.account.terms_source import TermsSetup
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.common.requests.signing_hosts import THIS_MACHINE
from exchanges.common.requests.venue_http import VenueHttp
from exchanges.common.told import merged


class BybitTerms:
    """One account at Bybit, or none. Connections live as long as a question."""

    venue = VENUE

    def __init__(self, setup: TermsSetup) -> None:
        """Nothing is asked yet.

        Raises:
            SettingsError: If there are keys and they must not be used at the endpoint.
        """
        keys, settings, clock = setup.keys, setup.settings, setup.clock
        self._by_feed = {feed: listed for feed, listed in setup.by_feed.items() if feed.venue == VENUE}
        self._assets = setup.assets
        self._settings = settings
        self._clock = clock
        hosts = THIS_MACHINE if keys is None else keys.hosts
        self._http = VenueHttp(VENUE, clock, setup.budget or RequestBudget(VENUE, rates(), clock), hosts)
        base = rest_url(next(iter(self._by_feed), SPOT), settings)
        self._rest = None if keys is None else SignedRest(base, keys, self._http, clock)

    async def fees(self) -> Told[FeeSchedule] | None:
        """What this account pays, by instrument id; None without keys.

        Raises:
            VenueError: Bybit cannot be asked, or refuses.
        """
        if self._rest is None:
            return None
        async with self._connected(self._rest) as rest:
            now_ns = self._clock.now_ns()
            answers = [await account_fees(rest, feed, listed, now_ns) for feed, listed in self._by_feed.items()]
        return merged(answers, now_ns)

    async def funding(self) -> Told[FundingTerms]:
        """By the id of every perpetual.

        Raises:
            VenueError: Bybit cannot be asked, or refuses.
        """
        listed = self._by_feed.get(LINEAR, {})
        if not listed:
            return Told(values={}, ts_ns=self._clock.now_ns())
        # Imported here, because pybit takes half a second to load.
        from exchanges.bybit.metadata import BybitRest

        with closing(BybitRest(rest_url(LINEAR, self._settings))) as rest:
            tickers, venue_ns = await rest.tickers(LINEAR)
            infos = await rest.instrument_rows(LINEAR)
        return funding_terms(listed, tickers, infos, venue_ns)

    async def listings(self) -> Told[Listing]:
        """By the id of every instrument.

        Raises:
            VenueError: Bybit cannot be asked, or refuses.
        """
        now_ns = self._clock.now_ns()
        answers = [
            await read_listings(feed, listed, rest_url(feed, self._settings), now_ns)
            for feed, listed in self._by_feed.items()
        ]
        return merged(answers, now_ns)

    async def networks(self) -> Told[Sequence[AssetNetwork]] | None:
        """By asset; None without keys.

        Raises:
            VenueError: Bybit cannot be asked, or refuses.
        """
        if self._rest is None:
            return None
        async with self._connected(self._rest) as rest:
            return await read_networks(rest, self._assets, self._clock.now_ns())

    async def moves(self) -> Sequence[WalletMove]:
        """Past withdrawals and deposits; none without keys.

        Raises:
            VenueError: Bybit cannot be asked, or refuses.
        """
        if self._rest is None:
            return ()
        async with self._connected(self._rest) as rest:
            return await read_moves(rest)

    @asynccontextmanager
    async def _connected(self, rest: SignedRest) -> AsyncIterator[SignedRest]:
        self._http.open()
        try:
            await rest.open()
            yield rest
        finally:
            await self._http.close()
