"""What changes an account, what hears of it, and what a venue tells of its terms."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol, runtime_checkable

from bot.domain.account import Balance, FundingPayment, Position
from bot.domain.fees import FeeSchedule
from bot.domain.funding_terms import FundingTerms
from bot.domain.instrument import Instrument
from bot.domain.margin import MarginTiers, WalletMargin
from bot.domain.market import TopOfBook
from bot.domain.network import AssetNetwork
from bot.domain.order import Fill, Order, Side
from bot.domain.standing import VenueStanding
from bot.domain.terms import Listing, Told, WalletMove


class TermsSource(Protocol):
    """One venue as the engine asks it for its terms. Every question may raise `VenueError`."""

    venue: str

    async def fees(self) -> Told[FeeSchedule] | None:
        """By instrument id, of this account; None where there is no key to ask with."""

    async def funding(self) -> Told[FundingTerms]:
        """By the id of every perpetual."""

    async def listings(self) -> Told[Listing]:
        """By instrument id: status and delivery, as they are now."""

    async def networks(self) -> Told[Sequence[AssetNetwork]] | None:
        """By asset; None where there is no key to ask with."""

    async def moves(self) -> Sequence[WalletMove]:
        """Withdrawals and deposits of the last weeks that have ended; none where there is no key to ask with."""


class OrderListener(Protocol):
    """Hears what becomes of orders."""

    def on_order(self, order: Order) -> None:
        """An order's state changed."""

    def on_fill(self, fill: Fill) -> None:
        """Part of an order was done; delivered before the order state that includes it."""


class Actions(Protocol):
    """What changes the account. Calls return at once; results come to the listener."""

    def submit(self, order: Order) -> None:
        """Send an order whose intent is durable. Every submitted order ends in a terminal `on_order`."""

    def cancel(self, order: Order) -> None:
        """Ask to cancel it; a terminal order is left as it is."""

    def balances(self) -> Sequence[Balance]:
        """Every wallet as it is known now."""

    def positions(self) -> Sequence[Position]:
        """Every derivative position that is not flat."""

    def affordable_notional(self, instrument: Instrument, side: Side, price: float) -> float:
        """How large an order on this side the wallet covers, in quote units, fees not counted."""


class ReadyOrder(NamedTuple):
    """A prepared order, so that little is left to be done once it may be sent."""

    leave: Callable[[], bool]
    """Write it. False: it may not leave in this way any more, and nothing was written; `launch` is another."""
    follow: Callable[[Order], None]
    """What `launch` returns; only for one that has left."""


@runtime_checkable
class PreparesOrders(Protocol):
    """A venue, or several, that can do much of what sending an order takes before it may be sent."""

    def prepare(self, order: Order) -> ReadyOrder | None:
        """Spell and sign what `submit` of this order will write; nothing is sent, and nothing is remembered for long.

        An order that is not submitted within a tenth of a second is spelled anew then. None: nothing could be prepared.
        """

    def launch(self, order: Order) -> Callable[[Order], None]:
        """The part of `submit` that cannot wait: write it, where that can be done at once.

        What it returns does the rest, and is called with the order as it was sent before the loop turns; in between
        another order may be launched.

        Raises:
            OrderRejected: As `submit` does; what it returns may as well, where nothing has been written yet.
        """


@runtime_checkable
class TellsMargins(Protocol):
    """A venue that tells how it counts margin, beside `Position.margin`."""

    def wallet_margins(self) -> Sequence[WalletMargin]:
        """Its own sums, where they are as new as the positions."""

    def margin_tiers(self, instrument: Instrument) -> MarginTiers | None:
        """How its maintenance margin grows with the notional; None where that is not known."""


class QuoteDrivenVenue(Actions, Protocol):
    """A venue as the engine drives it: the paper venue fills from the quotes it is shown, others from their own."""

    listener: OrderListener | None
    on_funding: Callable[[FundingPayment], None] | None
    """Hears of payments that the venue settles by its own clock."""

    async def start(self) -> None:
        """Connect; orders may be submitted afterwards."""

    async def stop(self) -> None:
        """Disconnect."""

    def on_quote(self, slot: int, quote: TopOfBook) -> None:
        """A quote that passed the gate."""

    def on_quote_refused(self, slot: int) -> None:
        """The instrument has no valid quote until the next one."""

    def settle_funding(self, instrument: Instrument, rate: Decimal, mark_price: Decimal) -> FundingPayment | None:
        """Settle funding now; None where nothing is held, and where the venue settles by its own clock."""


@runtime_checkable
class TellsStanding(Protocol):
    """A venue, or several, that can refuse us: by a ban, by a stream that is gone, by a key that is revoked."""

    def blocked(self, venue: str) -> str | None:
        """Why nothing new may be risked at `venue` now; None: it may, as far as is known."""

    def standings(self) -> Sequence[VenueStanding]:
        """Every venue's."""


@runtime_checkable
class HasDeadManSwitch(Protocol):
    """A venue, or several, that cancel our orders by themselves when we are not heard for a time."""

    def pet(self, within_s: float) -> None:
        """Cancel every order of ours unless this is called again within `within_s`; 0: do not any more.

        Returns at once. A venue that has no such switch, or refuses it, says so once and goes on.
        """
