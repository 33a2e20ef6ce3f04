"""One simulated venue: its part of the market, its customers, and what can be done to them on command."""

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from bot.matching.cash import exact
from exchanges.simulator.accounts.account import SimulatedAccount
from exchanges.simulator.accounts.chain import Chain
from exchanges.simulator.accounts.rules import VenueRules, rules_of
from exchanges.simulator.core.ports import Market
from exchanges.simulator.core.values import (
    FundingDue,
    Listing,
    MarketEvent,
    MarkPriced,
    Network,
    RestingFilled,
    TradingStatus,
)


class Credentials(NamedTuple):
    """What a customer's client is given."""

    api_key: str
    secret: str


class SimulatedExchange:
    """`Exchange` for one venue of a market. Moved by a `Pump`; deterministic for the same market, seed and calls."""

    def __init__(
        self,
        venue: str,
        market: Market,
        *,
        rules: VenueRules | None = None,
        chain: Chain | None = None,
        seed: int = 0,
        credentials: Credentials | None = None,
    ) -> None:
        """Open the venue with one customer, `credentials`.

        Args:
            venue: `binance` or `bybit`; whose listings of `market` are traded here.
            market: May hold other venues' listings too.
            rules: None takes the shipped ones of the venue.
            chain: Shared by all venues that send money to one another; None makes one of its own.
            seed: Of keys and addresses.
            credentials: Of the first customer; None makes them up from the seed.
        """
        self.venue = venue
        self.market = market
        self.rules = rules_of(venue) if rules is None else rules
        self.chain = Chain(seed) if chain is None else chain
        self.listings: Mapping[int, Listing] = {
            index: one for index, one in enumerate(market.listings) if one.instrument.venue == venue
        }
        self.drift_ns = 0
        """How far the exchange's clock is ahead of the market's."""
        self.fees: defaultdict[str, Decimal] = defaultdict(Decimal)
        """Collected so far, by asset; withdrawal fees too."""
        self.insurance: defaultdict[str, Decimal] = defaultdict(Decimal)
        """Paid so far for what liquidated customers could not."""
        self._seed = seed
        self._now: Callable[[], int] | None = None
        self._advance: Callable[[int], None] | None = None
        self._seen_ns = 0
        self._numbers = itertools.count(1)
        self._accounts: dict[str, SimulatedAccount] = {}
        self._keys: dict[str, tuple[str, SimulatedAccount]] = {}
        self._listeners: list[Callable[[Sequence[MarketEvent]], None]] = []
        self._suspended: set[str] = set()
        self.credentials = self.open_account(credentials)
        """Of the first customer."""

    # Customers

    def open_account(self, credentials: Credentials | None = None) -> Credentials:
        """A new customer with the starting balances; `credentials` that are not given are made up from the seed."""
        name = f"{self.venue}:{self._seed}:{len(self._accounts)}"
        if credentials is None:
            credentials = Credentials(
                *(hashlib.sha256(f"{name}:{what}".encode()).hexdigest() for what in ("key", "secret"))
            )
        account = SimulatedAccount(self, name)
        self._accounts[name] = account
        self._keys[credentials.api_key] = (credentials.secret, account)
        return credentials

    def account(self, api_key: str) -> SimulatedAccount | None:
        """Whose key it is; None for a key that is unknown or revoked."""
        known = self._keys.get(api_key)
        return None if known is None else known[1]

    def secret(self, api_key: str) -> str | None:
        """What requests are signed with; None for a key that is unknown or revoked."""
        known = self._keys.get(api_key)
        return None if known is None else known[0]

    @property
    def accounts(self) -> Sequence[SimulatedAccount]:
        """All customers, also those whose key was revoked."""
        return tuple(self._accounts.values())

    # Time and market

    def attach(self, now: Callable[[], int], advance: Callable[[int], None]) -> None:
        """Take the time from `now`, and have the market advanced by `advance`: the pump's part."""
        self._now, self._advance = now, advance

    def now_ns(self) -> int:
        """The exchange's own clock, drift included; the newest event's time where no pump runs."""
        return (self._seen_ns if self._now is None else self._now()) + self.drift_ns

    def catch_up(self, ts_ns: int) -> None:
        """Let the market do what comes before `ts_ns` of the exchange's own clock."""
        if self._advance is not None:
            self._advance(ts_ns - self.drift_ns)

    def subscribe(self, listener: Callable[[Sequence[MarketEvent]], None]) -> Callable[[], None]:
        """Hear what the market of this venue does, a batch at a time; private fills are not in it."""
        self._listeners.append(listener)

        def stop() -> None:
            self._listeners = [one for one in self._listeners if one is not listener]

        return stop

    def on_market(self, events: Sequence[MarketEvent]) -> None:
        """What the market did by itself: everybody sees it, then it does to the accounts what it does.

        In this order, because an account may trade because of it, and that comes after all of the batch in the book.
        """
        own = [event for event in events if event.listing in self.listings]
        if own:
            self._seen_ns = max(self._seen_ns, own[-1].ts_ns)
            self.show(own)
            self.settle(own)

    def show(self, events: Sequence[MarketEvent]) -> None:
        """Hand public events to the subscribers."""
        public = [event for event in events if not isinstance(event, RestingFilled)]
        if public:
            for listener in tuple(self._listeners):
                listener(public)

    def settle(self, events: Sequence[MarketEvent]) -> None:
        """Do to the accounts what the market did to them."""
        for event in events:
            if isinstance(event, RestingFilled):
                any(account.on_resting_fill(event) for account in self.accounts)
            elif isinstance(event, FundingDue):
                for account in self.accounts:
                    account.on_funding(event)
            elif isinstance(event, MarkPriced):
                for account in self.accounts:
                    account.on_mark(event.listing, event.ts_ns)

    def status(self, listing: int) -> TradingStatus:
        """Whether it trades."""
        return self.market.status(listing)

    # For the accounts

    def next_number(self) -> int:
        """A number that nothing else of this venue has."""
        return next(self._numbers)

    @exact
    def collect(self, asset: str, amount: Decimal) -> None:
        """Take a fee; negative pays a rebate."""
        self.fees[asset] += amount

    @exact
    def insure(self, asset: str, amount: Decimal) -> None:
        """Pay what a liquidated customer cannot."""
        self.insurance[asset] += amount

    def network(self, asset: str, network: str) -> Network | None:
        """How an asset moves there now; None where it does not."""
        way = next((one for one in self.rules.networks if (one.asset, one.id) == (asset, network)), None)
        if way is not None and network in self._suspended:
            return replace(way, can_withdraw=False, can_deposit=False)
        return way

    # On command

    def suspend(self, network: str) -> None:
        """Stop withdrawals and deposits of a network; what is under way waits."""
        self._suspended.add(network)

    def resume(self, network: str) -> None:
        """Open it again."""
        self._suspended.discard(network)
        self.chain.resume(self.now_ns() - self.drift_ns)

    def set_status(self, listing: int, status: TradingStatus) -> None:
        """Halt a listing, let it be delisted, or let it trade again."""
        self.show(self.market.set_status(listing, status, self.now_ns() - self.drift_ns))

    def force_liquidation(self, listing: int) -> int:
        """Liquidate every customer's position of a listing; how many had one."""
        return sum(account.liquidate(listing, self.now_ns()) for account in self.accounts)

    def force_adl(self, listing: int) -> int:
        """Deleverage every customer whose position of a listing wins; how many did."""
        return sum(account.deleverage(listing, self.now_ns()) for account in self.accounts)

    def revoke(self, api_key: str) -> None:
        """Forget a key; its customer keeps orders and positions."""
        self._keys.pop(api_key, None)
