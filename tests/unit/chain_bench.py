"""A ring and a transfer, and a chain executor whose venues' and carrier's answers each test writes itself."""

from decimal import Decimal

from bot.domain.market import TopOfBook
from bot.domain.order import Fill, Order, OrderStatus, Side
from bot.domain.route import Link, Opportunity, Route, TradeLeg, TransferLeg
from bot.execution.chain import Chain
from bot.execution.chain_executor import ChainExecutor
from bot.execution.pair import PairState
from bot.ports.transfers import Carriage, CarryListener, CarryNews, CarryState
from bot.settings import ExecutionSettings
from tests.unit.executor_bench import D, ExecutorBench, MemoryJournal, spot

NOTHING = D(0)
BTC = spot("a", "BTC", "USDT", "0.01", "0.00001", "5")
CROSS = spot("a", "ETH", "BTC", "0.00001", "0.0001", "0.0001")
ETH = spot("a", "ETH", "USDT", "0.01", "0.0001", "5")
BTC_B = spot("b", "BTC", "USDT", "0.1", "0.000001", "5")
RING = Route(
    kind="triangular",
    legs=(
        TradeLeg(instrument=BTC, side=Side.BUY),
        TradeLeg(instrument=CROSS, side=Side.BUY),
        TradeLeg(instrument=ETH, side=Side.SELL),
    ),
)
SENT = Route(
    kind="transfer",
    legs=(
        TradeLeg(instrument=BTC, side=Side.BUY),
        TransferLeg(asset="BTC", from_venue="a", to_venue="b", network="btc"),
        TradeLeg(instrument=BTC_B, side=Side.SELL),
    ),
)
RING_LINKS = (
    Link(quantity=D("0.1"), price=60000.0, spends=D(6000), brings=D("0.1")),
    Link(quantity=D(2), price=0.05, spends=D("0.1"), brings=D(2)),
    Link(quantity=D(2), price=3030.0, spends=D(2), brings=D(6060)),
)
SENT_LINKS = (
    Link(quantity=D("0.1"), price=60000.0, spends=D(6000), brings=D("0.1")),
    Link(quantity=D("0.1"), price=1.0, spends=D("0.1"), brings=D("0.0998")),
    Link(quantity=D("0.0998"), price=61000.0, spends=D("0.0998"), brings=D("6087.8")),
)
SETTINGS = ExecutionSettings(price_cap_bps=5.0, complete_tries=2, retry_wait_ms=200.0, order_timeout_ms=3000.0)


class Bench(ExecutorBench):
    """An executor, its venues' inbox, its carrier's, and the test's hand on every answer."""

    carry_listener: CarryListener

    def __init__(
        self, settings: ExecutionSettings = SETTINGS, *, carries: bool = True, journal: MemoryJournal | None = None
    ) -> None:
        super().__init__(settings, journal=journal)
        self.states: list[PairState] = []
        self.counted: list[tuple[str, Fill]] = []
        self.carriages: list[Carriage] = []
        self.resumed: list[Carriage] = []
        self.quote(BTC, 59990.0, 60000.0, 90.0)
        self.quote(CROSS, 0.0499, 0.05, 90.0)
        self.quote(ETH, 3030.0, 3031.0, 90.0)
        self.quote(BTC_B, 61000.0, 61001.0, 90.0)
        self._fills = 0
        self.executor = ChainExecutor(
            self.context,
            on_chain=lambda chain: self.states.append(chain.state),
            on_chain_fill=lambda chain, name, fill: self.counted.append((name, fill)),
            on_sent=lambda order: None,
            carrier=self if carries else None,
            deadline_s=600.0,
        )
        self.executor.on_alarm = lambda chain, text: self.alarms.append(text)

    def open(self, route: Route = RING, links: tuple[Link, ...] | None = None) -> Chain:
        if links is None:
            links = RING_LINKS if route is RING else SENT_LINKS
        return self.executor.open(
            Opportunity(
                route=route,
                ts_ns=self.clock.now_ns(),
                quantity=links[0].quantity,
                buy_price=links[0].price,
                sell_price=links[-1].price,
                gross_edge_bps=100.0,
                costs=(),
                net_edge_bps=100.0,
                links=links,
            )
        )

    # Carrier

    def send(self, carriage: Carriage) -> None:
        self.carriages.append(carriage)

    def resume(self, carriage: Carriage) -> None:
        self.resumed.append(carriage)

    def carry(self, state: CarryState, received: str = "0", reason: str = "") -> None:
        one = (self.carriages or self.resumed)[-1]
        self.executor.on_carry(CarryNews(one.id, state, D(received), reason, self.clock.now_ns()))

    # Answers

    @property
    def last(self) -> Order:
        return self.inbox[-1]

    def fill(self, order: Order, quantity: Decimal | str | None = None, price: float | str | None = None) -> Fill:
        """Told as the venue does: what was done, and then nothing more."""
        quote = self.quotes[order.instrument.id] or TopOfBook(
            bid_price=60000.0, bid_qty=1.0, ask_price=60000.0, ask_qty=1.0, sequence=1
        )
        touch = quote.ask_price if order.side is Side.BUY else quote.bid_price
        self._fills += 1
        fill = Fill(
            fill_id=str(self._fills), client_order_id=order.client_order_id, instrument=order.instrument,
            side=order.side, price=D(repr(touch)) if price is None else D(str(price)),
            quantity=order.quantity if quantity is None else D(quantity), fee=NOTHING,
            fee_asset="BNB", is_maker=False, ts_event_ns=self.clock.now_ns(),
        )  # fmt: skip
        self.executor.on_fill(fill)
        return fill

    def end(self, order: Order, filled: Decimal | str = NOTHING, status: OrderStatus = OrderStatus.EXPIRED) -> None:
        update = {"status": status, "filled_quantity": D(filled), "ts_final_ns": self.clock.now_ns()}
        self.executor.on_order(order.model_copy(update=update))

    def done(self, order: Order, quantity: Decimal | str | None = None) -> None:
        """Filled as far as it was, at the quote, and over."""
        fill = self.fill(order, quantity)
        status = OrderStatus.FILLED if fill.quantity == order.quantity else OrderStatus.EXPIRED
        self.end(order, fill.quantity, status)


def names(chain: Chain) -> list[str]:
    return [name for _, name, _ in chain.orders.values()]
