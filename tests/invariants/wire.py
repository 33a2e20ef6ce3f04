"""What lies between the bot and the exchanges: late, lost, twice, out of order, and refusals of every kind.

The gateways are those of `StreamedActions`: the real order carrier and order desk run over them. Which lie is told is
decided by a seeded generator and by `Mood`, which a test sets.
"""

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from bot.clock import Clock
from bot.domain.account import FundingPayment
from bot.domain.instrument import Instrument
from bot.domain.order import Fill, Order, OrderStatus
from bot.errors import OrderOutcomeUnknown, OrderRejected, RateLimited, VenueUnavailable
from bot.ports.account import KnownFill, OrderFound
from exchanges.common.account.order_desk import OrderDesk, OrderReport
from exchanges.common.account.wallet_book import WalletBook
from exchanges.common.background import pause
from tests.invariants.world import MS, World, is_final

PLACING = ("ok", "slow", "lost_answer", "never_arrives", "rejected", "unavailable", "rate_limited")
"""What may become of a request that places an order."""


@dataclass(slots=True)
class Mood:
    """How a venue behaves now."""

    placing: str | None = None
    """One of `PLACING` for every order; None: mostly ok."""
    trouble: float = 0.0
    """Part of the orders that meet with trouble while `placing` is None."""
    is_deaf: bool = False
    """No question is answered."""
    drops_news: float = 0.0
    """Part of the private stream's messages that never come."""
    repeats_news: float = 0.0
    news_delay_ms: int = 5
    blind_ms: int = 0
    """Questions about an order are answered `not found` for so long after it arrived."""


@dataclass(slots=True)
class Wire:
    """One venue's connection of one process of the bot."""

    venue: str
    world: World
    clock: Clock
    """The process's: its timers end with it."""
    rng: random.Random
    mood: Mood
    desk: OrderDesk
    wallets: WalletBook
    is_cut: Callable[[], bool]
    """Whether the process is dead."""
    before_sending: Callable[[Order], None]
    lies: list[str] = field(default_factory=list)
    """What was done to orders, for whoever reads a failure."""
    _funding_since_ns: int = 0

    # exchanges.common.account.order_carrier.OrderGateway

    async def place(self, order: Order) -> None:
        self.before_sending(order)
        fate = self._fate()
        if fate != "ok":
            self.lies.append(f"{order.client_order_id} {fate}")
        await self._travel(1, 8)
        if fate == "rejected":
            raise OrderRejected(order.client_order_id, "insufficient margin")
        if fate == "unavailable":
            raise VenueUnavailable(self.venue, "maintenance")
        if fate == "rate_limited":
            raise RateLimited(self.venue, "too many requests", retry_after_s=1.0)
        if fate == "never_arrives":
            await pause(self.clock, 1.0)
            raise OrderOutcomeUnknown(order.client_order_id, "no answer in 1 s")
        if fate == "slow":
            await self._travel(100, 900)
        if not self.is_cut():
            self.world.take(order)
        if fate == "lost_answer":
            await pause(self.clock, 1.0)
            raise OrderOutcomeUnknown(order.client_order_id, "no answer in 1 s")
        await self._travel(1, 8)

    async def cancel(self, order: Order) -> None:
        await self._ask()
        known = self.world.orders.get(order.client_order_id)
        if known is not None and not is_final(known.order):
            self.world.core.cancel(known.order)

    async def find(self, order: Order) -> OrderReport | None:
        await self._ask()
        known = self.world.orders.get(order.client_order_id)
        if known is None or self.clock.now_ns() - known.arrived_ns < self.mood.blind_ms * MS:
            return None
        final = known.order.status if is_final(known.order) else OrderStatus.SENT
        return OrderReport(order.client_order_id, final, known.filled, reason=known.order.reason)

    async def fills(self, order: Order, report: OrderReport) -> Sequence[Fill]:
        await self._ask()
        known = self.world.orders.get(order.client_order_id)
        return [] if known is None else list(known.fills)

    # exchanges.common.account.streamed_actions.AccountGateway

    async def open(self) -> None:
        self._funding_since_ns = self.clock.now_ns()

    async def close(self) -> None:
        return

    async def load_account(self) -> None:
        asked_at = self.wallets.mark()
        await self._ask()
        for balance in self.world.core.balances():
            if balance.wallet.startswith(self.venue):
                self.wallets.set_balance(balance, asked_at)
        for instrument in self.world.market.instruments:
            if instrument.venue == self.venue and instrument.is_perpetual:
                self.wallets.set_position(self.world.core.accounts.position(instrument), asked_at)

    async def load_margins(self) -> None:
        await self._ask()

    async def load_tiers(self) -> Sequence[str]:
        await self._ask()
        return ()

    def ask_funding_from(self, since_ns: int) -> None:
        self._funding_since_ns = min(self._funding_since_ns, since_ns)

    async def missed_funding(self) -> Sequence[FundingPayment]:
        await self._ask()
        own = [payment for payment in self.world.payments if payment.instrument.venue == self.venue]
        return [payment for payment in own if payment.ts_ns >= self._funding_since_ns]

    # exchanges.common.account.asked_account.AccountHistory

    async def open_orders(self) -> Sequence[OrderFound]:
        await self._ask()
        return [
            OrderFound(known.order.client_order_id, known.order.instrument, OrderStatus.SENT, known.filled)
            for known in self.world.orders.values()
            if known.order.instrument.venue == self.venue and not is_final(known.order)
        ]

    async def trades(self, instruments: Collection[Instrument], since_ns: int, known: KnownFill) -> Sequence[Fill]:
        await self._ask()
        wanted = {instrument.id for instrument in instruments}
        own = [fill for fill in self.world.fills if fill.instrument.id in wanted and fill.ts_event_ns >= since_ns]
        return [fill for fill in own if not known(fill.instrument.id, fill.fill_id)]

    # exchanges.common.account.dead_man.DeadManGateway

    def guards(self, instrument: Instrument) -> bool:
        return False

    async def set(self, instruments: frozenset[Instrument], within_s: float) -> None:
        return

    def scope(self, instrument: Instrument) -> str:
        return instrument.id

    # The private stream

    def on_news(self, what: Fill | Order) -> None:
        """The venue has something to tell: it comes later, twice, before what came ahead of it, or never."""
        if self.rng.random() < self.mood.drops_news:
            self.lies.append(f"{what.client_order_id} {type(what).__name__} dropped")
            return
        for _ in range(2 if self.rng.random() < self.mood.repeats_news else 1):
            delay_s = self.rng.uniform(0, self.mood.news_delay_ms) / 1e3
            self.clock.call_later(delay_s, lambda: self._tell(what))

    def _tell(self, what: Fill | Order) -> None:
        if isinstance(what, Fill):
            self.desk.on_fill(what)
        else:
            report = OrderReport(what.client_order_id, what.status, what.filled_quantity, reason=what.reason)
            self.desk.on_report(report)
        for balance in self.world.core.balances():
            if balance.wallet.startswith(self.venue):
                self.wallets.set_balance(balance)
        if what.instrument.is_perpetual:
            self.wallets.set_position(self.world.core.accounts.position(what.instrument))

    def _fate(self) -> str:
        if self.mood.placing is not None:
            return self.mood.placing
        return self.rng.choice(PLACING[1:]) if self.rng.random() < self.mood.trouble else "ok"

    async def _ask(self) -> None:
        await self._travel(1, 8)
        if self.mood.is_deaf:
            raise VenueUnavailable(self.venue, "no answer")

    async def _travel(self, least_ms: int, most_ms: int) -> None:
        await pause(self.clock, self.rng.randint(least_ms, most_ms) / 1e3)
