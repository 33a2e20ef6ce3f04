"""When a venue is asked for an order, by a clock that the test moves."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import pytest

from bot.clock import VirtualClock
from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Fill, Order, OrderStatus, OrderType, Side, TimeInForce
from bot.errors import AuthenticationFailed, Banned, OrderOutcomeUnknown, VenueUnavailable
from exchanges.common.account.order_carrier import OrderCarrier
from exchanges.common.account.order_desk import OrderDesk, OrderReport
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.common.requests.request_pool import Lane, Rate

D = Decimal
WHAT = Instrument(
    venue="bybit", symbol="BTC/USDT", segment=Segment.SPOT, base="BTC", quote="USDT", tick_size=D("0.1"),
    lot_size=D("0.001"),
)  # fmt: skip


def order(lifetime: TimeInForce = TimeInForce.IOC) -> Order:
    return Order(
        client_order_id="a", instrument=WHAT, side=Side.BUY, type=OrderType.LIMIT, price=D(100),
        time_in_force=lifetime, quantity=D(1), ts_decision_ns=1,
    )  # fmt: skip


FILL = Fill(
    fill_id="1", client_order_id="a", instrument=WHAT, side=Side.BUY, price=D(100), quantity=D(1), fee=D(0),
    fee_asset="BTC", is_maker=False, ts_event_ns=1,
)  # fmt: skip
FILLED = OrderReport("a", OrderStatus.FILLED, D(1), "7")
RESTING = OrderReport("a", OrderStatus.SENT, D(0), "7")


class Venue:
    """Answers what the test says, and notes when it was asked."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.placing: Exception | None = None
        self.finding: OrderReport | Exception | None = None
        self.found_fills: list[Fill] = []
        self.cancelling: list[Exception] = []
        self.placed = 0
        self.cancelled = 0
        self.asked_at: list[float] = []

    async def place(self, order: Order) -> None:
        self.placed += 1
        if self.placing is not None:
            raise self.placing

    async def cancel(self, order: Order) -> None:
        self.cancelled += 1
        if self.cancelling:
            raise self.cancelling.pop(0)

    async def find(self, order: Order) -> OrderReport | None:
        self.asked_at.append(self._clock.now_ns() / 1e9)
        if isinstance(self.finding, Exception):
            raise self.finding
        return self.finding

    async def fills(self, order: Order, report: OrderReport) -> Sequence[Fill]:
        return self.found_fills


class Bench:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.venue = Venue(self.clock)
        self.events: list[Order | Fill] = []
        self.desk = OrderDesk(self.clock, self)
        self.log: list[str] = []
        self.traces = False
        self.carrier = OrderCarrier(
            self.desk, self.venue, self.clock, lambda level, text: self.log.append(text), self.leaves_trace
        )

    async def leaves_trace(self, order: Order) -> bool:
        return self.traces

    def on_order(self, order: Order) -> None:
        self.events.append(order)

    def on_fill(self, fill: Fill) -> None:
        self.events.append(fill)

    async def advance_to(self, second: float) -> None:
        while self.clock.now_ns() < second * 1e9:
            self.clock.advance_to(self.clock.now_ns() + 10_000_000)
            for _ in range(5):
                await asyncio.sleep(0)

    @property
    def final(self) -> Order:
        last = self.events[-1]
        assert isinstance(last, Order)
        return last


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_fault_36_an_unknown_outcome_is_asked_for_on_a_ladder_and_never_sent_again(bench: Bench) -> None:
    bench.venue.placing = OrderOutcomeUnknown("a", "the connection was lost")
    bench.venue.finding = VenueUnavailable("bybit", "down")
    bench.carrier.submit(order())
    await bench.advance_to(8.0)
    assert bench.venue.asked_at == pytest.approx([0.25, 0.75, 1.75, 3.75, 5.75, 7.75], abs=0.08)
    assert bench.venue.placed == 1
    assert bench.events == []
    bench.venue.finding, bench.venue.found_fills = FILLED, [FILL]
    await bench.advance_to(10.0)
    assert bench.events[0] == FILL
    assert bench.final.status is OrderStatus.FILLED
    await bench.carrier.stop()


async def test_fault_37_an_order_that_the_venue_does_not_know_is_given_up_only_when_it_cannot_come_any_more(
    bench: Bench,
) -> None:
    bench.venue.placing = OrderOutcomeUnknown("a", "no answer")
    bench.carrier.submit(order())
    await bench.advance_to(2.2)
    assert bench.events == []
    await bench.advance_to(2.5)
    assert bench.final.status is OrderStatus.REJECTED
    assert bench.venue.asked_at[-1] - bench.venue.asked_at[0] > 1.99
    await bench.carrier.stop()


async def test_fault_37_an_order_that_a_list_names_is_not_given_up(bench: Bench) -> None:
    bench.venue.placing = OrderOutcomeUnknown("a", "no answer")
    bench.traces = True
    bench.carrier.submit(order())
    await bench.advance_to(20.0)
    assert bench.events == []
    bench.venue.finding, bench.venue.found_fills = FILLED, [FILL]
    await bench.advance_to(23.0)
    assert bench.final.status is OrderStatus.FILLED
    await bench.carrier.stop()


async def test_fault_38_an_order_that_appears_after_it_was_given_up_is_cancelled_and_its_fills_are_told(
    bench: Bench,
) -> None:
    bench.venue.placing = OrderOutcomeUnknown("a", "no answer")
    bench.carrier.submit(order())
    await bench.advance_to(3.0)
    assert bench.final.status is OrderStatus.REJECTED
    bench.venue.finding = RESTING
    await bench.advance_to(8.0)
    assert bench.venue.cancelled >= 1
    bench.venue.finding = OrderReport("a", OrderStatus.CANCELLED, D(1), "7")
    bench.venue.found_fills = [FILL]
    await bench.advance_to(12.0)
    assert [type(event) for event in bench.events] == [Order, Fill]
    cancels = bench.venue.cancelled
    await bench.advance_to(30.0)
    assert (bench.venue.placed, bench.venue.cancelled) == (1, cancels)
    await bench.carrier.stop()


async def test_fault_38_what_a_stream_tells_of_an_order_that_was_given_up_has_it_cancelled(bench: Bench) -> None:
    bench.venue.placing = OrderOutcomeUnknown("a", "no answer")
    bench.carrier.submit(order(TimeInForce.GTC))
    await bench.advance_to(3.0)
    assert bench.final.status is OrderStatus.REJECTED
    bench.desk.on_report(RESTING)
    await bench.advance_to(3.1)
    assert bench.venue.cancelled == 1
    bench.venue.finding = OrderReport("a", OrderStatus.CANCELLED, D(0), "7")
    await bench.advance_to(6.0)
    assert len(bench.events) == 1
    await bench.carrier.stop()


async def test_an_acknowledged_order_that_is_not_found_is_never_called_rejected(bench: Bench) -> None:
    bench.carrier.submit(order())
    await bench.advance_to(6.0)
    assert bench.events == []
    assert len(bench.venue.asked_at) >= 4
    await bench.carrier.stop()


async def test_a_ban_is_sat_out(bench: Bench) -> None:
    bench.venue.finding = Banned("bybit", "too many", retry_after_s=5.0)
    bench.carrier.submit(order())
    await bench.advance_to(5.0)
    assert len(bench.venue.asked_at) == 1
    await bench.advance_to(6.0)
    assert len(bench.venue.asked_at) == 2
    await bench.carrier.stop()


async def test_a_request_that_was_turned_away_is_a_rejection(bench: Bench) -> None:
    bench.venue.placing = VenueUnavailable("bybit", "cannot be reached")
    bench.carrier.submit(order())
    await bench.advance_to(0.1)
    assert bench.final.status is OrderStatus.REJECTED
    assert "cannot be reached" in str(bench.final.reason)
    await bench.advance_to(3.0)
    assert bench.venue.asked_at == []


async def test_an_order_that_rests_is_asked_for_now_and_then_and_at_once_after_a_gap(bench: Bench) -> None:
    bench.venue.finding = RESTING
    bench.carrier.submit(order(TimeInForce.GTC))
    await bench.advance_to(7.0)
    assert bench.venue.asked_at == pytest.approx([0.26, 4.26])
    bench.carrier.look_again()
    await bench.advance_to(7.2)
    assert len(bench.venue.asked_at) == 3
    await bench.advance_to(10.9)
    assert len(bench.venue.asked_at) == 3
    await bench.carrier.stop()


async def test_where_one_question_is_put_for_all_orders_that_rest_they_are_asked_for_in_the_same_moments(
    bench: Bench,
) -> None:
    class Resting(Venue):
        async def find(self, order: Order) -> OrderReport | None:
            self.finding = OrderReport(order.client_order_id, OrderStatus.SENT, D(0), "7")
            return await super().find(order)

    venue = Resting(bench.clock)
    carrier = OrderCarrier(bench.desk, venue, bench.clock, lambda level, text: None, asks_together=True)
    for name, at in (("a", 0.5), ("b", 1.9), ("c", 3.0)):
        await bench.advance_to(at)
        carrier.submit(order(TimeInForce.GTC).model_copy(update={"client_order_id": name}))
    await bench.advance_to(3.9)
    venue.asked_at.clear()
    await bench.advance_to(13.0)
    assert venue.asked_at == pytest.approx([4.0] * 3 + [8.0] * 3 + [12.0] * 3, abs=0.011)
    await carrier.stop()


async def test_fills_that_a_final_state_lacks_are_asked_for_soon(bench: Bench) -> None:
    bench.carrier.submit(order(TimeInForce.GTC))
    bench.venue.finding = RESTING
    await bench.advance_to(0.5)
    bench.venue.finding, bench.venue.found_fills = FILLED, [FILL]
    bench.desk.on_report(FILLED)
    await bench.advance_to(0.7)
    assert bench.final.status is OrderStatus.FILLED


async def test_a_missing_fill_that_the_venue_does_not_have_yet_is_not_asked_for_without_end(bench: Bench) -> None:
    bench.venue.finding = FILLED
    bench.carrier.submit(order())
    bench.desk.on_report(FILLED)
    await bench.advance_to(8.0)
    assert len(bench.venue.asked_at) <= 8
    await bench.carrier.stop()


async def test_a_cancel_waits_for_the_order_to_arrive_and_is_sent_once(bench: Bench) -> None:
    bench.venue.placing = OrderOutcomeUnknown("a", "no answer")
    bench.venue.finding = VenueUnavailable("bybit", "down")
    sent = order(TimeInForce.GTC)
    bench.carrier.submit(sent)
    bench.carrier.cancel(sent)
    await bench.advance_to(0.2)
    assert bench.venue.cancelled == 0
    bench.desk.on_report(RESTING)
    bench.carrier.cancel(sent)
    await bench.advance_to(0.4)
    assert bench.venue.cancelled == 1
    await bench.carrier.stop()


async def test_a_cancel_is_sent_again_until_the_venue_has_taken_it(bench: Bench) -> None:
    bench.venue.finding = RESTING
    bench.venue.cancelling = [VenueUnavailable("bybit", "the answer was lost"), Banned("bybit", "", retry_after_s=3.0)]
    sent = order(TimeInForce.GTC)
    bench.carrier.submit(sent)
    bench.carrier.cancel(sent)
    await bench.advance_to(0.2)
    assert bench.venue.cancelled == 1
    await bench.advance_to(0.4)
    assert bench.venue.cancelled == 2
    await bench.advance_to(3.2)
    assert bench.venue.cancelled == 2
    await bench.advance_to(5.0)
    assert bench.venue.cancelled == 3
    await bench.carrier.stop()


async def test_a_cancel_is_given_up_when_the_order_is_over(bench: Bench) -> None:
    bench.venue.finding = RESTING
    bench.venue.cancelling = [VenueUnavailable("bybit", "the answer was lost")]
    sent = order(TimeInForce.GTC)
    bench.carrier.submit(sent)
    bench.carrier.cancel(sent)
    await bench.advance_to(0.1)
    bench.desk.on_report(OrderReport("a", OrderStatus.CANCELLED, D(0), "7"))
    await bench.advance_to(5.0)
    assert bench.venue.cancelled == 1
    await bench.carrier.stop()


async def test_a_cancel_is_not_sent_again_with_a_key_that_was_refused(bench: Bench) -> None:
    bench.venue.finding = RESTING
    bench.venue.cancelling = [AuthenticationFailed("bybit", "unknown key")]
    sent = order(TimeInForce.GTC)
    bench.carrier.submit(sent)
    bench.carrier.cancel(sent)
    await bench.advance_to(5.0)
    assert bench.venue.cancelled == 1
    await bench.carrier.stop()


async def test_fault_34_an_order_is_asked_for_once_a_minute_while_the_key_is_refused(bench: Bench) -> None:
    bench.venue.placing = OrderOutcomeUnknown("a", "the connection was lost")
    bench.venue.finding = AuthenticationFailed("bybit", "unknown key")
    bench.carrier.submit(order())
    await bench.advance_to(130.0)
    assert bench.venue.asked_at == pytest.approx([0.25, 60.25, 120.25], abs=0.2)
    bench.venue.finding, bench.venue.found_fills = FILLED, [FILL]
    await bench.advance_to(182.0)
    assert bench.final.status is OrderStatus.FILLED
    await bench.carrier.stop()


async def test_a_venue_whose_books_cannot_be_looked_into_is_not_asked_more_often_than_others(bench: Bench) -> None:
    """Twice not known, and then its trades cannot be asked for: its limits are for cancels and hedges, too."""

    async def away(order: Order) -> bool:
        raise VenueUnavailable("bybit", "HTTP 502")

    bench.carrier._leaves_trace = away
    bench.venue.placing = OrderOutcomeUnknown("a", "no answer")
    bench.carrier.submit(order())
    await bench.advance_to(3.0)
    before = len(bench.venue.asked_at)
    await bench.advance_to(23.0)
    assert len(bench.venue.asked_at) - before <= 10
    assert not bench.events
    await bench.carrier.stop()


async def test_an_order_that_may_be_taken_late_is_given_up_late_and_asked_for_no_more_often(bench: Bench) -> None:
    carrier = OrderCarrier(
        bench.desk, bench.venue, bench.clock, lambda level, text: None, bench.leaves_trace, never_comes_s=4.0
    )
    bench.venue.placing = OrderOutcomeUnknown("a", "no answer")
    carrier.submit(order())
    await bench.advance_to(3.9)
    assert not bench.events
    await bench.advance_to(4.2)
    assert bench.final.status is OrderStatus.REJECTED
    assert len(bench.venue.asked_at) <= 5
    await carrier.stop()


async def test_who_had_room_to_find_an_order_and_none_to_ask_for_its_fills_does_not_find_it_for_ever(
    bench: Bench,
) -> None:
    """Room comes back one by one, as at Kraken: to find it again would take it from the fills again and again."""
    budget = RequestBudget("kraken", [Rate("counter", 14, 42.4, leaks=True)], bench.clock)
    budget.take({"counter": 14}, Lane.REDUCE)

    class Counted(Venue):
        async def find(self, order: Order) -> OrderReport | None:
            await budget.acquire({"counter": 1}, Lane.REDUCE)
            return await super().find(order)

        async def fills(self, order: Order, report: OrderReport) -> Sequence[Fill]:
            await budget.acquire({"counter": 1}, Lane.REDUCE)
            return await super().fills(order, report)

    venue = Counted(bench.clock)
    venue.finding, venue.found_fills = FILLED, [FILL]
    carrier = OrderCarrier(bench.desk, venue, bench.clock, lambda level, text: bench.log.append(text))
    carrier.submit(order())
    await bench.advance_to(8.0)
    assert bench.events[:1] == [FILL]
    assert bench.final.status is OrderStatus.FILLED
    await carrier.stop()
