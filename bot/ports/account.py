"""What reconciliation asks of a venue: the account as the venue itself knows it, whatever we were told meanwhile."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, runtime_checkable

from bot.domain.account import Balance, Position
from bot.domain.instrument import Instrument
from bot.domain.order import Fill, Order, OrderStatus


@dataclass(frozen=True, slots=True)
class OrderFound:
    """An order as its venue knows it."""

    client_order_id: str
    """As the venue has it: ours, another program's, or empty."""
    instrument: Instrument
    status: OrderStatus
    """SENT while it is open and unfilled."""
    filled_quantity: Decimal
    """In all so far, venue units."""
    venue_order_id: str | None = None
    reason: str | None = None
    """In the venue's words, where it says one."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """Everything that is held at a venue at one moment."""

    balances: Sequence[Balance]
    positions: Sequence[Position]
    """Every derivative position of the run's instruments that is not flat."""


KnownFill = Callable[[str, str], bool]
"""Whether the fill of this instrument id and fill id has been counted."""


class AccountQuestions(Protocol):
    """One account at one venue. Every question may raise `VenueError`."""

    venue: str
    unknown_for_s: float
    """An order that the venue has not known for so long, asked twice, will never be there; 0: it knows at once."""

    @property
    def between_s(self) -> float:
        """The whole account is looked at no more often: a look may take much of what a venue lets one ask, and one that
        refuses our key is not to be asked all the time. 0: any time."""

    def wallet_of(self, instrument: Instrument) -> str:
        """Which wallet trades of it are paid from, as `Balance` names it."""

    async def open_orders(self) -> Sequence[OrderFound]:
        """Every order that is open on an instrument of this run, whoever sent it."""

    async def trades(self, instruments: Collection[Instrument], since_ns: int, known: KnownFill) -> Sequence[Fill]:
        """Own trades on these instruments since then, oldest first, but for those that are `known`.

        The client order id is the order's, whoever sent it; empty where it has none.
        """

    async def holdings(self) -> Holdings:
        """Balances and positions, asked for now."""

    async def order(self, order: Order) -> OrderFound | None:
        """What became of an order, by its client order id; None where the venue knows no such order."""

    async def fills(self, order: Order, found: OrderFound) -> Sequence[Fill]:
        """Its fills so far."""

    async def cancel(self, order: Order) -> None:
        """Ask to cancel an order, also one of an earlier run; one that is over or unknown is left as it is."""

    def take(self, fill: Fill) -> bool:
        """Tell the listener of a fill that was found by asking; False where the order is not of this process."""


@runtime_checkable
class HasAccounts(Protocol):
    """A venue whose accounts can be asked."""

    def account_questions(self) -> Sequence[AccountQuestions]:
        """One for each account that it trades on."""


@runtime_checkable
class RebuiltFromFills(Protocol):
    """A venue that forgets everything with its process, and is told again what was held."""

    def rebuild(self, fills: Sequence[Fill]) -> None:
        """Hold what these fills, in their order, brought and took; before the first order."""


@runtime_checkable
class PaysFunding(Protocol):
    """A venue that settles funding by its own clock, also while nobody listens."""

    def ask_for_funding(self, since_ns: int, told: Iterable[tuple[str, int]]) -> None:
        """Ask for what was paid since then, but for what is `told` (instrument id, time) already.

        The answer comes to `on_funding`.
        """
