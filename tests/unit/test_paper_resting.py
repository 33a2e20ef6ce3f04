"""Orders that rest at the paper venue: there and back in time, and cancels that travel as well."""

from decimal import Decimal

import pytest

from bot.domain.market import PublicTrade
from bot.domain.order import Fill, Order, OrderStatus, OrderType, Side, TimeInForce
from tests.unit.test_paper_actions import MS, SPOT, Bench

D = Decimal


def resting(bench: Bench, price: str, quantity: str = "2", side: Side = Side.BUY) -> Order:
    update = {"type": OrderType.LIMIT, "price": D(price), "time_in_force": TimeInForce.POST_ONLY}
    return bench.order(SPOT, side, quantity).model_copy(update=update)


def trade(price: float, quantity: float) -> PublicTrade:
    return PublicTrade(price=price, quantity=quantity, buyer_is_maker=True, trade_id="1", ts_event_ns=0)


def test_it_is_filled_by_the_first_quote_that_reaches_it_and_the_news_travels() -> None:
    bench = Bench()
    bench.quote(0, 1000.0)
    bench.actions.submit(resting(bench, "999.5", "1"))
    bench.clock.advance_to(9 * MS)
    bench.quote(0, 999.0)  # it has not arrived
    bench.quote(0, 1000.0)
    bench.clock.advance_to(50 * MS)
    assert bench.listener.heard == []
    assert bench.actions.in_flight == 1
    assert bench.actions.needs_every_quote(0)
    bench.quote(0, 999.4)
    bench.clock.advance_to(59 * MS)
    assert bench.listener.heard == []
    bench.clock.advance_to(60 * MS)
    (_, fill), (_, order) = bench.listener.heard
    assert isinstance(fill, Fill)
    assert isinstance(order, Order)
    assert (fill.price, fill.is_maker, fill.ts_event_ns) == (D("999.5"), True, 50 * MS)
    assert order.status is OrderStatus.FILLED
    assert bench.actions.in_flight == 0


def test_a_part_is_told_at_once_and_the_end_later() -> None:
    bench = Bench()
    bench.quote(0, 1000.0)
    order = resting(bench, "999.5", "2")
    bench.actions.submit(order)
    bench.clock.advance_to(20 * MS)
    bench.quote(0, 999.4, 0.5)
    bench.clock.advance_to(40 * MS)
    assert [type(event) for _, event in bench.listener.heard] == [Fill]
    bench.actions.on_trade(0, trade(999.0, 0.25))
    bench.actions.cancel(order)
    bench.clock.advance_to(80 * MS)
    assert [type(event) for _, event in bench.listener.heard] == [Fill, Fill, Order]
    final = bench.listener.orders[-1]
    assert (final.status, final.filled_quantity) == (OrderStatus.CANCELLED, D("0.75"))
    bench.actions.cancel(order)
    bench.clock.advance_to(200 * MS)
    assert len(bench.listener.orders) == 1


def test_a_cancel_can_come_too_late() -> None:
    bench = Bench()
    bench.quote(0, 1000.0)
    order = resting(bench, "999.5", "1")
    bench.actions.submit(order)
    bench.clock.advance_to(20 * MS)
    bench.actions.cancel(order)
    bench.clock.advance_to(25 * MS)
    bench.quote(0, 999.0)
    bench.clock.advance_to(100 * MS)
    assert [order.status for order in bench.listener.orders] == [OrderStatus.FILLED]


def test_an_order_that_would_trade_is_rejected_and_a_refused_quote_fills_nothing() -> None:
    bench = Bench()
    bench.quote(0, 1000.0)
    bench.actions.submit(resting(bench, "1000"))
    bench.actions.submit(resting(bench, "999.5"))
    bench.clock.advance_to(50 * MS)
    assert [order.status for order in bench.listener.orders] == [OrderStatus.REJECTED]
    bench.actions.on_quote_refused(0)
    bench.clock.advance_to(100 * MS)
    assert bench.actions.in_flight == 1


def test_what_rests_is_not_affordable_twice() -> None:
    bench = Bench()
    bench.quote(0, 1000.0)
    before = bench.actions.affordable_notional(SPOT, Side.BUY, 1000.0)
    order = resting(bench, "999.5", "2")
    bench.actions.submit(order)
    assert before - bench.actions.affordable_notional(SPOT, Side.BUY, 1000.0) == pytest.approx(1999)
    bench.clock.advance_to(50 * MS)
    assert before - bench.actions.affordable_notional(SPOT, Side.BUY, 1000.0) == pytest.approx(1999)
    bench.actions.cancel(order)
    bench.clock.advance_to(100 * MS)
    assert bench.actions.affordable_notional(SPOT, Side.BUY, 1000.0) == before
