"""Two venues, a carrier and a disk that do what a seed says: answers late, twice, never, or not at all."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from random import Random
from typing import Any

from bot.clock import Timer, VirtualClock
from bot.domain.account import Balance, Position
from bot.domain.instrument import Instrument
from bot.domain.market import TopOfBook
from bot.domain.order import Fill, Order, OrderStatus, Side
from bot.domain.route import Link, Opportunity, Route, TradeLeg
from bot.errors import InvariantError
from bot.execution.chain import Chain
from bot.execution.chain_executor import ChainExecutor
from bot.execution.context import ExecutionContext
from bot.execution.grid import decimal_price
from bot.execution.journal_replay import JournalReplay
from bot.ports import RecordKind
from bot.ports.transfers import Carriage, CarryListener, CarryNews, CarryState
from bot.settings import ExecutionSettings
from tests.unit.chain_bench import BTC, BTC_B, CROSS, ETH, RING, RING_LINKS, SENT, SENT_LINKS

D = Decimal
S = 1_000_000_000
SETTINGS = ExecutionSettings(price_cap_bps=5.0, complete_tries=2, retry_wait_ms=200.0, order_timeout_ms=1500.0)


INSTRUMENTS = {one.id: one for one in (BTC, CROSS, ETH, BTC_B)}
BACK = Route(
    kind="triangular",
    legs=(
        TradeLeg(instrument=ETH, side=Side.BUY),
        TradeLeg(instrument=CROSS, side=Side.SELL),
        TradeLeg(instrument=BTC, side=Side.SELL),
    ),
)
LINKS = {
    RING.id: RING_LINKS,
    BACK.id: (
        Link(quantity=D(2), price=3031.0, spends=D(6062), brings=D(2)),
        Link(quantity=D(2), price=0.0499, spends=D(2), brings=D("0.0998")),
        Link(quantity=D("0.0998"), price=59990.0, spends=D("0.0998"), brings=D("5987.002")),
    ),
    SENT.id: SENT_LINKS,
}
ROUTES = (RING, BACK, SENT)
_QUOTES = {BTC.id: (59990.0, 60000.0), CROSS.id: (0.0499, 0.05), ETH.id: (3030.0, 3031.0), BTC_B.id: (61000.0, 61000.1)}


class Killed(BaseException):
    """The process is gone."""


@dataclass(frozen=True)
class Entry:
    """One record of the journal."""

    kind: RecordKind
    key: str
    body: Mapping[str, Any]


class Disk:
    """A journal that loses what was not durable yet when its process is killed."""

    def __init__(self, world: "World") -> None:
        self.records: list[Entry] = []
        self.durable = 0
        self.written = 0
        self._world = world

    def record(
        self, kind: RecordKind, key: str, ts_ns: int, body: Mapping[str, Any] | Callable[[], Mapping[str, Any]]
    ) -> None:
        self.written += 1
        if self.written == self._world.kill_at:
            raise Killed
        self.records.append(Entry(kind, key, body() if callable(body) else dict(body)))

    def when_durable(self, callback: Callable[[], None]) -> None:
        upto = len(self.records)

        def synced() -> None:
            self.durable = max(self.durable, upto)
            callback()

        self._world.process.call_later(0.002, synced)

    def lose(self, keeps: int) -> None:
        """The process is gone: of what was not durable, so many records are there all the same."""
        del self.records[self.durable + keeps :]

    def close(self) -> None:
        """Nothing to let go of."""


class ProcessClock:
    """The clock as one process knows it: with it its timers are gone."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.is_alive = True

    def now_ns(self) -> int:
        return self._clock.now_ns()

    def monotonic_ns(self) -> int:
        return self._clock.monotonic_ns()

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        return self._clock.call_later(delay_s, lambda: callback() if self.is_alive else None)


class World:
    """What is outside the process, and the process that runs now."""

    carry_listener: CarryListener

    def __init__(self, seed: int, kill_at: int | None = None, *, calm: bool = False) -> None:
        self.random = Random(seed)
        self.kill_at = kill_at
        self.harm = 0.0 if calm else self.random.choice([0.03, 0.15, 0.5])
        """How often anything goes wrong."""
        self.clock = VirtualClock(1_700_000_000 * S)
        self.process = ProcessClock(self.clock)
        self.disk = Disk(self)
        self.wallets: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self.quotes: dict[str, TopOfBook | None] = {}
        self.orders: dict[str, Order] = {}
        """As the venue has them, by client id."""
        self.fills: defaultdict[str, list[Fill]] = defaultdict(list)
        self.carriages: dict[str, CarryNews] = {}
        self.between = D(0)
        self.left: dict[str, Decimal] = {}
        """By carriage: what left the wallet."""
        self.halts: list[str] = []
        self.alarms: list[str] = []
        self.over: dict[str, Chain] = {}
        self.kills = 0
        self._fill_count = 0
        for name in _QUOTES:
            self._move(name)
        self.executor = self._new_process()

    def _new_process(self) -> ChainExecutor:
        self.process = ProcessClock(self.clock)
        executor = ChainExecutor(
            ExecutionContext(
                actions=self,
                journal=self.disk,
                clock=self.process,
                settings=SETTINGS,
                quotes=lambda instrument: self.quotes[instrument.id],
                id_prefix=f"r{self.kills}",
                may_open=lambda: not self.halts,
                on_halt=self.halts.append,
                taker_bps=lambda instrument: 10.0,
            ),
            on_chain=self._heard,
            on_chain_fill=lambda chain, name, fill: None,
            on_sent=lambda order: None,
            carrier=self,
            deadline_s=600.0,
        )
        executor.on_alarm = lambda chain, text: self.alarms.append(text)
        return executor

    def _heard(self, chain: Chain) -> None:
        if chain.state.is_over:
            self.over[chain.id] = chain

    # Time

    def later(self, delay_s: float, callback: Callable[[], None]) -> None:
        """Something outside happens in `delay_s`; it may be the end of the process."""

        def guarded() -> None:
            self.guard(callback)

        self.clock.call_later(delay_s, guarded)

    def guard(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Killed:
            self._restart()

    def run(self, seconds: float) -> None:
        """Let time pass; a killed process is started again."""
        end_ns = self.clock.now_ns() + round(seconds * S)
        while self.clock.now_ns() < end_ns:
            try:
                self.clock.advance_to(end_ns)
            except Killed:
                self._restart()

    def open(self, route: Route) -> None:
        links = LINKS[route.id]
        opportunity = Opportunity(
            route=route, ts_ns=self.clock.now_ns(), quantity=links[0].quantity, buy_price=links[0].price,
            sell_price=links[-1].price, gross_edge_bps=100.0, costs=(), net_edge_bps=100.0, links=links,
        )  # fmt: skip
        self.guard(lambda: self._opened(opportunity))

    def _opened(self, opportunity: Opportunity) -> None:
        self.executor.open(opportunity)

    def _restart(self) -> None:
        """A new process takes up what the journal tells, as the recovery of a run does."""
        self.kills += 1
        self.kill_at = None
        self.process.is_alive = False
        most = len(self.disk.records) - self.disk.durable
        self.disk.lose(self.random.randint(0, most) if self.harm else most)
        self.disk.durable = len(self.disk.records)
        self.executor = self._new_process()
        self.executor.dust.restore(self.dust, INSTRUMENTS.values())
        self.clock.call_later(self.random.choice([0.0, 1.0, 30.0]) + 20.0, self._recover)

    @property
    def dust(self) -> dict[str, Decimal]:
        """What the journal says that nobody takes as an order, by instrument."""
        return {one.key: D(one.body["quantity"]) for one in self.disk.records if one.kind is RecordKind.DUST}

    def _recover(self) -> None:
        replay = JournalReplay(INSTRUMENTS)
        for record in self.disk.records:
            replay.take(record)
        for left in replay.left():
            chain = left.pair
            assert isinstance(chain, Chain)
            for order_id in sorted(chain.pending):
                order, name, expected = chain.orders[order_id]
                found = self.orders.get(order_id)
                for fill in self.fills[order_id]:
                    if chain.count(fill):
                        body = {**fill.model_dump(mode="json"), "pair": chain.id, "leg": name}
                        body["expected_price"] = str(expected)
                        self.disk.record(RecordKind.FILL, fill.fill_id, fill.ts_event_ns, body)
                ended = found or order.model_copy(update={"status": OrderStatus.REJECTED})
                assert ended.status.is_terminal
                chain.orders[order_id] = (ended, name, expected)
                chain.pending.discard(order_id)
                body = {**ended.model_dump(mode="json"), "pair": chain.id, "leg": name, "expected_price": str(expected)}
                self.disk.record(RecordKind.ORDER, order_id, self.clock.now_ns(), body)
            self.executor.adopt(chain)

    # The venues

    def _goes_wrong(self) -> bool:
        return self.random.random() < self.harm

    def _move(self, name: str) -> None:
        bid, ask = _QUOTES[name]
        drift = self.random.choice([0.0001, -0.0001, 0.0004, -0.004]) if self._goes_wrong() else 0.0
        quote = TopOfBook(
            bid_price=round(bid * (1 + drift), 5), bid_qty=50.0,
            ask_price=round(ask * (1 + drift), 5), ask_qty=50.0, sequence=1,
        )  # fmt: skip
        self.quotes[name] = None if self._goes_wrong() and self.random.random() < 0.3 else quote

    def submit(self, order: Order) -> None:
        """Takes an order whose intent is durable; what becomes of it is told later, or not."""
        known = {one.key for one in self.disk.records[: self.disk.durable] if one.kind is RecordKind.ORDER}
        if order.client_order_id not in known:
            raise InvariantError(f"{order.client_order_id} was sent before its intent was durable")
        assert order.client_order_id not in self.orders, "sent a second time"
        self.orders[order.client_order_id] = order.model_copy(update={"status": OrderStatus.SENT})
        process = self.process
        self.later(self.random.choice([0.005, 0.02]), lambda: self._match(process, order))

    def _match(self, process: ProcessClock, order: Order) -> None:
        """It is done at the venue; the process that sent it hears of it."""
        share = self.random.choice([0.6, 0.3, 0.0003, 0.0]) if self._goes_wrong() else 1.0
        is_refused = self._goes_wrong() and self.random.random() < 0.3
        bid, ask = _QUOTES[order.instrument.id]
        quote = self.quotes[order.instrument.id]
        touch = (ask if order.side is Side.BUY else bid) if quote is None else (
            quote.ask_price if order.side is Side.BUY else quote.bid_price
        )  # fmt: skip
        price = decimal_price(touch)
        beyond = order.price is not None and (price - order.price) * order.side.sign > 0
        quantity = order.instrument.floor_quantity(order.quantity * decimal_price(share))
        fills = []
        if quantity and not beyond and not is_refused:
            parts = [quantity] if self.random.random() < 0.7 else [quantity / 2, quantity - quantity / 2]
            fills = [self._fill(order, part, price) for part in parts if part]
        filled = sum((one.quantity for one in fills), D(0))
        status = OrderStatus.FILLED if filled == order.quantity else OrderStatus.EXPIRED
        if is_refused:
            status = OrderStatus.REJECTED
        ended = order.model_copy(
            update={"status": status, "filled_quantity": filled, "ts_final_ns": self.clock.now_ns()}
        )
        self.orders[order.client_order_id] = ended
        self.fills[order.client_order_id] = fills
        for fill in fills:
            self._settle(fill)
        if process.is_alive:
            self._tell(process, fills, ended)

    def _forgets(self, fills: list[Fill], ended: Order) -> bool:
        """Whether its venue ends an order without the last of its fills, and tells of that long afterwards.

        Of a first link alone, since what was sold and is not told would be sold again; and by no process that is to be
        killed, since the next one asks for the fills of what is not over.
        """
        owner = self.executor._rounds.owner(ended.client_order_id) if self.kill_at is None else None
        is_first = owner is not None and owner.orders[ended.client_order_id][1] == "link_0"
        return is_first and len(fills) == 2 and self._goes_wrong()

    def _tell(self, process: ProcessClock, fills: list[Fill], ended: Order) -> None:
        if self._forgets(fills, ended):
            first, last = fills
            told = {"status": OrderStatus.EXPIRED, "filled_quantity": first.quantity}
            self._say(process, 0.001, lambda: self.executor.on_fill(first))
            self._say(process, 0.001, lambda: self.executor.on_order(ended.model_copy(update=told)))
            late_s = self.random.choice([0.01, 0.3, 3.0, 20.0, 90.0])
            self._say(process, late_s, lambda: self.executor.on_fill(last))
            return
        if self._goes_wrong() and self.random.random() < 0.2:
            self._say(process, 0.0, lambda: self.executor.on_order(ended))  # before the fills that it counts
        wait_s = self.random.choice([0.5, 2.5, 7.0, 14.0]) if self._goes_wrong() else 0.001
        for fill in fills:
            self._say(process, wait_s, lambda fill=fill: self.executor.on_fill(fill))  # type: ignore[misc]
            if self._goes_wrong():
                self._say(process, wait_s + 0.3, lambda fill=fill: self.executor.on_fill(fill))  # type: ignore[misc]
        self._say(process, wait_s, lambda: self.executor.on_order(ended))
        if self.harm:
            self._move(ended.instrument.id)

    def _say(self, process: ProcessClock, delay_s: float, word: Callable[[], None]) -> None:
        self.later(delay_s, lambda: word() if process.is_alive else None)

    def _fill(self, order: Order, quantity: Decimal, price: Decimal) -> Fill:
        self._fill_count += 1
        kept = self.random.choice(["received", "BNB"]) if self.harm else "received"
        received = order.instrument.base if order.side is Side.BUY else order.instrument.quote
        amount = quantity if order.side is Side.BUY else quantity * price
        return Fill(
            fill_id=str(self._fill_count), client_order_id=order.client_order_id, instrument=order.instrument,
            side=order.side, price=price, quantity=quantity,
            fee=amount / 1000 if kept == "received" else D("0.001"),
            fee_asset=received if kept == "received" else "BNB",
            is_maker=False, ts_event_ns=self.clock.now_ns(),
        )  # fmt: skip

    def _settle(self, fill: Fill) -> None:
        one, sign = fill.instrument, fill.side.sign
        self.wallets[one.venue, one.base] += sign * fill.quantity
        self.wallets[one.venue, one.quote] -= sign * fill.quantity * fill.price
        self.wallets[one.venue, fill.fee_asset] -= fill.fee
        for (venue, asset), amount in self.wallets.items():
            assert asset in ("USDT", "BNB") or amount >= 0, f"{-amount} {asset} at {venue} was spent and never there"

    def cancel(self, order: Order) -> None:
        """Nothing rests."""

    def balances(self) -> Sequence[Balance]:
        return ()

    def positions(self) -> Sequence[Position]:
        return ()

    def affordable_notional(self, instrument: Instrument, side: Side, price: float) -> float:
        return 1e9

    # The carrier

    def send(self, carriage: Carriage) -> None:
        assert carriage.id not in self.carriages, "sent a second time"
        told = any(carriage.id in str(one.body.get("travels")) for one in self.disk.records[: self.disk.durable])
        assert told, "a transfer left before its intent was durable"
        self._news(carriage, CarryState.IN_TRANSIT, D(0))
        ends = [CarryState.REFUSED, CarryState.FAILED]
        end = self.random.choice(ends) if self._goes_wrong() else CarryState.ARRIVED
        takes_s = 900.0 if self._goes_wrong() else self.random.choice([1.0, 60.0])
        grid = D("1e-6") if self._goes_wrong() else D("1e-8")
        self.left[carriage.id] = D(0) if end is CarryState.REFUSED else carriage.amount.quantize(grid, ROUND_DOWN)
        if end is not CarryState.REFUSED:
            self.wallets["a", carriage.asset] -= self.left[carriage.id]
            self.between += self.left[carriage.id]
            assert self.wallets["a", carriage.asset] >= 0
        if takes_s > carriage.deadline_s:
            self.later(carriage.deadline_s, lambda: self._tell_news(carriage, CarryState.LATE, D(0)))
        self.later(takes_s, lambda: self._carried(carriage, end))

    def _carried(self, carriage: Carriage, end: CarryState) -> None:
        received = D(0)
        if end is CarryState.ARRIVED:
            received = self.left[carriage.id] - D("0.0002")
            self.wallets["b", carriage.asset] += received
            self.between -= self.left[carriage.id]
        elif end is CarryState.FAILED:
            received = self.left[carriage.id]
            self.wallets["a", carriage.asset] += received
            self.between -= received
        self._tell_news(carriage, end, received)

    def _news(self, carriage: Carriage, state: CarryState, received: Decimal) -> CarryNews:
        sent = self.left.get(carriage.id, D(0))
        news = CarryNews(carriage.id, state, received, "", self.clock.now_ns(), sent)
        self.carriages[carriage.id] = news
        return news

    def _tell_news(self, carriage: Carriage, state: CarryState, received: Decimal) -> None:
        news = self._news(carriage, state, received)
        if self.process.is_alive and carriage.id in self.resumable:
            self.carry_listener.on_carry(news)

    @property
    def resumable(self) -> set[str]:
        """Carriages that the process of now has sent, or asked about."""
        return {one for chain in self.executor.chains.values() for one in chain.travels}

    def resume(self, carriage: Carriage) -> None:
        news = self.carriages.get(carriage.id)
        if news is None:
            news = self._news(carriage, CarryState.REFUSED, D(0))
        process, told = self.process, news
        self.later(0.01, lambda: self.carry_listener.on_carry(told) if process.is_alive else None)
