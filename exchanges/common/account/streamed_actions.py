"""`Actions` at a venue with private streams: orders by request, the truth by stream, repairs by asking again."""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

from bot.clock import Clock
from bot.domain.account import Balance, FundingPayment, Position
from bot.domain.instrument import Instrument
from bot.domain.margin import MarginTiers, WalletMargin
from bot.domain.order import Order, Side
from bot.domain.standing import VenueStanding
from bot.errors import AuthenticationFailed, InvariantError, VenueError
from bot.ports import AccountQuestions, OrderListener, ReadyOrder
from bot.settings import ConnectionSettings
from exchanges.common.account.dead_man import DeadManGateway, DeadManSwitch
from exchanges.common.account.funding_asker import FundingAsker
from exchanges.common.account.funding_desk import FundingDesk, OnFunding
from exchanges.common.account.margin_watch import MarginWatch
from exchanges.common.account.order_carrier import NEVER_COMES_S, OrderCarrier, OrderGateway
from exchanges.common.account.order_desk import OrderDesk
from exchanges.common.account.private_stream import PrivateProtocol, PrivateStream
from exchanges.common.account.trade_socket import TradeSocket
from exchanges.common.account.venue_state import VenueState
from exchanges.common.account.wallet_book import WalletBook
from exchanges.common.background import Log, pause, report_failure

_CLOCKS_APART_NS = 5_000_000_000
"""Ours and a venue's differ by less."""
_BETWEEN_REPAIRS_S = 1.0
"""A stream that talks nonsense must not make us ask without end."""
_REFUSED_S = 60.0
"""Who does not take our key is not asked again and again."""


class AccountGateway(Protocol):
    """The rest of a venue's private requests."""

    async def open(self) -> None:
        """Connect, and measure the venue's clock.

        Raises:
            VenueError: It cannot be reached, or refuses.
        """

    async def close(self) -> None:
        """Let go of the connections."""

    async def load_account(self) -> None:
        """Ask for balances and positions, and put them into the wallet book.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """

    async def load_margins(self) -> None:
        """Ask how positions and their wallets stand, and put it into the wallet book.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """

    async def load_tiers(self) -> Sequence[str]:
        """Ask how the maintenance margin grows with the notional; names what of the answer cannot be used.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """

    def ask_funding_from(self, since_ns: int) -> None:
        """The next `missed_funding` reaches back to there."""

    async def missed_funding(self) -> Sequence[FundingPayment]:
        """Funding since the last call, or since `open`; some of it may have been told already.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """


class StreamedActions:
    """One venue's account: implements `bot.ports.Actions`.

    Set `listener` before the first order. Call `start` before anything else, and `stop` at the end; orders that are
    still on their way then are let go as they are, and the listener hears no more of them.
    """

    def __init__(
        self,
        *,
        desk: OrderDesk,
        wallets: WalletBook,
        funding: FundingDesk,
        orders: OrderGateway,
        account: AccountGateway,
        protocols: Sequence[PrivateProtocol],
        state: VenueState,
        dead_man: DeadManGateway,
        settings: ConnectionSettings,
        clock: Clock,
        rng: random.Random,
        log: Log,
        trade_sockets: Sequence[TradeSocket] = (),
        questions: AccountQuestions,
        never_comes_s: float = NEVER_COMES_S,
        asks_together: bool = False,
    ) -> None:
        self._desk = desk
        self.questions = questions
        """The account as the venue itself knows it."""
        self._wallets = wallets
        self._funding = funding
        self._funding_asker = FundingAsker(account, funding, clock, log)
        self._account = account
        self._log = log
        self._state = state
        self._carrier = OrderCarrier(
            desk, orders, clock, log, self._leaves_trace, never_comes_s, asks_together=asks_together
        )
        self.switch = DeadManSwitch(dead_man, log, self._resting)
        """The venue's dead-man switch."""
        self._gap = asyncio.Event()
        self._streams = [
            PrivateStream(protocol, settings=settings, clock=clock, rng=rng, on_gap=self._on_gap, watch=state, log=log)
            for protocol in protocols
        ]
        self._trade_sockets = trade_sockets
        self._clock = clock
        self._margins = MarginWatch(account, wallets, clock, log)
        self._is_open = False
        self._chores: list[asyncio.Task[None]] = []

    @property
    def listener(self) -> OrderListener | None:
        """Who hears of orders and fills."""
        return self._desk.listener

    @listener.setter
    def listener(self, listener: OrderListener | None) -> None:
        self._desk.listener = listener

    @property
    def on_funding(self) -> OnFunding | None:
        """Who hears of funding payments; nobody need."""
        return self._funding.on_funding

    @on_funding.setter
    def on_funding(self, on_funding: OnFunding | None) -> None:
        self._funding.on_funding = on_funding

    @property
    def in_flight(self) -> int:
        """Orders whose final state has not been told yet."""
        return self._desk.in_flight

    @property
    def sends_by_socket(self) -> bool:
        """Whether an order would go out by a socket now, whatever its feed; else REST may have to carry it."""
        return bool(self._trade_sockets) and all(socket.is_ready for socket in self._trade_sockets)

    @property
    def reconnects(self) -> int:
        """How often a private stream had to be connected again."""
        return sum(stream.reconnects for stream in self._streams)

    def blocked(self, venue: str) -> str | None:
        """Why nothing new may be risked here now; None: it may."""
        return self._state.blocked()

    def standings(self) -> Sequence[VenueStanding]:
        """How we stand with this venue."""
        return (self._state.standing(),)

    def ask_for_funding(self, since_ns: int, told: Iterable[tuple[str, int]]) -> None:
        """Ask for what was paid since then, but for what is `told` (instrument id, time) already."""
        self._funding.remember(told)
        self._account.ask_funding_from(since_ns)
        self._funding.due.set()

    async def start(self) -> None:
        """Connect, log in to the private streams, and ask for balances and positions.

        Raises:
            VenueError: Why it cannot; everything is closed again.
        """
        try:
            await self._account.open()
            # The streams first: what happens while the snapshot is on its way is not missed.
            for stream in self._streams:
                await stream.start()
            await self._account.load_account()
            await self._margins.ask_tiers()
            await asyncio.gather(*(socket.start() for socket in self._trade_sockets))
        except BaseException:  # a cancelled start too leaves nothing open
            await self.stop()
            raise
        self._is_open = True
        loop = asyncio.get_running_loop()
        self._chores = [
            loop.create_task(chore) for chore in (self._funding_asker.run(), self._fill_gaps(), self._margins.run())
        ]
        for chore in self._chores:
            chore.add_done_callback(report_failure)

    async def stop(self) -> None:
        """Close everything. Idempotent."""
        self._is_open = False
        for socket in self._trade_sockets:
            socket.forget_prepared()
        for chore in self._chores:
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)
        await self.switch.stop()
        await self._carrier.stop()
        await asyncio.gather(*(socket.stop() for socket in self._trade_sockets))
        await asyncio.gather(*(stream.stop() for stream in self._streams))
        await self._account.close()

    def submit(self, order: Order) -> None:
        """Send an order; its fills and its final state come to the listener.

        Raises:
            OrderRejected: If the client order id was used before; the listener hears nothing then.
            InvariantError: If nobody listens, or it was not started.
        """
        self.launch(order)(order)

    def launch(self, order: Order) -> Callable[[Order], None]:
        """Write it, where that is a socket; what is returned does the rest of `submit`, before the loop turns.

        Raises:
            OrderRejected: As `submit`.
            InvariantError: As `submit`.
        """
        if not self._is_open:
            raise InvariantError(f"{order.instrument.venue} was given an order while it was not started")
        return partial(self._follow, self._carrier.launch(order))

    def _follow(self, follow: Callable[[Order], None], sent: Order) -> None:
        follow(sent)
        self.switch.on_submit(sent)

    def prepare(self, order: Order) -> ReadyOrder | None:
        """Spell and sign what `submit` of this order will write, where that is a socket; nothing is sent."""
        ready = self._carrier.prepare(order) if self._is_open else None
        return None if ready is None else ReadyOrder(ready.leave, partial(self._follow, ready.follow))

    def cancel(self, order: Order) -> None:
        """Ask to cancel it; one that is over, or that was never submitted here, is left as it is."""
        self._carrier.cancel(order)

    def balances(self) -> Sequence[Balance]:
        """Every wallet, as the venue told it last."""
        return self._wallets.balances()

    def positions(self) -> Sequence[Position]:
        """Every derivative position that is not flat, as the venue told it last."""
        return self._wallets.positions()

    def wallet_margins(self) -> Sequence[WalletMargin]:
        """The venue's own sums, of wallets that have not changed since they were told."""
        return self._wallets.margins()

    def margin_tiers(self, instrument: Instrument) -> MarginTiers | None:
        """How the venue's maintenance margin grows; None where it has not told."""
        return self._wallets.tiers(instrument)

    def affordable_notional(self, instrument: Instrument, side: Side, price: float) -> float:
        """Quote units that its wallet covers for a new trade at `price`, less what orders on their way will need.

        Margin and fee for a derivative, the whole amount for spot; 0 where the fee is not known.
        """
        return self._wallets.affordable_notional(instrument, side, price, self._desk.flying)

    def pet(self, within_s: float) -> None:
        """Have the venue cancel what rests unless this is called again within `within_s`; 0: not any more.

        Before announced maintenance the switch is put away, as venues ask: nobody could pet it then.
        """
        if self._is_open:
            self.switch.pet(0.0 if self._state.is_in_maintenance else within_s)

    def _resting(self) -> frozenset[Instrument]:
        return frozenset(one.order.instrument for one in self._desk.flying if one.order.time_in_force.rests)

    def _on_gap(self) -> None:
        self._state.on_repairing()
        self._gap.set()

    async def _leaves_trace(self, order: Order) -> bool:
        """Whether the venue's open orders or its own trades name an order that it does not know when asked for it."""
        name = order.client_order_id
        if any(found.client_order_id == name for found in await self.questions.open_orders()):
            return True
        since_ns = (order.ts_sent_ns or order.ts_decision_ns) - _CLOCKS_APART_NS
        fills = await self.questions.trades([order.instrument], since_ns, lambda instrument, fill: False)
        return any(fill.client_order_id == name for fill in fills)

    async def _fill_gaps(self) -> None:
        """Messages may have been missed: ask for what they would have told, until all of it was answered."""
        while True:
            await self._gap.wait()
            self._gap.clear()
            self._carrier.look_again()
            wait_s = _BETWEEN_REPAIRS_S
            try:
                await self._account.load_account()
                await self._funding_asker.take()
            except VenueError as error:
                self._log("error", f"what was missed could not be asked for: {error}")
                self._gap.set()
                wait_s = max(wait_s, error.retry_after_s or 0.0, _REFUSED_S * isinstance(error, AuthenticationFailed))
            if not self._gap.is_set():
                self._state.on_repaired()
                self._funding.due.set()  # its books may be behind, and what was settled meanwhile in none of them yet
            await pause(self._clock, wait_s)
