"""One simulated venue: its part of the market, its customers, and what can be done to them on command."""

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple, TypeVar

from bot.matching.cash import exact
from exchanges.simulator.accounts.account import SimulatedAccount
from exchanges.simulator.accounts.agenda import Agenda
from exchanges.simulator.accounts.chain import Chain
from exchanges.simulator.accounts.closed_books import ClosedBooks
from exchanges.simulator.accounts.drift import DriftingClock
from exchanges.simulator.accounts.networks import ADDRESS_FORM
from exchanges.simulator.accounts.rules import VenueRules, rules_of
from exchanges.simulator.core.ports import Market
from exchanges.simulator.core.setup import Setup
from exchanges.simulator.core.values import (
    FundingDue,
    Listing,
    MarketEvent,
    MarkPriced,
    Network,
    RestingFilled,
    TradingStatus,
)
from exchanges.simulator.faults.desk import FaultDesk
from exchanges.simulator.faults.orders import OrderFaults

_Event = TypeVar("_Event", bound=MarketEvent)


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
        faults: FaultDesk | None = None,
    ) -> None:
        """Open the venue with one customer, `credentials`.

        Args:
            venue: `binance`, `bybit` or `kraken`; whose listings of `market` are traded here.
            market: May hold other venues' listings too.
            rules: None takes the shipped ones of the venue.
            chain: Shared by all venues that send money to one another; None makes one of its own.
            seed: Of keys and addresses.
            credentials: Of the first customer; None makes them up from the seed.
            faults: What is to go wrong with orders; None: nothing.
        """
        self.venue = venue
        self.market = market
        """As it is seen here."""
        self.rules = rules_of(venue) if rules is None else rules
        self.chain = Chain(seed) if chain is None else chain
        self.listings: Mapping[int, Listing] = {
            index: one for index, one in enumerate(market.listings) if one.instrument.venue == venue
        }
        self.agenda = Agenda()
        self.faults = OrderFaults(faults)
        self.setup = Setup()
        """Of every account and key."""
        self.are_keys_revoked = False
        """Whether no key is known any more."""
        self.fees: defaultdict[str, Decimal] = defaultdict(Decimal)
        """Collected so far, by asset; withdrawal fees too."""
        self.insurance: defaultdict[str, Decimal] = defaultdict(Decimal)
        """Paid so far for what liquidated customers could not."""
        self._seed = seed
        self._street = market
        self._books = ClosedBooks(market)
        self._clock = DriftingClock()
        self._now: Callable[[], int] | None = None
        self._advance: Callable[[int], None] | None = None
        self._seen_ns = 0
        self._numbers = itertools.count(1)
        self._accounts: dict[str, SimulatedAccount] = {}
        self._keys: dict[str, tuple[str, SimulatedAccount]] = {}
        self._listeners: list[Callable[[Sequence[MarketEvent]], None]] = []
        self._suspended: set[str] = set()
        self._mislabelled: set[str] = set()
        self._given_up: set[str] = set()
        self._surcharges: dict[str, Decimal] = {}
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
        known = self._known(api_key)
        return None if known is None else known[1]

    def secret(self, api_key: str) -> str | None:
        """What requests are signed with; None for a key that is unknown or revoked."""
        known = self._known(api_key)
        return None if known is None else known[0]

    def _known(self, api_key: str) -> tuple[str, SimulatedAccount] | None:
        return None if self.are_keys_revoked else self._keys.get(api_key)

    @property
    def keys(self) -> int:
        """How many there are, known or not just now."""
        return len(self._keys)

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
        return self.own_ns(self._market_now_ns())

    def own_ns(self, market_ns: int) -> int:
        """What the exchange's own clock shows at a time of the market."""
        return self._clock.own_ns(market_ns)

    def market_ns(self, own_ns: int) -> int:
        """The market's time when the exchange's own clock shows `own_ns`."""
        return self._clock.market_ns(own_ns)

    def _market_now_ns(self) -> int:
        return self._seen_ns if self._now is None else self._now()

    @property
    def drift_ns(self) -> int:
        """How far the exchange's clock is ahead of the market's; negative: behind."""
        return self._clock.ahead_ns(self._market_now_ns())

    @drift_ns.setter
    def drift_ns(self, ahead_ns: int) -> None:
        """Put it forward at once, or let it run slower until it is as far back as it should be."""
        self._clock.put(ahead_ns, self._market_now_ns())

    def catch_up(self, ts_ns: int) -> None:
        """Let the market do what comes before `ts_ns` of the exchange's own clock."""
        if self._advance is not None:
            self._advance(self.market_ns(ts_ns))

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
        """Hand public events to the subscribers, each with the time that the exchange's own clock shows."""
        public: Sequence[MarketEvent] = [event for event in events if not isinstance(event, RestingFilled)]
        if self._books.any_closed:
            public = self._books.seen(public)
            self._see()
        self._publish(public)

    def _publish(self, events: Sequence[MarketEvent]) -> None:
        if not self._clock.is_right:
            events = [self._dated(event) for event in events]
        if events:
            for listener in tuple(self._listeners):
                listener(events)

    def settle(self, events: Sequence[MarketEvent]) -> None:
        """Do to the accounts what the market did to them."""
        if not self._clock.is_right:
            events = [self._dated(event) for event in events]
        for event in events:
            if isinstance(event, RestingFilled):
                any(account.on_resting_fill(event) for account in self.accounts)
            elif isinstance(event, FundingDue):
                for account in self.accounts:
                    account.on_funding(event)
            elif isinstance(event, MarkPriced):
                for account in self.accounts:
                    account.on_mark(event.listing, event.ts_ns)

    def _dated(self, event: _Event) -> _Event:
        return replace(event, ts_ns=self.own_ns(event.ts_ns))

    def _see(self) -> None:
        self.market = self._books if self._books.any_closed else self._street

    def status(self, listing: int) -> TradingStatus:
        """Whether it trades; without a book not even what reduces a position does."""
        return TradingStatus.HALTED if self._books.is_closed(listing) else self._street.status(listing)

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
        if way is None:
            return None
        if network in self._mislabelled:
            way = replace(way, contract=self._other_contract(network))
        return replace(way, can_withdraw=False, can_deposit=False) if network in self._suspended else way

    def is_mislabelled(self, network: str) -> bool:
        """Whether the venue takes another contract for the one of that network."""
        return network in self._mislabelled

    def is_giving_up(self, network: str) -> bool:
        """Whether withdrawals of that network are taken and not sent."""
        return network in self._given_up

    def surcharge(self, network: str) -> Decimal:
        """What a withdrawal on that network costs beside the fee that is told, in the asset."""
        return self._surcharges.get(network, Decimal(0))

    def _other_contract(self, network: str) -> str:
        digest = hashlib.sha256(f"{self.venue}:{network}".encode()).hexdigest()
        return ADDRESS_FORM[network] + digest[:40]

    # On command

    def suspend(self, network: str) -> None:
        """Stop withdrawals and deposits of a network; what is under way waits."""
        self._suspended.add(network)

    def resume(self, network: str) -> None:
        """Open it again."""
        self._suspended.discard(network)
        self.chain.resume(self._market_now_ns())

    def mislabel(self, network: str) -> None:
        """Show another contract for a network; what is withdrawn on it from now on never arrives."""
        self._mislabelled.add(network)

    def relabel(self, network: str) -> None:
        """Show the right one again."""
        self._mislabelled.discard(network)

    def give_up(self, network: str) -> None:
        """Take withdrawals on a network and send none of them: each fails, and its money comes back."""
        self._given_up.add(network)

    def send_again(self, network: str) -> None:
        """Send what is withdrawn from now on."""
        self._given_up.discard(network)

    def overcharge(self, network: str, amount: Decimal) -> None:
        """Take so much more for a withdrawal on a network than is told; 0: what is told."""
        self._surcharges[network] = amount

    def set_status(self, listing: int, status: TradingStatus) -> None:
        """Halt a listing, let it be delisted, or let it trade again."""
        self.show(self._street.set_status(listing, status, self._market_now_ns()))

    def close_book(self, listing: int, market_ns: int) -> None:
        """End every order of a listing and empty its book, now: `market_ns` of the market's time."""
        for account in self.accounts:
            account.end_orders(listing, "the listing is closed", self.own_ns(market_ns))
        emptied = self._books.close(listing, market_ns)
        self._see()
        self._publish(emptied)

    def open_book(self, listing: int) -> None:
        """Show the book of a closed listing again, as the street has it by now."""
        now_ns = self._market_now_ns()
        self.catch_up(self.own_ns(now_ns))
        whole = self._books.open(listing, now_ns)
        self._see()
        self._publish(whole)

    def force_liquidation(self, listing: int) -> int:
        """Liquidate every customer's position of a listing; how many had one."""
        return sum(account.liquidate(listing, self.now_ns()) for account in self.accounts)

    def force_adl(self, listing: int) -> int:
        """Deleverage every customer whose position of a listing wins; how many did."""
        return sum(account.deleverage(listing, self.now_ns()) for account in self.accounts)

    def revoke(self, api_key: str) -> None:
        """Forget a key; its customer keeps orders and positions."""
        self._keys.pop(api_key, None)
