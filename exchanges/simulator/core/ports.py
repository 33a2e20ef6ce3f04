"""What the parts of a simulated exchange need from one another."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Protocol

from bot.domain.instrument import Segment
from exchanges.simulator.core.setup import Setup
from exchanges.simulator.core.values import (
    AccountEvent,
    AccountFill,
    BalanceView,
    Levels,
    Listing,
    MarketEvent,
    Network,
    NewOrder,
    OrderView,
    PositionView,
    Refusal,
    TradingStatus,
    TransferView,
)


class Market(Protocol):
    """Books, trades, marks and funding of every listing, moved by one clock and one seed."""

    listings: Sequence[Listing]

    def advance_to(self, ts_ns: int) -> Sequence[MarketEvent]:
        """Everything that happens up to `ts_ns`, in order; the same for the same seed while nobody trades."""

    def next_event_ns(self) -> int:
        """When the market moves next: how long a server may sleep."""

    def levels(self, listing: int, depth: int) -> tuple[Levels, Levels]:
        """Bids and asks now, best first; resting orders of accounts included."""

    def book_id(self, listing: int) -> int:
        """`last_id` of the newest change."""

    def mark(self, listing: int) -> Decimal:
        """Mark price; the mid for spot."""

    def status(self, listing: int) -> TradingStatus:
        """Whether it trades."""

    def set_status(self, listing: int, status: TradingStatus, ts_ns: int) -> Sequence[MarketEvent]:
        """Halt a listing, let it trade again, or let it be delisted; what everybody sees of it."""

    def take(
        self, listing: int, *, buys: bool, lots: int, limit_ticks: int | None, ts_ns: int
    ) -> tuple[Levels, Sequence[MarketEvent]]:
        """Trade against the book now: what was filled, best first, and what everybody sees of it."""

    def rest(
        self, listing: int, order_number: int, *, buys: bool, ticks: int, lots: int, ts_ns: int
    ) -> Sequence[MarketEvent]:
        """Put an order into the book behind what was there first; its fills come as `RestingFilled`."""

    def withdraw(self, listing: int, order_number: int, ts_ns: int) -> tuple[int, Sequence[MarketEvent]]:
        """Take a resting order out; the lots that were left."""

    def shrink(self, listing: int, order_number: int, lots: int, ts_ns: int) -> tuple[bool, Sequence[MarketEvent]]:
        """Take lots off a resting order, which keeps its place; False where it would have none left."""


class Account(Protocol):
    """One customer of one venue (one API key): wallets, orders, positions, transfers."""

    def place(self, order: NewOrder, ts_ns: int) -> OrderView | Refusal:
        """Take an order; what it does comes to the listeners (also within this call, before it returns)."""

    def cancel(self, *, listing: int, number: int | None, client_id: str | None, ts_ns: int) -> OrderView | Refusal:
        """Cancel one order, named by either id."""

    def shrink(self, *, listing: int, number: int, quantity: Decimal, ts_ns: int) -> OrderView | Refusal:
        """Give a resting order a smaller quantity, fills included; it keeps its place in the queue."""

    def cancel_all(self, listing: int | None, ts_ns: int) -> Sequence[OrderView]:
        """Cancel every open order (of one listing)."""

    def order(self, *, listing: int, number: int | None, client_id: str | None) -> OrderView | Refusal:
        """One order, open or final."""

    def open_orders(self, listing: int | None) -> Sequence[OrderView]:
        """Orders that are not final."""

    def orders(self, listing: int | None) -> Sequence[OrderView]:
        """All orders, oldest first."""

    def fills(self, listing: int | None) -> Sequence[AccountFill]:
        """All fills, oldest first."""

    def income(self) -> Sequence[AccountEvent]:
        """Funding, transfers, liquidations so far (`AccountChanged`), oldest first."""

    def balances(self) -> Sequence[BalanceView]:
        """Every asset of every wallet."""

    def positions(self) -> Sequence[PositionView]:
        """One per derivative listing that was ever traded; flat ones included."""

    def fee_rates(self, listing: int) -> tuple[Decimal, Decimal]:
        """Maker and taker, as ratios."""

    def fee_tier(self) -> str:
        """Its name: `regular`, `vip1`, ..."""

    def pays_in_token(self, segment: Segment) -> bool:
        """Whether fees are taken from the venue's token, while there is enough of it."""

    def pay_in_token(self, segment: Segment, wanted: bool) -> None:
        """Take them from there from now on, or no more."""

    def leverage(self, listing: int) -> int:
        """Leverage of a derivative."""

    def set_leverage(self, listing: int, leverage: int) -> Refusal | None:
        """None when it was set."""

    def networks(self) -> Sequence[Network]:
        """What can be withdrawn and deposited, and how."""

    def move(self, asset: str, amount: Decimal, *, source: str, target: str, ts_ns: int) -> int | Refusal:
        """Between wallets of this account, at once; the transfer's number."""

    def withdraw(
        self,
        asset: str,
        network: str,
        amount: Decimal,
        address: str,
        tag: str,
        client_id: str,
        ts_ns: int,
        wallet: str = "",
    ) -> TransferView | Refusal:
        """Send away; an address of another simulated account is credited there when the chain has confirmed it.

        The fee comes on top of `amount`, both from `wallet`; empty is the venue's wallet for deposits.
        """

    def withdrawals(self) -> Sequence[TransferView]:
        """All of them, oldest first."""

    def deposits(self) -> Sequence[TransferView]:
        """All of them, oldest first."""

    def deposit_address(self, asset: str, network: str) -> tuple[str, str] | Refusal:
        """Address and tag; stable for the account."""

    def listen(self, listener: Callable[[AccountEvent], None]) -> Callable[[], None]:
        """Hear what happens to the account; call what is returned to stop."""


class Exchange(Protocol):
    """One venue: its part of the market, and its accounts."""

    venue: str
    market: Market
    setup: Setup
    """Of every account and key."""

    def now_ns(self) -> int:
        """The exchange's own clock, drift fault included."""

    def account(self, api_key: str) -> Account | None:
        """Whose key it is."""

    def secret(self, api_key: str) -> str | None:
        """What requests are signed with."""

    def subscribe(self, listener: Callable[[Sequence[MarketEvent]], None]) -> Callable[[], None]:
        """Hear what the market does, a batch at a time; call what is returned to stop."""
