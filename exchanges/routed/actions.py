"""Sends every order to the venue that its instrument belongs to."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Protocol

from bot.domain.account import Balance, FundingPayment, Position
from bot.domain.instrument import Instrument
from bot.domain.margin import MarginTiers, WalletMargin
from bot.domain.order import Order, Side
from bot.domain.standing import VenueStanding
from bot.errors import BotError, OrderRejected
from bot.patience import Patience
from bot.ports import (
    AccountQuestions,
    Actions,
    HasDeadManSwitch,
    OrderListener,
    PaysFunding,
    PreparesOrders,
    ReadyOrder,
    TellsMargins,
    TellsStanding,
)


class ConnectedActions(Actions, Protocol):
    """A venue that has to be connected first, and tells of funding."""

    listener: OrderListener | None
    on_funding: Callable[[FundingPayment], None] | None
    questions: AccountQuestions
    """The account as the venue itself knows it."""

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Disconnect."""

    @property
    def in_flight(self) -> int:
        """Orders whose final state has not been told yet."""


class RoutedActions:
    """Implements `bot.ports.Actions` over one `Actions` per venue."""

    def __init__(self, by_venue: Mapping[str, ConnectedActions], patience: Patience | None = None) -> None:
        """Route by `instrument.venue`; one that cannot be connected is tried again as long as there is `patience`."""
        self._by_venue = dict(by_venue)
        self._patience = patience
        self._preparing = {name: venue for name, venue in by_venue.items() if isinstance(venue, PreparesOrders)}
        self._is_left = False

    @property
    def listener(self) -> OrderListener | None:
        """Who hears of orders and fills of every venue."""
        return next((venue.listener for venue in self._by_venue.values()), None)

    @listener.setter
    def listener(self, listener: OrderListener | None) -> None:
        for venue in self._by_venue.values():
            venue.listener = listener

    @property
    def on_funding(self) -> Callable[[FundingPayment], None] | None:
        """Who hears of funding payments of every venue."""
        return next((venue.on_funding for venue in self._by_venue.values()), None)

    @on_funding.setter
    def on_funding(self, on_funding: Callable[[FundingPayment], None] | None) -> None:
        for venue in self._by_venue.values():
            venue.on_funding = on_funding

    @property
    def in_flight(self) -> int:
        """Orders of all venues whose final state has not been told yet."""
        return sum(venue.in_flight for venue in self._by_venue.values())

    def account_questions(self) -> Sequence[AccountQuestions]:
        """Whom to ask for what every venue itself knows."""
        return [venue.questions for venue in self._by_venue.values()]

    def blocked(self, venue: str) -> str | None:
        """Why nothing new may be risked at a venue now; None: it may, as far as it tells."""
        found = self._by_venue.get(venue)
        return found.blocked(venue) if isinstance(found, TellsStanding) else None

    def standings(self) -> Sequence[VenueStanding]:
        """Of every venue that tells."""
        return [
            one for venue in self._by_venue.values() if isinstance(venue, TellsStanding) for one in venue.standings()
        ]

    def pet(self, within_s: float) -> None:
        """Keep the dead-man switch of every venue that has one from firing, or put it away."""
        for venue in self._by_venue.values():
            if isinstance(venue, HasDeadManSwitch):
                venue.pet(within_s)

    async def start(self) -> None:
        """Connect every venue at once.

        Raises:
            VenueError: The first that failed; the others are disconnected again.
        """
        self._is_left = False
        try:
            async with asyncio.TaskGroup() as starting:
                for venue in self._by_venue.values():
                    starting.create_task(self._started(venue))
        except* BotError as failures:
            await self.stop()
            raise failures.exceptions[0] from None

    async def _started(self, venue: ConnectedActions) -> None:
        await (venue.start() if self._patience is None else self._patience.asked(venue.start))

    async def stop(self) -> None:
        """Disconnect every venue; from now on orders are refused. Idempotent."""
        self._is_left = True
        await asyncio.gather(*(venue.stop() for venue in self._by_venue.values()))

    def ask_for_funding(self, since_ns: int, told: Iterable[tuple[str, int]]) -> None:
        """Ask every venue for what was paid since then, but for what is `told` (instrument id, time) already."""
        known = list(told)
        for venue in self._by_venue.values():
            if isinstance(venue, PaysFunding):
                venue.ask_for_funding(since_ns, known)

    def submit(self, order: Order) -> None:
        """Send an order to its venue.

        Raises:
            OrderRejected: If nobody trades there, the venues have been left, or its client order id was used before
                at that venue; the listener hears nothing then.
        """
        self._venue_for(order).submit(order)

    def launch(self, order: Order) -> Callable[[Order], None]:
        """Have its venue write it, where that can; what is returned does the rest of `submit`.

        Raises:
            OrderRejected: As `submit`.
        """
        venue = self._venue_for(order)
        preparing = self._preparing.get(order.instrument.venue)
        return venue.submit if preparing is None else preparing.launch(order)

    def _venue_for(self, order: Order) -> ConnectedActions:
        venue = self._by_venue.get(order.instrument.venue)
        if venue is None:
            raise OrderRejected(order.client_order_id, f"nobody sends orders to {order.instrument.venue}")
        if self._is_left:
            # A timer of the executor may come due while the run is taken apart.
            raise OrderRejected(order.client_order_id, "not sent: the run is over")
        return venue

    def prepare(self, order: Order) -> ReadyOrder | None:
        """Have its venue spell and sign it, where that can."""
        venue = self._preparing.get(order.instrument.venue)
        ready = None if venue is None else venue.prepare(order)
        return None if ready is None else ReadyOrder(partial(self._leave, ready.leave), ready.follow)

    def _leave(self, leave: Callable[[], bool]) -> bool:
        return not self._is_left and leave()

    def cancel(self, order: Order) -> None:
        """Ask its venue to cancel it."""
        venue = self._by_venue.get(order.instrument.venue)
        if venue is not None:
            venue.cancel(order)

    def balances(self) -> Sequence[Balance]:
        """Every wallet of every venue."""
        return list(chain.from_iterable(venue.balances() for venue in self._by_venue.values()))

    def positions(self) -> Sequence[Position]:
        """Every derivative position of every venue that is not flat."""
        return list(chain.from_iterable(venue.positions() for venue in self._by_venue.values()))

    def affordable_notional(self, instrument: Instrument, side: Side, price: float) -> float:
        """Quote units that the wallet at the instrument's venue covers; 0 where nobody trades there."""
        venue = self._by_venue.get(instrument.venue)
        return 0.0 if venue is None else venue.affordable_notional(instrument, side, price)

    def wallet_margins(self) -> Sequence[WalletMargin]:
        """What the venues that tell margins say of whole wallets."""
        telling = (venue for venue in self._by_venue.values() if isinstance(venue, TellsMargins))
        return list(chain.from_iterable(venue.wallet_margins() for venue in telling))

    def margin_tiers(self, instrument: Instrument) -> MarginTiers | None:
        """Of the instrument's venue; None where it tells none."""
        venue = self._by_venue.get(instrument.venue)
        return venue.margin_tiers(instrument) if isinstance(venue, TellsMargins) else None
