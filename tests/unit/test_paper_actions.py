"""The paper venue: latency, quotes that come and go, cancels and funding, on a virtual clock."""

from decimal import Decimal

import pytest

from bot.clock import VirtualClock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Instrument, Segment
from bot.domain.market import TopOfBook
from bot.domain.order import Fill, Order, OrderStatus, OrderType, Side, TimeInForce
from bot.errors import InvariantError
from bot.settings import PaperSettings
from exchanges.paper.actions import PaperActions
from exchanges.paper.wallets import wallet_of

D = Decimal
MS = 1_000_000
GRID = {"tick_size": D("0.1"), "lot_size": D("0.01")}
SPOT = Instrument(venue="binance", symbol="ETH/USDT", segment=Segment.SPOT, base="ETH", quote="USDT", **GRID)
LINEAR = Instrument(
    venue="bybit", symbol="ETH/USDT:USDT", segment=Segment.LINEAR, base="ETH", quote="USDT", settle="USDT", **GRID
)
BINANCE_LINEAR = LINEAR.model_copy(update={"venue": "binance"})
FREE = SPOT.model_copy(update={"venue": "kraken"})
WALLETS = {"binance.spot": {"USDT": D(10_000)}, "bybit.unified": {"USDT": D(2_000)}, "kraken.spot": {"USDT": D(1_000)}}


class Listener:
    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.heard: list[tuple[int, Order | Fill]] = []

    def on_order(self, order: Order) -> None:
        self.heard.append((self.clock.now_ns() // MS, order))

    def on_fill(self, fill: Fill) -> None:
        self.heard.append((self.clock.now_ns() // MS, fill))

    @property
    def orders(self) -> list[Order]:
        return [event for _, event in self.heard if isinstance(event, Order)]


class Bench:
    def __init__(self, latency_ms: float = 10.0) -> None:
        self.clock = VirtualClock()
        self.listener = Listener(self.clock)
        fees = {
            i.feed: FeeSchedule(feed=i.feed, maker_bps=D(2), taker_bps=D(10), source="settings") for i in (SPOT, LINEAR)
        }
        settings = PaperSettings(latency_ms=latency_ms, balances=WALLETS)
        self.actions = PaperActions([SPOT, LINEAR, FREE], fees, settings, self.clock, self.listener)
        self.count = 0

    def order(self, instrument: Instrument = SPOT, side: Side = Side.BUY, quantity: str = "1") -> Order:
        self.count += 1
        return Order(
            client_order_id=f"o{self.count}", instrument=instrument, side=side, type=OrderType.MARKET,
            time_in_force=TimeInForce.IOC, quantity=D(quantity), ts_decision_ns=0,
        )  # fmt: skip

    def quote(self, slot: int, ask: float, quantity: float = 1.0) -> None:
        quote = TopOfBook(bid_price=ask - 1, bid_qty=quantity, ask_price=ask, ask_qty=quantity, sequence=1)
        self.actions.on_quote(slot, quote)

    def filled(self, slot: int, side: Side = Side.BUY) -> Decimal:
        """How much of an order for 5 is filled now."""
        instrument = (SPOT, LINEAR)[slot]
        self.actions.submit(self.order(instrument, side, "5"))
        self.clock.advance_to(self.clock.now_ns() + 100 * MS)
        return self.listener.orders[-1].filled_quantity


def test_an_order_meets_the_quote_of_its_arrival_and_the_answer_takes_as_long_again() -> None:
    bench = Bench()
    bench.quote(0, 1000.0)
    bench.actions.submit(bench.order())
    bench.clock.advance_to(9 * MS)
    bench.quote(0, 1001.0)
    bench.clock.advance_to(11 * MS)
    bench.quote(0, 1002.0)
    assert bench.actions.in_flight == 1
    bench.clock.advance_to(19 * MS)
    assert bench.listener.heard == []
    bench.clock.advance_to(30 * MS)
    (fill_at, fill), (order_at, order) = bench.listener.heard
    assert (fill_at, order_at) == (20, 20)
    assert isinstance(fill, Fill)
    assert isinstance(order, Order)
    assert (fill.price, fill.ts_event_ns) == (1001, 10 * MS)
    assert (order.ts_sent_ns, order.ts_final_ns, order.status) == (0, 10 * MS, OrderStatus.FILLED)
    assert bench.actions.in_flight == 0


def test_without_latency_the_answer_still_comes_from_the_clock() -> None:
    bench = Bench(latency_ms=0.0)
    bench.quote(0, 1000.0)
    bench.actions.submit(bench.order())
    assert bench.listener.heard == []
    bench.clock.advance_to(0)
    assert [type(event) for _, event in bench.listener.heard] == [Fill, Order]


def test_depth_that_was_used_up_returns_with_a_new_price_only() -> None:
    bench = Bench()
    bench.quote(0, 1000.0)
    assert bench.filled(0) == 1
    bench.quote(0, 1000.0, 1.5)
    assert bench.filled(0) == D("0.5")
    bench.quote(0, 1000.0, 1.2)
    assert bench.filled(0) == 0
    bench.quote(0, 1001.0)
    bench.quote(0, 1000.0)
    assert bench.filled(0) == 1


def test_a_price_that_left_and_returned_while_an_order_travelled_is_offered_in_full() -> None:
    bench = Bench()
    bench.quote(0, 1000.0)
    assert bench.filled(0) == 1
    bench.actions.submit(bench.order())
    bench.quote(0, 1001.0)
    bench.quote(0, 1000.0)
    bench.clock.advance_to(bench.clock.now_ns() + 100 * MS)
    assert bench.listener.orders[-1].filled_quantity == 1


def test_each_side_is_used_up_by_itself() -> None:
    bench = Bench()
    bench.quote(1, 1000.0)
    assert bench.filled(1, Side.BUY) == 1
    assert bench.filled(1, Side.SELL) == 1
    assert bench.filled(1, Side.SELL) == 0
    assert bench.filled(1, Side.BUY) == 0


def test_an_order_that_meets_no_valid_quote_expires() -> None:
    bench = Bench()
    assert bench.filled(0) == 0
    bench.quote(0, 1000.0)
    bench.actions.on_quote_refused(0)
    assert bench.filled(0) == 0
    assert {(o.status, o.reason) for o in bench.listener.orders} == {(OrderStatus.EXPIRED, "no valid quote")}
    bench.quote(0, 1000.0)
    assert bench.filled(0) == 1


def test_a_refused_quote_does_not_give_back_what_was_taken() -> None:
    bench = Bench()
    bench.quote(0, 1000.0)
    assert bench.filled(0) == 1
    bench.actions.on_quote_refused(0)
    bench.quote(0, 1000.0)
    assert bench.filled(0) == 0


def test_an_order_on_its_way_can_be_called_back() -> None:
    bench = Bench()
    bench.quote(0, 1000.0)
    order = bench.order()
    bench.actions.submit(order)
    bench.clock.advance_to(5 * MS)
    bench.actions.cancel(order)
    bench.clock.advance_to(100 * MS)
    ((told_at, cancelled),) = bench.listener.heard
    assert isinstance(cancelled, Order)
    assert (told_at, cancelled.status, cancelled.filled_quantity) == (15, OrderStatus.CANCELLED, 0)
    assert bench.actions.in_flight == 0


def test_an_order_that_met_the_quotes_cannot_be_called_back() -> None:
    bench = Bench()
    bench.quote(0, 1000.0)
    order = bench.order()
    bench.actions.submit(order)
    bench.clock.advance_to(15 * MS)
    bench.actions.cancel(order)
    bench.clock.advance_to(100 * MS)
    assert [o.status for o in bench.listener.orders] == [OrderStatus.FILLED]


@pytest.mark.parametrize(("instrument", "reason"), [
    (FREE, "no fee schedule is known for kraken.spot"),
    (SPOT.model_copy(update={"symbol": "XRP/USDT"}), "binance:XRP/USDT is not traded here"),
])  # fmt: skip
def test_an_instrument_without_fees_or_quotes_is_rejected(instrument: Instrument, reason: str) -> None:
    bench = Bench()
    bench.quote(2, 1000.0)
    bench.actions.submit(bench.order(instrument))
    bench.clock.advance_to(100 * MS)
    (order,) = bench.listener.orders
    assert (order.status, order.reason) == (OrderStatus.REJECTED, reason)


def test_an_order_needs_a_listener() -> None:
    bench = Bench()
    bench.actions.listener = None
    with pytest.raises(InvariantError):
        bench.actions.submit(bench.order())


def test_bybit_has_one_wallet_and_binance_one_per_segment() -> None:
    assert wallet_of(LINEAR) == "bybit.unified"
    assert wallet_of(SPOT) == "binance.spot"
    assert wallet_of(BINANCE_LINEAR) == "binance.linear"


def test_balances_begin_with_the_settings_and_funding_moves_them() -> None:
    bench = Bench()
    start = {(b.wallet, b.asset): b.total for b in bench.actions.balances()}
    assert start == {(w, a): amount for w, assets in WALLETS.items() for a, amount in assets.items()}
    assert bench.actions.settle_funding(LINEAR, D("0.0001"), D(1000)) is None
    bench.quote(1, 1000.0, 2.0)
    assert bench.filled(1) == 2
    payment = bench.actions.settle_funding(LINEAR, D("0.0001"), D(1000))
    assert payment is not None
    assert (payment.amount, payment.ts_ns, payment.quantity) == (D("-0.2"), bench.clock.now_ns(), 2)
    (balance,) = [b for b in bench.actions.balances() if b.wallet == "bybit.unified"]
    assert balance.total == 2000 - 2 - D("0.2")
    assert [p.quantity for p in bench.actions.positions()] == [2]


def test_the_affordable_notional_leaves_room_for_orders_on_their_way() -> None:
    bench = Bench()
    bench.quote(0, 1000.0, 10.0)
    assert bench.actions.affordable_notional(SPOT, Side.BUY, 1000.0) == pytest.approx(10_000)
    assert bench.actions.affordable_notional(SPOT, Side.SELL, 1000.0) == 0
    assert bench.actions.affordable_notional(LINEAR, Side.SELL, 1000.0) == pytest.approx(2000 / 0.201)
    assert bench.actions.affordable_notional(FREE, Side.BUY, 1000.0) == 0
    bench.actions.submit(bench.order(SPOT, quantity="4"))
    assert bench.actions.affordable_notional(SPOT, Side.BUY, 1000.0) == pytest.approx(6_000)
    bench.clock.advance_to(15 * MS)
    assert bench.actions.affordable_notional(SPOT, Side.BUY, 1000.0) == pytest.approx(6_000)
    assert bench.actions.affordable_notional(SPOT, Side.SELL, 1000.0) == pytest.approx(3_996)
