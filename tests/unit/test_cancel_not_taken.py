"""Cancels that a venue has answered and not carried out, by a clock that the test moves."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import pytest

from bot.clock import VirtualClock
from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Fill, Order, OrderStatus, OrderType, Side, TimeInForce
from bot.errors import AuthenticationFailed, OrderOutcomeUnknown, VenueError
from exchanges.common.account.order_carrier import OrderCarrier
from exchanges.common.account.order_desk import OrderDesk, OrderReport

D = Decimal
WHAT = Instrument(
    venue="bybit", symbol="BTC/USDT", segment=Segment.SPOT, base="BTC", quote="USDT", tick_size=D("0.1"),
    lot_size=D("0.001"),
)  # fmt: skip
ORDER = Order(
    client_order_id="a", instrument=WHAT, side=Side.BUY, type=OrderType.LIMIT, price=D(100),
    time_in_force=TimeInForce.GTC, quantity=D(1), ts_decision_ns=1,
)  # fmt: skip
RESTING = OrderReport("a", OrderStatus.SENT, D(0), "7")
CANCELLED = OrderReport("a", OrderStatus.CANCELLED, D(0), "7")


class Venue:
    """An order that rests until a cancel is carried out; the first `ignored` are answered and forgotten."""

    def __init__(self) -> None:
        self.placing: Exception | None = None
        self.state: OrderReport | None = RESTING
        self.ignored = 0
        self.cancels = 0
        self.refusing: VenueError | None = None

    async def place(self, order: Order) -> None:
        if self.placing is not None:
            raise self.placing

    async def cancel(self, order: Order) -> None:
        self.cancels += 1
        if self.refusing is not None:
            raise self.refusing
        if self.cancels > self.ignored and self.state is not None:
            self.state = CANCELLED

    async def find(self, order: Order) -> OrderReport | None:
        return self.state

    async def fills(self, order: Order, report: OrderReport) -> Sequence[Fill]:
        return ()


class Bench:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.venue = Venue()
        self.told: list[Order] = []
        self.desk = OrderDesk(self.clock, self)
        self.carrier = OrderCarrier(self.desk, self.venue, self.clock, lambda level, text: None)

    def on_order(self, order: Order) -> None:
        self.told.append(order)

    def on_fill(self, fill: Fill) -> None:
        raise AssertionError("nothing is filled here")

    async def advance_to(self, second: float) -> None:
        while self.clock.now_ns() < second * 1e9:
            self.clock.advance_to(self.clock.now_ns() + 10_000_000)
            for _ in range(5):
                await asyncio.sleep(0)


@pytest.fixture
async def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("ignored", [1, 3])
async def test_a_cancel_that_the_venue_took_and_did_not_carry_out_is_asked_for_again(
    bench: Bench, ignored: int
) -> None:
    bench.venue.ignored = ignored
    bench.carrier.submit(ORDER)
    await bench.advance_to(1.0)
    bench.carrier.cancel(ORDER)
    await bench.advance_to(12.0)
    assert [order.status for order in bench.told] == [OrderStatus.CANCELLED]
    assert bench.venue.cancels == ignored + 1
    await bench.carrier.stop()


async def test_a_stray_is_not_cancelled_again_and_again_with_a_key_that_is_refused(bench: Bench) -> None:
    bench.venue.placing, bench.venue.state = OrderOutcomeUnknown("a", "no answer"), None
    bench.carrier.submit(ORDER)
    await bench.advance_to(3.0)
    assert [order.status for order in bench.told] == [OrderStatus.REJECTED]
    bench.venue.state, bench.venue.refusing = RESTING, AuthenticationFailed("bybit", "unknown key")
    await bench.advance_to(60.0)
    assert bench.venue.cancels == 1
    bench.venue.refusing = None
    await bench.advance_to(130.0)
    assert bench.venue.state == CANCELLED
    await bench.carrier.stop()


async def test_a_cancel_that_is_carried_out_late_is_not_sent_again(bench: Bench) -> None:
    bench.venue.ignored = 99
    bench.carrier.submit(ORDER)
    await bench.advance_to(1.0)
    bench.carrier.cancel(ORDER)
    await bench.advance_to(1.8)
    bench.venue.state = CANCELLED
    await bench.advance_to(12.0)
    assert [order.status for order in bench.told] == [OrderStatus.CANCELLED]
    assert bench.venue.cancels == 1
    await bench.carrier.stop()


async def test_nothing_is_cancelled_after_the_end(bench: Bench) -> None:
    bench.carrier.submit(ORDER)
    await bench.advance_to(1.0)
    await bench.carrier.stop()
    bench.carrier.cancel(ORDER)
    await bench.advance_to(10.0)
    assert bench.venue.cancels == 0


async def test_an_order_that_appears_after_the_end_starts_nothing(bench: Bench) -> None:
    bench.venue.placing, bench.venue.state = OrderOutcomeUnknown("a", "no answer"), None
    bench.carrier.submit(ORDER)
    await bench.advance_to(3.0)
    await bench.carrier.stop()
    bench.desk.on_report(RESTING)
    await bench.advance_to(10.0)
    assert bench.venue.cancels == 0
