"""Binance's fees, funding schedules, listings and networks: a `TermsSource`.

Funding and listings are public and need no key; the rest is signed, and goes where the key may be used.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from bot.domain.fees import FeeSchedule
from bot.domain.funding_terms import FundingTerms
from bot.domain.instrument import Feed, Instrument, Segment
from bot.domain.network import AssetNetwork
from bot.domain.terms import Listing, Told, WalletMove
from exchanges.binance.account_terms import futures_fees, spot_fees
from exchanges.binance.endpoints import LINEAR, SPOT, VENUE, rest_url
from exchanges.binance.funding import funding_terms
from exchanges.binance.listings import read_listings
from exchanges.binance.networks import WalletRest, read_moves, read_networks
from exchanges.binance.request_costs import rates
from exchanges.binance.signed_rest import SignedRest
from exchanges.common.account.terms_source import TermsSetup
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.common.requests.signing_hosts import THIS_MACHINE
from exchanges.common.requests.venue_http import VenueHttp
from exchanges.common.told import merged


class BinanceTerms:
    """One account at Binance, or none. Connections live as long as a question."""

    venue = VENUE

    def __init__(self, setup: TermsSetup) -> None:
        """Nothing is asked yet.

        Raises:
            SettingsError: If there are keys and they must not be used at an endpoint.
        """
        keys, settings, clock = setup.keys, setup.settings, setup.clock
        self._by_feed = {feed: listed for feed, listed in setup.by_feed.items() if feed.venue == VENUE}
        self._assets = setup.assets
        self._settings = settings
        self._clock = clock
        hosts = THIS_MACHINE if keys is None else keys.hosts
        self._http = VenueHttp(VENUE, clock, setup.budget or RequestBudget(VENUE, rates(), clock), hosts)
        self._rests: dict[Feed, SignedRest] = {}
        self._wallet: WalletRest | None = None
        if keys is not None:
            for feed in (SPOT, LINEAR):
                self._rests[feed] = SignedRest(feed, rest_url(feed, settings), keys, self._http, clock)
            if settings.market != "testnet":  # which has no `/sapi`
                self._wallet = WalletRest(rest_url(SPOT, settings), keys, self._http, clock)

    async def fees(self) -> Told[FeeSchedule] | None:
        """What this account pays, by instrument id; None without keys.

        Raises:
            VenueError: Binance cannot be asked, or refuses.
        """
        asked = [feed for feed in self._by_feed if feed in self._rests and (feed == LINEAR or self._wallet is not None)]
        if not asked:
            return None
        async with self._connected():
            answers = [await self._fees_of(feed, self._by_feed[feed]) for feed in asked]
        return merged(answers, self._clock.now_ns())

    async def _fees_of(self, feed: Feed, listed: Mapping[str, Instrument]) -> Told[FeeSchedule]:
        rest, now_ns, wallet = self._rests[feed], self._clock.now_ns(), self._wallet
        if feed.segment is Segment.SPOT and wallet is not None:
            await wallet.open()
            await rest.open()
            return await spot_fees(rest, wallet, feed, listed, now_ns)
        await rest.open()
        return await futures_fees(rest, feed, listed, now_ns)

    async def funding(self) -> Told[FundingTerms]:
        """By the id of every perpetual.

        Raises:
            VenueError: Binance cannot be asked, or refuses.
        """
        listed = self._by_feed.get(LINEAR, {})
        if not listed:
            return Told(values={}, ts_ns=self._clock.now_ns())
        # Imported here, because python-binance takes the better part of a second to load.
        from exchanges.binance.metadata import connected

        async with connected(LINEAR, self._settings) as rest:
            premiums, schedules = await rest.funding_rows()
        return funding_terms(listed, premiums, schedules, self._clock.now_ns())

    async def listings(self) -> Told[Listing]:
        """By the id of every instrument that can be asked about.

        Raises:
            VenueError: Binance cannot be asked, or refuses.
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
            VenueError: Binance cannot be asked, or refuses.
        """
        wallet = self._wallet
        if wallet is None:
            return None
        async with self._connected():
            await wallet.open()
            return await read_networks(wallet, self._assets, self._clock.now_ns())

    async def moves(self) -> Sequence[WalletMove]:
        """Past withdrawals and deposits; none without keys.

        Raises:
            VenueError: Binance cannot be asked, or refuses.
        """
        wallet = self._wallet
        if wallet is None:
            return ()
        async with self._connected():
            await wallet.open()
            return await read_moves(wallet)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[None]:
        self._http.open()
        try:
            yield
        finally:
            await self._http.close()
