"""What every Actions adapter must hold; each is run through by a `Bench` that drives its venue and its clock."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Protocol

import pytest

from bot.clock import VirtualClock
from bot.domain.account import Balance, Position
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Instrument, Segment
from bot.domain.market import TopOfBook
from bot.domain.order import Fill, Order, OrderStatus, OrderType, Side, TimeInForce
from bot.errors import OrderRejected
from bot.ports import Actions
from bot.settings import PaperSettings
from exchanges.paper.actions import PaperActions
from exchanges.routed.actions import RoutedActions
from tests.integration.actions_rig import Rig, rig, until

D = Decimal
SPOT = Instrument(
    venue="binance", symbol="BTC/USDT", segment=Segment.SPOT, base="BTC", quote="USDT",
    tick_size=D("0.1"), lot_size=D("0.001"), min_quantity=D("0.001"), min_notional=D("5"),
)  # fmt: skip
LINEAR = Instrument(
    venue="bybit", symbol="BTC/USDT:USDT", segment=Segment.LINEAR, base="BTC", quote="USDT", settle="USDT",
    tick_size=D("0.1"), lot_size=D("0.001"), min_quantity=D("0.001"), min_notional=D("5"),
)  # fmt: skip
BOTH = pytest.mark.parametrize("instrument", [SPOT, LINEAR], ids=["spot", "linear"])


class Heard:
    """A listener that keeps everything, in order."""

    def __init__(self) -> None:
        self.events: list[Order | Fill] = []

    def on_order(self, order: Order) -> None:
        self.events.append(order)

    def on_fill(self, fill: Fill) -> None:
        self.events.append(fill)

    def of(self, client_order_id: str) -> list[Order | Fill]:
        return [event for event in self.events if event.client_order_id == client_order_id]

    def final(self, client_order_id: str) -> Order:
        (last,) = [e for e in self.of(client_order_id) if isinstance(e, Order) and e.status.is_terminal]
        return last

    def fills(self, client_order_id: str) -> list[Fill]:
        return [event for event in self.of(client_order_id) if isinstance(event, Fill)]


class Bench(Protocol):
    """An adapter with its venue: wallets hold 100,000 USDT and spot 2 BTC, taker fees are 10 bps."""

    actions: Actions
    heard: Heard

    def show(self, instrument: Instrument, bid: str, ask: str, quantity: str = "1") -> None:
        """The venue quotes this from now on."""

    def settle(self) -> None:
        """Let everything that is under way arrive."""

    def close(self) -> None:
        """Let go of everything."""


class PaperBench:
    """The paper venue on a virtual clock."""

    def __init__(self) -> None:
        self.heard = Heard()
        self._clock = VirtualClock(1_000_000_000)
        self._instruments = [SPOT, LINEAR]
        fees = {
            i.feed: FeeSchedule(feed=i.feed, maker_bps=D(10), taker_bps=D(10), source="settings")
            for i in self._instruments
        }
        wallets = {"binance.spot": {"USDT": D(100_000), "BTC": D(2)}, "bybit.unified": {"USDT": D(100_000)}}
        settings = PaperSettings(latency_ms=10.0, balances=wallets)
        self.actions = PaperActions(self._instruments, fees, settings, self._clock, self.heard)

    def show(self, instrument: Instrument, bid: str, ask: str, quantity: str = "1") -> None:
        q = float(quantity)
        quote = TopOfBook(bid_price=float(bid), bid_qty=q, ask_price=float(ask), ask_qty=q, sequence=1)
        self.actions.on_quote(self._instruments.index(instrument), quote)

    def settle(self) -> None:
        self._clock.advance_to(self._clock.now_ns() + 10**9)

    def close(self) -> None:
        """Nothing is held."""


class OnLoop:
    """`Actions` that live on a loop, called from outside of it."""

    def __init__(self, runner: asyncio.Runner, actions: RoutedActions) -> None:
        self._runner = runner
        self._actions = actions

    def submit(self, order: Order) -> None:
        self._call(self._actions.submit, order)

    def cancel(self, order: Order) -> None:
        self._call(self._actions.cancel, order)

    def balances(self) -> Sequence[Balance]:
        return self._actions.balances()

    def positions(self) -> Sequence[Position]:
        return self._actions.positions()

    def affordable_notional(self, instrument: Instrument, side: Side, price: float) -> float:
        return self._actions.affordable_notional(instrument, side, price)

    def _call(self, what: Any, order: Order) -> None:
        async def call() -> None:
            what(order)

        self._runner.run(call())


class SimulatedBench:
    """Binance and Bybit over real sockets to the simulated exchanges, routed by venue; orders by REST."""

    way = "rest"

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._stack = contextlib.AsyncExitStack()
        self._rig: Rig = self._runner.run(self._stack.enter_async_context(rig()))
        self._rig.way = self.way
        self.heard = Heard()
        self._routed = RoutedActions({venue: self._rig.actions(venue) for venue in ("binance", "bybit")})
        self._routed.listener = self.heard
        self._runner.run(self._routed.start())
        self.actions = OnLoop(self._runner, self._routed)

    def show(self, instrument: Instrument, bid: str, ask: str, quantity: str = "1") -> None:
        self._rig.market.show(instrument, bid, ask, quantity)

    def settle(self) -> None:
        self._runner.run(self._settled())

    async def _settled(self) -> None:
        await until(lambda: self._routed.in_flight == 0)
        told = -1
        # What follows a final state on the same sockets: balances and positions.
        while told != len(self._rig.relay.told):
            told = len(self._rig.relay.told)
            await asyncio.sleep(0.02)

    def close(self) -> None:
        self._runner.run(self._routed.stop())
        self._runner.run(self._stack.aclose())
        self._runner.close()


class SocketBench(SimulatedBench):
    """The same with orders by the venues' sockets."""

    way = "socket"


@pytest.fixture(params=[PaperBench, SimulatedBench, SocketBench], ids=["paper", "simulated", "socket"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made: Bench = request.param()
    made.show(SPOT, "50000", "50000.1")
    made.show(LINEAR, "50010", "50010.1")
    yield made
    made.close()


def an_order(client_order_id: str, instrument: Instrument = SPOT, side: Side = Side.BUY, quantity: str = "0.5",
             price: str | None = "60000", **more: object) -> Order:  # fmt: skip
    fields = {"client_order_id": client_order_id, "instrument": instrument, "side": side, "quantity": D(quantity),
              "type": OrderType.MARKET if price is None else OrderType.LIMIT, "time_in_force": TimeInForce.IOC,
              "price": None if price is None else D(price), "ts_decision_ns": 1} | more  # fmt: skip
    return Order(**fields)  # type: ignore[arg-type]


def holdings(balances: list[Balance]) -> dict[tuple[str, str], Decimal]:
    return {(b.wallet, b.asset): b.total for b in balances if b.total}


@BOTH
def test_a_marketable_order_fills_and_its_fills_come_before_its_state(bench: Bench, instrument: Instrument) -> None:
    bench.actions.submit(an_order("a", instrument))
    assert bench.heard.events == []  # a result is never told inside submit
    bench.settle()
    events = bench.heard.of("a")
    assert [type(e) for e in events] == [Fill] * (len(events) - 1) + [Order]
    assert bench.heard.final("a").status is OrderStatus.FILLED
    assert len(events) >= 2


@BOTH
def test_the_fills_sum_to_the_order(bench: Bench, instrument: Instrument) -> None:
    bench.actions.submit(an_order("a", instrument, quantity="1.7", price=None))
    bench.settle()
    final, fills = bench.heard.final("a"), bench.heard.fills("a")
    filled = sum(f.quantity for f in fills)
    assert final.filled_quantity == filled == 1
    assert final.average_price == sum(f.quantity * f.price for f in fills) / filled
    assert final.status is OrderStatus.EXPIRED
    assert final.reason


@BOTH
@pytest.mark.parametrize("side", list(Side))
def test_an_order_whose_limit_is_not_met_expires_and_changes_nothing(
    bench: Bench, instrument: Instrument, side: Side
) -> None:
    before = holdings(list(bench.actions.balances()))
    bench.actions.submit(an_order("a", instrument, side, price="40000" if side is Side.BUY else "60000"))
    bench.settle()
    assert bench.heard.final("a").status is OrderStatus.EXPIRED
    assert bench.heard.fills("a") == []
    assert holdings(list(bench.actions.balances())) == before
    assert list(bench.actions.positions()) == []


@pytest.mark.parametrize(
    "bad",
    [
        an_order("a", quantity="0.0005"),
        an_order("a", quantity="0.5005"),
        an_order("a", price="60000.05"),
        an_order("a", quantity="0.001", price="1000"),
        an_order("a", quantity="2", price="60000"),
        an_order("a", side=Side.SELL, quantity="2.001", price="1000"),
        an_order("a", LINEAR, quantity="20"),
        an_order("a", LINEAR, reduce_only=True),
    ],
    ids=["min_quantity", "lot", "tick", "min_notional", "quote", "base", "margin", "nothing_to_reduce"],
)
def test_a_rejected_order_says_why_and_changes_nothing(bench: Bench, bad: Order) -> None:
    before = holdings(list(bench.actions.balances()))
    bench.actions.submit(bad)
    bench.settle()
    assert bench.heard.final("a").status is OrderStatus.REJECTED
    assert bench.heard.final("a").reason
    assert bench.heard.of("a") == [bench.heard.final("a")]
    assert holdings(list(bench.actions.balances())) == before
    assert list(bench.actions.positions()) == []


def test_spot_balances_change_by_the_fills_less_their_fees(bench: Bench) -> None:
    before = holdings(list(bench.actions.balances()))
    bench.actions.submit(an_order("a", quantity="0.5"))
    bench.actions.submit(an_order("b", side=Side.SELL, quantity="0.2", price="40000"))
    bench.settle()
    expected = dict(before)
    for fill in bench.heard.fills("a") + bench.heard.fills("b"):
        expected["binance.spot", "BTC"] += fill.side.sign * fill.quantity
        expected["binance.spot", "USDT"] -= fill.side.sign * fill.quantity * fill.price
        expected["binance.spot", fill.fee_asset] -= fill.fee
        assert fill.fee > 0
    assert holdings(list(bench.actions.balances())) == expected
    assert {f.fee_asset for f in bench.heard.fills("a")} == {"BTC"}
    assert {f.fee_asset for f in bench.heard.fills("b")} == {"USDT"}


def test_a_derivative_position_is_the_sum_of_its_fills(bench: Bench) -> None:
    bench.actions.submit(an_order("a", LINEAR, quantity="0.5"))
    bench.settle()
    bench.actions.submit(an_order("b", LINEAR, Side.SELL, quantity="0.8", price="40000", reduce_only=True))
    bench.settle()
    bench.actions.submit(an_order("c", LINEAR, Side.SELL, quantity="0.3", price="40000"))
    bench.settle()
    fills = [e for e in bench.heard.events if isinstance(e, Fill)]
    (position,) = bench.actions.positions()
    assert position.quantity == sum(f.side.sign * f.quantity for f in fills) == D("-0.3")
    assert bench.heard.final("b").filled_quantity == D("0.5")
    assert {f.fee_asset for f in fills} == {"USDT"}


def test_a_client_order_id_is_used_once(bench: Bench) -> None:
    bench.actions.submit(an_order("a"))
    with pytest.raises(OrderRejected) as refused:
        bench.actions.submit(an_order("a", quantity="0.1"))
    assert refused.value.client_order_id == "a"
    bench.settle()
    with pytest.raises(OrderRejected):
        bench.actions.submit(an_order("a"))
    bench.settle()
    assert bench.heard.final("a").filled_quantity == D("0.5")


def test_cancelling_leaves_exactly_one_terminal_state(bench: Bench) -> None:
    early, late, unknown = an_order("early"), an_order("late"), an_order("unknown")
    bench.actions.submit(early)
    bench.actions.cancel(early)
    bench.actions.cancel(early)
    bench.actions.submit(late)
    bench.settle()
    bench.actions.cancel(bench.heard.final("late"))
    bench.actions.cancel(unknown)
    bench.settle()
    ended = bench.heard.final("early")
    assert ended.filled_quantity == sum(f.quantity for f in bench.heard.fills("early"))
    assert ended.status in {OrderStatus.CANCELLED, OrderStatus.FILLED}
    assert bench.heard.final("late").status is OrderStatus.FILLED
    assert bench.heard.of("unknown") == []


def test_many_orders_each_end_once_with_unique_fill_ids(bench: Bench) -> None:
    names = [f"o{n}" for n in range(20)]
    for number, name in enumerate(names):
        bench.actions.submit(an_order(name, (SPOT, LINEAR)[number % 2], quantity="0.15"))
    bench.settle()
    assert all(bench.heard.final(name).status.is_terminal for name in names)
    fills = [e for e in bench.heard.events if isinstance(e, Fill)]
    keys = {(f.instrument.id, f.fill_id) for f in fills}
    assert len(keys) == len(fills)
    for instrument in (SPOT, LINEAR):
        assert sum(f.quantity for f in fills if f.instrument == instrument) == 1  # what was shown, and no more
