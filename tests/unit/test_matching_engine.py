"""The matching engine: what it refuses, what it fills, and what it says."""

from decimal import Decimal
from typing import Any

import pytest

from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Instrument, Segment
from bot.domain.market import TopOfBook
from bot.domain.order import Order, OrderStatus, OrderType, Side, TimeInForce
from bot.errors import AboveMaximum, BelowMinimum, InsufficientBalance, OrderRejected
from bot.matching.accounts import Accounts
from bot.matching.book import VisibleBook
from bot.matching.matching_engine import NO_QUOTE, MatchingEngine, MatchResult

D = Decimal
FILTERS = {"tick_size": D("0.1"), "lot_size": D("0.01"), "min_quantity": D("0.02"), "min_notional": D(10)}
SPOT = Instrument(venue="a", symbol="ETH/USDT", segment=Segment.SPOT, base="ETH", quote="USDT", **FILTERS)
LINEAR = Instrument(
    venue="a", symbol="ETH/USDT:USDT", segment=Segment.LINEAR, base="ETH", quote="USDT", settle="USDT", **FILTERS
)
INVERSE = Instrument(
    venue="a", symbol="ETH/USD:ETH", segment=Segment.INVERSE, base="ETH", quote="USD", settle="ETH",
    tick_size=D("0.1"), lot_size=D(1), min_notional=D(30), contract_multiplier=D(10),
)  # fmt: skip


class Desk:
    """An engine with a book per instrument, all quoting 1000.0 / 1000.1 with 5 on each side."""

    def __init__(self, wallets: dict[str, dict[str, Decimal]] | None = None) -> None:
        wallets = wallets or {
            "a.spot": {"USDT": D(10_000), "ETH": D(3)}, "a.linear": {"USDT": D(1000)}, "a.inverse": {"ETH": D(1)},
        }  # fmt: skip
        self.accounts = Accounts(wallets, D("0.2"))
        fees = {
            i.feed: FeeSchedule(feed=i.feed, maker_bps=D(2), taker_bps=D(5), source="settings")
            for i in (SPOT, LINEAR, INVERSE)
        }
        self.engine = MatchingEngine(self.accounts, fees)
        self.books = {i.id: VisibleBook(i) for i in (SPOT, LINEAR, INVERSE)}
        for book in self.books.values():
            book.on_quote(quote())
        self._count = 0

    def send(
        self, instrument: Instrument, side: Side, quantity: str, price: str | None = None, **more: Any
    ) -> MatchResult:
        self._count += 1
        fields = {
            "client_order_id": f"o{self._count}", "instrument": instrument, "side": side, "quantity": D(quantity),
            "type": OrderType.MARKET if price is None else OrderType.LIMIT, "time_in_force": TimeInForce.IOC,
            "price": None if price is None else D(price), "ts_decision_ns": 1,
        } | more  # fmt: skip
        return self.engine.match(Order.model_construct(**(_defaults() | fields)), self.books[instrument.id], 99)


def _defaults() -> dict[str, Any]:
    return {name: f.default for name, f in Order.model_fields.items() if not f.is_required()}


def quote(bid: float = 1000.0, ask: float = 1000.1, quantity: float = 5.0) -> TopOfBook:
    return TopOfBook(bid_price=bid, bid_qty=quantity, ask_price=ask, ask_qty=quantity, sequence=1)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_limit_order_fills_at_the_touch_not_at_its_limit(desk: Desk) -> None:
    result = desk.send(SPOT, Side.BUY, "2", "1001")
    (fill,) = result.fills
    assert result.order.status is OrderStatus.FILLED
    assert (result.order.filled_quantity, result.order.average_price) == (2, D("1000.1"))
    assert (fill.price, fill.quantity, fill.fee, fill.fee_asset) == (D("1000.1"), 2, D("0.001"), "ETH")
    assert (fill.is_maker, fill.ts_event_ns, result.order.ts_final_ns) == (False, 99, 99)
    assert fill.fill_id == "o1.1"


def test_the_rest_of_a_partial_fill_expires(desk: Desk) -> None:
    result = desk.send(LINEAR, Side.SELL, "3")
    assert result.order.status is OrderStatus.FILLED
    result = desk.send(LINEAR, Side.SELL, "1.5", "999")
    assert result.order.status is OrderStatus.FILLED
    result = desk.send(LINEAR, Side.BUY, "4.5", "1000.1", reduce_only=True)
    assert result.order.status is OrderStatus.FILLED
    result = desk.send(LINEAR, Side.SELL, "2")
    assert (result.order.status, result.order.filled_quantity) == (OrderStatus.EXPIRED, D("0.5"))
    assert result.order.reason == "the book offered 0.50 from 1000.0 on"


def test_a_limit_behind_the_touch_expires(desk: Desk) -> None:
    result = desk.send(SPOT, Side.BUY, "1", "1000")
    assert (result.order.status, result.fills) == (OrderStatus.EXPIRED, ())
    assert result.order.reason == "limit 1000 is not met by 1000.1"
    assert result.order.average_price is None


def test_without_a_valid_quote_an_order_expires(desk: Desk) -> None:
    desk.books[SPOT.id].withdraw()
    result = desk.send(SPOT, Side.BUY, "1")
    assert (result.order.status, result.order.reason, result.rejection) == (OrderStatus.EXPIRED, NO_QUOTE, None)


@pytest.mark.parametrize(("error", "reason", "arguments"), [
    (OrderRejected, "gtc orders are not taken here", {"time_in_force": TimeInForce.GTC, "price": D(1000)}),
    (OrderRejected, "quantity 1.005 is not a multiple of 0.01", {"quantity": D("1.005")}),
    (OrderRejected, "quantity NaN is not a positive number", {"quantity": D("NaN")}),
    (OrderRejected, "quantity Infinity is not a positive number", {"quantity": D("Infinity")}),
    (OrderRejected, "quantity 0 is not a positive number", {"quantity": D(0)}),
    (OrderRejected, "quantity -1 is not a positive number", {"quantity": D(-1)}),
    (OrderRejected, "price 1000.05 is not a multiple of 0.1", {"price": D("1000.05"), "type": OrderType.LIMIT}),
    (OrderRejected, "price NaN is not a positive number", {"price": D("NaN"), "type": OrderType.LIMIT}),
    (OrderRejected, "a limit order with price None", {"type": OrderType.LIMIT}),
    (OrderRejected, "a market order with price 1000", {"price": D(1000), "type": OrderType.MARKET}),
    (BelowMinimum, "quantity 0.01 is below the minimum 0.02", {"quantity": D("0.01")}),
    (BelowMinimum, "notional 9.9 USDT is below the minimum 10",
     {"quantity": D("0.1"), "price": D(99), "type": OrderType.LIMIT}),
    (InsufficientBalance, "a.spot lacks 1.00 USDT",
     {"quantity": D("1"), "price": D(10_001), "type": OrderType.LIMIT}),
    (InsufficientBalance, "a.spot lacks 0.01 ETH", {"side": Side.SELL, "quantity": D("3.01")}),
])  # fmt: skip
def test_what_is_refused_and_why(desk: Desk, error: type[OrderRejected], reason: str, arguments: Any) -> None:
    before = desk.accounts.balances()
    result = desk.send(**{"instrument": SPOT, "side": Side.BUY, "quantity": "1"} | arguments)
    assert result.order.status is OrderStatus.REJECTED
    assert type(result.rejection) is error
    assert result.order.reason is not None
    assert result.order.reason.replace("1.0 USDT", "1.00 USDT").startswith(reason)
    assert (result.fills, desk.accounts.balances()) == ((), before)
    assert not desk.books[SPOT.id].is_used


@pytest.mark.parametrize(
    ("quantity", "price", "reason"),
    [
        ("3.01", "1000.1", "quantity 3.01 is above the maximum 3"),
        ("1.01", None, "quantity 1.01 is above the maximum 1"),
        ("2.01", "1000", "notional 2010.00 USDT is above the maximum 2000"),
        ("2", "1000", None),
        ("1", None, None),
    ],
)
def test_what_is_above_the_most_that_one_order_may_be_is_refused(
    desk: Desk, quantity: str, price: str | None, reason: str | None
) -> None:
    most = {"max_quantity": D(3), "max_market_quantity": D(1), "max_notional": D(2000)}
    result = desk.send(SPOT.model_copy(update=most), Side.BUY, quantity, price)
    assert isinstance(result.rejection, AboveMaximum) is (reason is not None)
    assert reason is None or result.order.reason == reason


def test_a_feed_without_fees_takes_no_orders() -> None:
    book = VisibleBook(SPOT)
    book.on_quote(quote())
    order = Order(
        client_order_id="o", instrument=SPOT, side=Side.BUY, type=OrderType.MARKET,
        time_in_force=TimeInForce.IOC, quantity=D(1), ts_decision_ns=1,
    )  # fmt: skip
    result = MatchingEngine(Accounts({"a.spot": {"USDT": D(5000)}}, D("0.2")), {}).match(order, book, 1)
    assert result.order.status is OrderStatus.REJECTED
    assert result.order.reason == "no fee schedule is known for a.spot"


def test_a_client_order_id_is_used_once(desk: Desk) -> None:
    desk.send(SPOT, Side.BUY, "1", client_order_id="same")
    again = desk.send(SPOT, Side.BUY, "1", client_order_id="same")
    assert (again.order.status, again.order.reason) == (OrderStatus.REJECTED, "duplicate client order id")


def test_margin_covers_what_increases_the_position(desk: Desk) -> None:
    # 1000 USDT / (20 % margin + 5 bps fee) = 4987.5 of notional
    assert desk.send(LINEAR, Side.BUY, "4.99").order.status is OrderStatus.REJECTED
    assert desk.send(LINEAR, Side.BUY, "4.98").order.status is OrderStatus.FILLED
    assert desk.accounts.balance("a.linear", "USDT").available > 0
    assert desk.send(LINEAR, Side.BUY, "0.02").order.status is OrderStatus.REJECTED


def test_margin_is_asked_for_at_the_better_price_that_a_sell_may_fill_at(desk: Desk) -> None:
    assert isinstance(desk.send(LINEAR, Side.SELL, "4.99", "900").rejection, InsufficientBalance)
    assert desk.send(LINEAR, Side.SELL, "4.98", "900").order.status is OrderStatus.FILLED


def test_turning_round_needs_margin_for_the_new_side_only(desk: Desk) -> None:
    desk.send(LINEAR, Side.BUY, "2")
    assert desk.send(LINEAR, Side.SELL, "4").order.status is OrderStatus.FILLED
    assert desk.accounts.position(LINEAR).quantity == -2


def test_reducing_needs_nothing_even_with_an_empty_wallet() -> None:
    desk = Desk({"a.linear": {"USDT": D("401")}})
    assert desk.send(LINEAR, Side.BUY, "2").order.status is OrderStatus.REJECTED  # 400.04 margin, 1.0001 fee
    assert desk.send(LINEAR, Side.BUY, "1.99").order.status is OrderStatus.FILLED
    desk.books[LINEAR.id].on_quote(quote(700.0, 700.1))
    assert desk.send(LINEAR, Side.SELL, "1.99", reduce_only=True).order.status is OrderStatus.FILLED
    assert desk.accounts.balance("a.linear", "USDT").total < 0
    assert desk.send(LINEAR, Side.BUY, "0.02").order.status is OrderStatus.REJECTED


def test_reduce_only_is_cut_to_the_position(desk: Desk) -> None:
    desk.send(LINEAR, Side.SELL, "1")
    result = desk.send(LINEAR, Side.BUY, "3", reduce_only=True)
    assert (result.order.status, result.order.filled_quantity) == (OrderStatus.EXPIRED, 1)
    assert result.order.reason == "reduce-only: cut to the position of 1"
    assert desk.accounts.positions() == []


@pytest.mark.parametrize("side", list(Side))
def test_reduce_only_never_increases(desk: Desk, side: Side) -> None:
    assert desk.send(LINEAR, side, "1", reduce_only=True).order.status is OrderStatus.REJECTED
    desk.send(LINEAR, side, "1")
    assert desk.send(LINEAR, side, "1", reduce_only=True).order.status is OrderStatus.REJECTED
    assert desk.send(SPOT, side, "1", reduce_only=True).order.status is OrderStatus.REJECTED


def test_reducing_a_derivative_is_free_of_the_minimum_notional(desk: Desk) -> None:
    desk.books[LINEAR.id].on_quote(quote(100.0, 100.1))
    desk.send(LINEAR, Side.BUY, "1")
    assert desk.send(LINEAR, Side.SELL, "0.05").order.status is OrderStatus.REJECTED
    assert desk.send(LINEAR, Side.SELL, "0.05", reduce_only=True).order.status is OrderStatus.FILLED


def test_an_inverse_contract_counts_notional_in_quote_and_pays_in_base(desk: Desk) -> None:
    desk.books[INVERSE.id].on_quote(quote(quantity=500.0))
    assert isinstance(desk.send(INVERSE, Side.BUY, "2").rejection, BelowMinimum)
    result = desk.send(INVERSE, Side.BUY, "100", "1000.1")
    (fill,) = result.fills
    assert fill.fee_asset == "ETH"
    assert fill.fee == D("0.999900009999000099") * 5 / 10_000
    assert desk.send(INVERSE, Side.BUY, "401").order.status is OrderStatus.REJECTED
    assert desk.accounts.position(INVERSE).quantity == 100


def test_the_same_calls_give_the_same_results() -> None:
    first, second = Desk(), Desk()
    for desk in (first, second):
        desk.send(LINEAR, Side.BUY, "1")
    assert first.send(LINEAR, Side.SELL, "2") == second.send(LINEAR, Side.SELL, "2")
