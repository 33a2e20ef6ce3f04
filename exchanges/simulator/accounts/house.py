"""What the parts of an account need from the exchange that keeps it."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from exchanges.simulator.accounts.agenda import Agenda
from exchanges.simulator.accounts.chain import Chain
from exchanges.simulator.accounts.rules import VenueRules
from exchanges.simulator.core.ports import Market
from exchanges.simulator.core.values import Listing, MarketEvent, Network, TradingStatus
from exchanges.simulator.faults.orders import OrderFaults


class House(Protocol):
    """One venue, seen from one of its accounts. Accounts keep the venue's own time; market, agenda and chain theirs."""

    venue: str
    market: Market
    rules: VenueRules
    listings: Mapping[int, Listing]
    """The venue's own, by index in the market."""
    chain: Chain
    agenda: Agenda
    faults: OrderFaults

    def own_ns(self, market_ns: int) -> int:
        """What the venue's clock shows at a time of the market."""

    def market_ns(self, own_ns: int) -> int:
        """The market's time when the venue's clock shows `own_ns`."""

    def status(self, listing: int) -> TradingStatus:
        """Whether it trades."""

    def next_number(self) -> int:
        """A number that no order, trade or transfer of this venue has."""

    def catch_up(self, ts_ns: int) -> None:
        """Let the market do what comes before `ts_ns`, so that an order meets the book of its moment."""

    def show(self, events: Sequence[MarketEvent]) -> None:
        """Tell everybody what the market did."""

    def settle(self, events: Sequence[MarketEvent]) -> None:
        """Tell the accounts what it did to them."""

    def collect(self, asset: str, amount: Decimal) -> None:
        """Take a fee; negative pays a rebate."""

    def insure(self, asset: str, amount: Decimal) -> None:
        """Pay what a liquidated customer cannot."""

    def is_mislabelled(self, network: str) -> bool:
        """Whether withdrawals on a network go to another token's contract now."""

    def is_giving_up(self, network: str) -> bool:
        """Whether withdrawals of that network are taken and not sent."""

    def surcharge(self, network: str) -> Decimal:
        """What a withdrawal on that network costs beside the fee that is told, in the asset."""

    def network(self, asset: str, network: str) -> Network | None:
        """How an asset moves there now; None where it does not."""
