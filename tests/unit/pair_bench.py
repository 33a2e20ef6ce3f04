"""Two instruments on two venues, and a pair executor whose venues' answers each test writes itself."""

from collections.abc import Callable
from decimal import Decimal

from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Fill, Order, OrderStatus, Side
from bot.domain.route import HoldLeg, Opportunity, Route, TradeLeg
from bot.execution.pair import Pair, PairState
from bot.execution.pair_executor import PairExecutor
from bot.ports import Journal
from bot.settings import ExecutionSettings
from tests.unit.executor_bench import D, ExecutorBench, MemoryJournal, spot

NOTHING = D(0)
SPOT = spot("a", "ETH", "USDT", "0.01", "0.001", "5")
PERP = Instrument(
    venue="b", symbol="ETH/USDT:USDT", segment=Segment.LINEAR, base="ETH", quote="USDT", settle="USDT",
    tick_size=D("0.01"), lot_size=D("0.01"), min_quantity=D("0.01"), min_notional=D(20),
)  # fmt: skip
OTHER = PERP.model_copy(update={"venue": "c"})
# What one leg is ahead is unwound at once: completing the other has tests of its own.
SETTINGS = ExecutionSettings(price_cap_bps=5.0, complete_tries=0, retry_wait_ms=200.0, order_timeout_ms=3000.0)


class Bench(ExecutorBench):
    """An executor, its venue's inbox, and the test's hand on every answer."""

    def __init__(
        self,
        settings: ExecutionSettings = SETTINGS,
        net_edge_bps: float = -10.0,
        taker_bps: float = 0.0,
        journal: MemoryJournal | None = None,
        wrap: Callable[[MemoryJournal], Journal] = lambda journal: journal,
    ) -> None:
        super().__init__(settings, taker_bps=taker_bps, journal=journal, wrap=wrap)
        self.net_edge_bps = net_edge_bps
        self.sent: list[Order] = []
        self.states: list[PairState] = []
        self.counted: list[Fill] = []
        for instrument in (SPOT, PERP, OTHER):
            self.quote(instrument, 1000.0, 1001.0)
        self.executor = PairExecutor(
            self.context,
            on_pair=lambda pair: self.states.append(pair.state),
            on_pair_fill=lambda pair, leg, fill: self.counted.append(fill),
            on_sent=self.sent.append,
        )
        self.executor.on_alarm = lambda pair, text: self.alarms.append(text)

    def open(self, quantity: str = "0.50", buy: Instrument = SPOT, sell: Instrument = PERP) -> Pair:
        legs = (
            TradeLeg(instrument=buy, side=Side.BUY),
            TradeLeg(instrument=sell, side=Side.SELL),
            HoldLeg(expected_s=60.0),
            TradeLeg(instrument=buy, side=Side.SELL),
            TradeLeg(instrument=sell, side=Side.BUY),
        )
        return self.executor.open(
            Opportunity(
                route=Route(kind="test", legs=legs), ts_ns=self.clock.now_ns(), quantity=D(quantity),
                buy_price=1001.0, sell_price=1000.0, gross_edge_bps=-10.0, costs=(),
                net_edge_bps=self.net_edge_bps,
            )
        )  # fmt: skip

    # What the venue does

    def cancel(self, order: Order) -> None:
        raise AssertionError("nothing here cancels")

    def take(self, side: Side, instrument: Instrument) -> Order:
        """The one order of this side and instrument that waits for an answer."""
        (order,) = [o for o in self.inbox if o.side is side and o.instrument.id == instrument.id]
        self.inbox.remove(order)
        return order

    def fill(
        self, order: Order, quantity: Decimal | None = None, fee: str = "0", number: int = 1, token: str | None = None
    ) -> Fill:
        in_base = order.instrument.segment is Segment.SPOT and order.side is Side.BUY
        fill = Fill(
            fill_id=f"{order.client_order_id}.{number}", client_order_id=order.client_order_id,
            instrument=order.instrument, side=order.side, price=order.price or D(1000),
            quantity=order.quantity if quantity is None else quantity, fee=D(fee),
            fee_asset=token or ("ETH" if in_base else "USDT"), is_maker=False, ts_event_ns=self.clock.now_ns(),
        )  # fmt: skip
        self.executor.on_fill(fill)
        return fill

    def end(self, order: Order, filled: Decimal = NOTHING, status: OrderStatus | None = None) -> None:
        if status is None:
            status = OrderStatus.FILLED if filled == order.quantity else OrderStatus.EXPIRED
        self.executor.on_order(order.model_copy(update={"status": status, "filled_quantity": filled}))

    def answer(self, side: Side, instrument: Instrument, quantity: str | None = None, fee: str = "0") -> Order:
        """Fill the waiting order (None: whole, "0": not at all) and end it."""
        order = self.take(side, instrument)
        filled = order.quantity if quantity is None else D(quantity)
        if filled:
            self.fill(order, filled, fee)
        self.end(order, filled)
        return order

    def wait_for_an_order(self) -> None:
        """Until the next one is sent, whatever happens meanwhile."""
        while not self.inbox:
            due_ns = self.clock.next_due_ns()
            assert due_ns is not None, "nothing is going to happen"
            self.clock.advance_to(due_ns)


def opened(quantity: str = "0.50", fee: str = "0", settings: ExecutionSettings = SETTINGS) -> tuple[Bench, Pair]:
    bench = Bench(settings)
    pair = bench.open(quantity)
    bench.answer(Side.BUY, SPOT, fee=fee)
    bench.answer(Side.SELL, PERP)
    assert pair.state is PairState.OPEN
    return bench, pair
