"""Resting orders: filled where somebody must have come, at their own price, and not a lot more."""

from decimal import Decimal
from typing import Any

import pytest

from bot.domain.instrument import Instrument
from bot.domain.market import TopOfBook
from bot.domain.order import Order, OrderStatus, OrderType, Side, TimeInForce
from bot.matching.matching_engine import MatchResult
from bot.matching.resting import FillsOn, RestingOrders
from tests.unit.test_matching_engine import LINEAR, SPOT, Desk, quote

D = Decimal


class Rest:
    """Resting orders over the desk's engine; books quote 1000.0 / 1000.1 at first."""

    def __init__(self, fills_on: FillsOn = "touch") -> None:
        self.desk = Desk()
        self.resting = RestingOrders(self.desk.engine, fills_on)
        self.count = 0
        for instrument in (SPOT, LINEAR):
            self.quote(instrument, 999.0, 1001.0)

    def order(self, instrument: Instrument, side: Side, quantity: str, price: str, **more: Any) -> Order:
        self.count += 1
        return Order(
            client_order_id=f"r{self.count}", instrument=instrument, side=side, type=OrderType.LIMIT,
            quantity=D(quantity), price=D(price), ts_decision_ns=1,
            **({"time_in_force": TimeInForce.POST_ONLY} | more),
        )  # fmt: skip

    def place(self, instrument: Instrument, side: Side, quantity: str, price: str, **more: Any) -> MatchResult:
        order = self.order(instrument, side, quantity, price, **more)
        return self.resting.place(order, self.desk.books[instrument.id], 5)

    def quote(self, instrument: Instrument, bid: float, ask: float, quantity: float = 5.0) -> list[MatchResult]:
        book, shown = self.desk.books[instrument.id], quote(bid, ask, quantity)
        book.on_quote(shown)
        return self.resting.on_quote(instrument.id, shown, book, 7)

    def trade(self, instrument: Instrument, price: float, quantity: float) -> list[MatchResult]:
        return self.resting.on_trade(instrument.id, price, quantity, 8)

    def locked(self, wallet: str, asset: str) -> Decimal:
        return self.desk.accounts.balance(wallet, asset).locked


def test_it_rests_and_what_it_may_need_is_locked() -> None:
    rest = Rest()
    assert rest.place(SPOT, Side.BUY, "2", "999.5").order.status is OrderStatus.SENT
    assert rest.locked("a.spot", "USDT") == D(1999)
    assert rest.place(SPOT, Side.SELL, "1", "1000.5").order.status is OrderStatus.SENT
    assert rest.locked("a.spot", "ETH") == 1
    assert rest.place(LINEAR, Side.BUY, "1", "999.5").order.status is OrderStatus.SENT
    assert rest.locked("a.linear", "USDT") == D("999.5") * (D("0.2") + D("0.0002"))
    assert len(rest.resting.orders()) == 3


@pytest.mark.parametrize(("side", "price"), [(Side.BUY, "1001"), (Side.BUY, "1002"), (Side.SELL, "999")])
def test_an_order_that_would_trade_at_once_is_rejected(side: Side, price: str) -> None:
    rest = Rest()
    result = rest.place(SPOT, side, "1", price)
    assert result.order.status is OrderStatus.REJECTED
    assert "would trade at once" in str(result.order.reason)
    assert rest.resting.orders() == []
    assert rest.locked("a.spot", "USDT") == rest.locked("a.spot", "ETH") == 0


def test_an_order_that_would_meet_our_own_is_rejected() -> None:
    rest = Rest()
    rest.place(SPOT, Side.SELL, "1", "1000")
    assert "our own 1000" in str(rest.place(SPOT, Side.BUY, "1", "1000").order.reason)
    assert rest.place(SPOT, Side.BUY, "1", "999.9").order.status is OrderStatus.SENT


def test_without_a_quote_nobody_knows_whether_it_would_trade() -> None:
    rest = Rest()
    rest.desk.books[SPOT.id].withdraw()
    assert rest.place(SPOT, Side.BUY, "1", "999.5").order.status is OrderStatus.EXPIRED


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"time_in_force": TimeInForce.GTC}, "send post_only"),
        ({"time_in_force": TimeInForce.IOC}, "send post_only"),
        ({"quantity": D("0.001")}, "not a multiple"),
        ({"price": D("999.55")}, "not a multiple"),
        ({"quantity": D(11)}, "lacks"),
        ({"reduce_only": True}, "spot holds no position"),
    ],
)
def test_what_is_refused_leaves_no_trace(more: dict[str, Any], said: str) -> None:
    rest = Rest()
    order = rest.order(SPOT, Side.BUY, "1", "999.5").model_copy(update=more)
    result = rest.resting.place(order, rest.desk.books[SPOT.id], 5)
    assert result.order.status is OrderStatus.REJECTED
    assert said in str(result.order.reason)
    assert rest.locked("a.spot", "USDT") == 0


def test_a_buy_is_filled_where_the_ask_reaches_it_at_its_own_price_with_the_makers_fee() -> None:
    rest = Rest()
    rest.place(SPOT, Side.BUY, "2", "999.5")
    assert rest.quote(SPOT, 999.4, 999.6) == []
    (result,) = rest.quote(SPOT, 998.0, 999.0)
    (fill,) = result.fills
    assert (fill.price, fill.quantity, fill.is_maker) == (D("999.5"), 2, True)
    assert (fill.fee, fill.fee_asset) == (D("0.0004"), "ETH")
    assert result.order.status is OrderStatus.FILLED
    assert result.order.average_price == D("999.5")
    assert rest.locked("a.spot", "USDT") == 0
    assert rest.desk.accounts.balance("a.spot", "USDT").total == D(10_000) - D(1999)


@pytest.mark.parametrize(("fills_on", "filled"), [("touch", True), ("through", False)])
def test_whether_reaching_the_price_is_enough_is_a_setting(fills_on: FillsOn, filled: bool) -> None:
    rest = Rest(fills_on)
    rest.place(SPOT, Side.BUY, "1", "999.5")
    assert bool(rest.quote(SPOT, 999.0, 999.5)) is filled
    assert bool(rest.quote(SPOT, 999.0, 999.4)) is not filled


def test_no_more_is_filled_than_the_other_side_shows_and_once() -> None:
    rest = Rest()
    rest.place(SPOT, Side.BUY, "3", "999.5")
    (result,) = rest.quote(SPOT, 999.0, 999.5, 1.0)
    assert result.order.status is OrderStatus.PARTIALLY_FILLED
    assert result.order.filled_quantity == 1
    assert rest.quote(SPOT, 999.0, 999.5, 1.0) == []  # what was shown is ours already
    assert rest.locked("a.spot", "USDT") == 2 * D("999.5")
    (result,) = rest.quote(SPOT, 999.0, 999.4, 9.0)
    assert result.order.status is OrderStatus.FILLED
    assert [fill.fill_id for fill in result.fills] == ["r1.2"]


def test_a_public_trade_beyond_our_price_comes_to_us_and_one_at_it_does_not() -> None:
    rest = Rest()
    rest.place(LINEAR, Side.SELL, "3", "1000.5")
    assert rest.trade(LINEAR, 1000.5, 9.0) == []  # those who stood before us
    assert rest.trade(LINEAR, 1000.4, 9.0) == []
    (result,) = rest.trade(LINEAR, 1000.6, 1.005)
    assert (result.order.filled_quantity, result.fills[0].price) == (1, D("1000.5"))
    (result,) = rest.trade(LINEAR, 1001.0, 9.0)
    assert result.order.status is OrderStatus.FILLED
    assert rest.desk.accounts.position(LINEAR).quantity == -3


def test_one_trade_does_not_fill_two_orders_with_the_same_quantity() -> None:
    rest = Rest()
    rest.place(SPOT, Side.BUY, "1", "999.5")
    rest.place(SPOT, Side.BUY, "1", "999.8")
    results = rest.trade(SPOT, 999.0, 1.5)
    assert [(r.order.price, r.order.filled_quantity) for r in results] == [(D("999.8"), 1), (D("999.5"), D("0.5"))]


def test_a_cancelled_order_is_out_and_its_lock_gone() -> None:
    rest = Rest()
    placed = rest.place(SPOT, Side.BUY, "2", "999.5").order
    rest.quote(SPOT, 999.0, 999.5, 0.5)
    result = rest.resting.cancel(placed, 9)
    assert result is not None
    assert (result.order.status, result.order.filled_quantity) == (OrderStatus.CANCELLED, D("0.5"))
    assert rest.resting.cancel(placed, 10) is None
    assert rest.quote(SPOT, 998.0, 998.5) == []
    assert rest.locked("a.spot", "USDT") == 0


def test_a_reduce_only_order_never_turns_a_position_round() -> None:
    rest = Rest()
    rest.desk.send(LINEAR, Side.BUY, "2")
    rest.place(LINEAR, Side.SELL, "2", "1005", reduce_only=True)
    rest.desk.send(LINEAR, Side.SELL, "1.5")
    (result,) = rest.quote(LINEAR, 1006.0, 1007.0)
    assert (result.fills[0].quantity, result.order.status) == (D("0.5"), OrderStatus.PARTIALLY_FILLED)
    assert rest.desk.accounts.position(LINEAR).quantity == 0
    (result,) = rest.quote(LINEAR, 1008.0, 1009.0)
    assert (result.fills, result.order.status) == ((), OrderStatus.CANCELLED)
    assert not rest.resting.has(LINEAR.id)


def test_a_quote_of_nonsense_fills_nothing() -> None:
    rest = Rest()
    rest.place(SPOT, Side.BUY, "1", "999.5")
    book = rest.desk.books[SPOT.id]
    shown = TopOfBook(bid_price=1.0, bid_qty=1.0, ask_price=2.0, ask_qty=0.0, sequence=1)
    book.on_quote(shown)
    assert rest.resting.on_quote(SPOT.id, shown, book, 7) == []
