"""An account asked over REST: `bot.ports.account.AccountQuestions` out of a venue's own requests."""

from collections.abc import Collection, Sequence
from typing import Protocol

from bot.domain.instrument import Instrument
from bot.domain.order import Fill, Order
from bot.ports.account import Holdings, KnownFill, OrderFound
from exchanges.common.account.order_carrier import OrderGateway
from exchanges.common.account.order_desk import OrderDesk, OrderReport
from exchanges.common.account.venue_state import VenueState
from exchanges.common.account.wallet_book import WalletBook

UNKNOWN_FOR_S = 2.0
"""A venue's copies of an order may be so far behind; its own request window is shorter."""
_REFUSED_S = 60.0

LONGEST_NS = 90 * 86_400_000_000_000
"""Trades are asked for no further back: a question reaches over a day or a week, and each costs."""


class AccountHistory(Protocol):
    """What one venue tells of orders and trades without being asked for a single one."""

    async def open_orders(self) -> Sequence[OrderFound]:
        """Every open order on the instruments of this run.

        Raises:
            VenueError: It cannot be asked.
        """

    async def trades(self, instruments: Collection[Instrument], since_ns: int, known: KnownFill) -> Sequence[Fill]:
        """Own trades since then, oldest first, but for those that are `known`.

        Raises:
            VenueError: It cannot be asked.
        """


class LoadedAccount(Protocol):
    """Balances and positions of one venue."""

    async def load_account(self) -> None:
        """Ask for them, and put them into the wallet book.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """


class AskedAccount:
    """Implements `bot.ports.account.AccountQuestions`."""

    def __init__(
        self,
        venue: str,
        history: AccountHistory,
        orders: OrderGateway,
        account: LoadedAccount,
        wallets: WalletBook,
        desk: OrderDesk,
        state: VenueState,
        between_s: float = 0.0,
        unknown_for_s: float = UNKNOWN_FOR_S,
    ) -> None:
        """Ask `venue` through these; `desk` and `wallets` are those that its streams fill, `state` knows of our key.

        `between_s`: the whole account is looked at no more often, where a look takes much of what may be asked.
        `unknown_for_s`: after so long an order that the venue still does not know never arrived.
        """
        self.venue = venue
        self._state = state
        self._between_s = between_s
        self.unknown_for_s = unknown_for_s
        self._history = history
        self._orders = orders
        self._account = account
        self._wallets = wallets
        self._desk = desk

    @property
    def between_s(self) -> float:
        """The whole account is looked at no more often; once a minute where our key is refused."""
        return max(self._between_s, _REFUSED_S * self._state.is_refused)

    def wallet_of(self, instrument: Instrument) -> str:
        """Which wallet trades of it are paid from."""
        return self._wallets.wallet_of(instrument)

    async def open_orders(self) -> Sequence[OrderFound]:
        """Every open order on the instruments of this run, whoever sent it."""
        return await self._history.open_orders()

    async def trades(self, instruments: Collection[Instrument], since_ns: int, known: KnownFill) -> Sequence[Fill]:
        """Own trades on these instruments since then, oldest first, but for those that are `known`."""
        own = list({one.id: one for one in instruments if one.venue == self.venue}.values())
        return await self._history.trades(own, since_ns, known) if own else ()

    async def holdings(self) -> Holdings:
        """Balances and positions, asked for now; what a stream has told since is in them."""
        await self._account.load_account()
        return Holdings(self._wallets.balances(), self._wallets.positions())

    async def order(self, order: Order) -> OrderFound | None:
        """What became of an order, by its client order id; None where the venue knows no such order."""
        report = await self._orders.find(order)
        if report is None:
            return None
        return report.on(order.instrument)

    async def fills(self, order: Order, found: OrderFound) -> Sequence[Fill]:
        """Its fills so far."""
        report = OrderReport(found.client_order_id, found.status, found.filled_quantity, found.venue_order_id)
        return await self._orders.fills(order, report)

    async def cancel(self, order: Order) -> None:
        """Ask to cancel it; one that is over or unknown is left as it is."""
        await self._orders.cancel(order)

    def take(self, fill: Fill) -> bool:
        """Tell the listener of a fill that was found by asking; False where the order is not of this process.

        The venue's own orders are nobody's: what they trade is told here as well, once, whoever hears of it first.
        """
        if self._desk.find(fill.client_order_id) is None and not fill.forced:
            return False
        self._desk.on_fill(fill)
        return True
