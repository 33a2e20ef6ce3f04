"""Faults of orders at a market that stands still: when an order meets the book, and in which state it ends."""

from decimal import Decimal

import pytest

from bot.clock import VirtualClock
from bot.domain.order import Side
from exchanges.simulator.accounts.account import SimulatedAccount
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.accounts.pump import Pump
from exchanges.simulator.core.values import (
    AccountEvent,
    Kind,
    Lifetime,
    NewOrder,
    OrderState,
    OrderUpdated,
    OrderView,
    Refusal,
    TradingStatus,
)
from exchanges.simulator.faults.desk import FaultDesk
from exchanges.simulator.faults.values import fault_from_text
from tests.unit.sim_account_market import PERP, SPOT, FixedMarket

D = Decimal
SECOND = 1_000_000_000
NEW, FILLED, EXPIRED, CANCELLED = OrderState.NEW, OrderState.FILLED, OrderState.EXPIRED, OrderState.CANCELLED


class World:
    """One Binance at a fixed market, with a desk of faults."""

    def __init__(self) -> None:
        self.market = FixedMarket()
        for listing in range(4):
            self.market.quote(listing, {99: 500, 98: 500}, {101: 500, 102: 1000})
        self.faults = FaultDesk(VirtualClock())
        self.exchange = SimulatedExchange("binance", self.market, faults=self.faults)
        self.pump = Pump([self.exchange], self.market)
        self.account: SimulatedAccount = self.exchange.accounts[0]
        self.told: list[AccountEvent] = []
        self.account.listen(self.told.append)

    def order(self, line: str) -> int:
        return self.faults.order(fault_from_text(f"{line},venue=binance"))

    def place(self, listing: int, side: Side, quantity: str | None, price: str | None = None, **more) -> OrderView:
        kind = Kind.MARKET if price is None else Kind.LIMIT
        life = more.pop("lifetime", Lifetime.IOC if price is None else Lifetime.GTC)
        amount, limit = (None if one is None else D(one) for one in (quantity, price))
        request = NewOrder(listing, side, kind, life, amount, limit, "", **more)
        placed = self.account.place(request, self.pump.now_ns())
        assert isinstance(placed, OrderView), placed
        return placed

    def now(self, order: OrderView) -> OrderView:
        view = self.account.order(listing=order.request.listing, number=order.number, client_id=None)
        assert isinstance(view, OrderView)
        return view

    def cancel(self, order: OrderView) -> OrderView | Refusal:
        return self.account.cancel(
            listing=order.request.listing, number=order.number, client_id=None, ts_ns=self.pump.now_ns()
        )

    def states(self, order: OrderView) -> list[OrderState]:
        mine = (one.order for one in self.told if isinstance(one, OrderUpdated))
        return [one.state for one in mine if one.number == order.number]

    def to(self, seconds: float) -> None:
        self.pump.advance_to(round(seconds * SECOND))

    def balance(self, wallet: str, asset: str) -> tuple[Decimal, Decimal]:
        held = (one for one in self.account.balances() if (one.wallet, one.asset) == (wallet, asset))
        return next((one.total, one.locked) for one in held)


@pytest.fixture
def world() -> World:
    return World()


# Late


@pytest.mark.parametrize("life", [Lifetime.GTC, Lifetime.IOC, Lifetime.FOK])
def test_a_late_order_meets_the_book_of_its_later_moment(world, life):
    world.order("late-fill,amount=3,count=1")
    order = world.place(SPOT, Side.BUY, "0.5", "101", lifetime=life)
    assert (order.state, order.filled) == (NEW, 0)
    world.market.quote(SPOT, {99: 500}, {100: 600})
    world.to(2.999)
    assert world.now(order).state is NEW
    assert [one.number for one in world.account.open_orders(SPOT)] == [order.number]
    world.to(3)
    done = world.now(order)
    assert (done.state, done.filled, done.filled_notional, done.updated_ns) == (FILLED, D("0.5"), 50, 3 * SECOND)
    assert world.states(order) == [NEW, FILLED]
    assert world.place(SPOT, Side.BUY, "0.1", "101").state is FILLED, "it struck once"
    assert world.faults.orders[0].struck == 1


def test_a_late_order_locks_its_cost_and_gives_it_back_when_it_is_cancelled(world):
    world.order("late-fill,amount=3")
    order = world.place(SPOT, Side.BUY, "0.5", "101")
    assert world.balance("spot", "USDT") == (100_000, D("50.5"))
    assert not world.market.resting
    cancelled = world.cancel(order)
    assert isinstance(cancelled, OrderView)
    assert cancelled.state is CANCELLED
    assert world.balance("spot", "USDT") == (100_000, 0)
    world.to(10)
    assert world.states(order) == [NEW, CANCELLED]
    assert world.cancel(order) is Refusal.ALREADY_FINAL


def test_a_late_order_that_meets_nothing_rests(world):
    world.order("late-fill,amount=3")
    order = world.place(PERP, Side.BUY, "1", "97")
    world.to(3)
    assert world.market.resting == {(PERP, order.number): (True, 97, 1000)}
    assert world.now(order).state is NEW


def test_a_late_order_can_be_made_smaller_before_it_comes(world):
    world.order("late-fill,amount=3")
    order = world.place(SPOT, Side.BUY, "0.5", "101")
    smaller = world.account.shrink(listing=SPOT, number=order.number, quantity=D("0.2"), ts_ns=0)
    assert isinstance(smaller, OrderView)
    assert (smaller.state, world.balance("spot", "USDT")[1]) == (NEW, D("20.2"))
    world.to(3)
    assert (world.now(order).state, world.now(order).filled) == (FILLED, D("0.2"))


def test_late_orders_are_cancelled_with_all_others(world):
    resting = world.place(SPOT, Side.BUY, "1", "97")
    world.order("late-fill,amount=3")
    late = world.place(SPOT, Side.BUY, "1", "97")
    gone = world.account.cancel_all(None, world.pump.now_ns())
    assert {one.number for one in gone} == {resting.number, late.number}
    world.to(5)
    assert (world.states(late), world.market.resting) == ([NEW, CANCELLED], {})


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"price": "98", "lifetime": Lifetime.POST_ONLY}, Refusal.WOULD_TAKE),
        ({"price": "99", "lifetime": Lifetime.FOK}, Refusal.NOT_FILLABLE),
        ({"price": "105", "lifetime": Lifetime.IOC}, "the book offered no more"),
    ],
)
def test_a_late_order_expires_for_what_would_have_refused_it(world, request_, says):
    world.order("late-fill,amount=1,count=1")
    order = world.place(SPOT, Side.SELL, "1.5", **request_)
    world.to(1)
    done = world.now(order)
    assert (done.state, done.filled, done.reason) == (EXPIRED, 0, says)
    assert world.states(order) == [NEW, EXPIRED]
    assert all(one.refusal is None for one in world.told if isinstance(one, OrderUpdated)), "its owner is told"


def test_a_late_market_order_that_can_no_longer_be_paid_expires(world):
    world.market.quote(SPOT, {}, {101: 2_000_000}, D(100))
    world.order("late-fill,amount=1,count=1")
    late = world.place(SPOT, Side.BUY, "900")
    assert world.place(SPOT, Side.BUY, "900").state is FILLED
    world.to(1)
    assert (world.now(late).state, world.now(late).reason) == (EXPIRED, Refusal.INSUFFICIENT_BALANCE)
    assert world.balance("spot", "USDT")[0] == 100_000 - 900 * 101


def test_a_late_order_that_names_what_to_spend_spends_no_more_of_a_dearer_book(world):
    world.order("late-fill,amount=1,count=1")
    late = world.place(SPOT, Side.BUY, None, quote_quantity=D("50.5"))
    assert late.quantity == D("0.5")
    world.market.quote(SPOT, {99: 500}, {125: 900}, D(100))
    world.to(1)
    done = world.now(late)
    assert (done.state, done.quantity, done.filled_notional) == (FILLED, D("0.404"), D("50.5"))


def test_a_late_order_after_the_listing_stopped_expires(world):
    world.order("late-fill,amount=1,count=1")
    order = world.place(PERP, Side.BUY, "1", "101")
    world.exchange.set_status(PERP, TradingStatus.HALTED)
    world.to(1)
    assert (world.now(order).state, world.now(order).reason) == (EXPIRED, Refusal.NOT_TRADING)


def test_a_late_reduce_only_order_is_cut_to_what_is_left_to_reduce(world):
    world.place(PERP, Side.BUY, "0.4")
    world.order("late-fill,amount=1,count=2")
    larger, smaller = (world.place(PERP, Side.SELL, "0.4", reduce_only=True) for _ in range(2))
    world.place(PERP, Side.SELL, "0.1", reduce_only=True)
    world.to(1)
    assert (world.now(larger).state, world.now(larger).quantity, world.now(larger).filled) == (
        FILLED,
        D("0.3"),
        D("0.3"),
    )
    assert (world.now(smaller).state, world.now(smaller).filled) == (CANCELLED, 0)
    assert world.account.positions()[0].quantity == 0


def test_a_late_order_stands_in_the_way_of_none_of_its_owner_until_it_comes(world):
    world.order("late-fill,amount=1,count=1")
    late = world.place(SPOT, Side.BUY, "0.6", "103")
    early = world.place(SPOT, Side.SELL, "0.4", "102")
    assert world.now(late).state is NEW
    world.to(1)
    assert world.now(early).state is EXPIRED, "self-trade prevention takes the resting one"
    assert (world.now(late).state, world.now(late).filled_notional) == (FILLED, D("0.5") * 101 + D("0.1") * 102)


def test_a_late_fill_may_use_the_margin_up(world):
    world.order("late-fill,amount=1,count=1")
    world.market.quote(PERP, {99: 10}, {101: 10_000_000}, D(100))
    order = world.place(PERP, Side.BUY, "900", "101")
    assert isinstance(world.account.move("USDT", D("95000"), source="linear", target="spot", ts_ns=0), int)
    world.market.marks[PERP] = D(90)
    world.to(1)
    assert world.now(order).state is FILLED
    assert [one.client_id[:9] for one in world.account.orders(PERP)][1:] == ["autoclose"]


# At a cancel


def test_a_cancel_that_comes_too_late_finds_the_order_filled_at_its_own_price(world):
    order = world.place(SPOT, Side.BUY, "1", "98")
    number = world.order("fill-on-cancel")
    assert world.cancel(order) is Refusal.ALREADY_FINAL
    done = world.now(order)
    assert (done.state, done.filled, done.filled_notional) == (FILLED, 1, 98)
    assert world.states(order) == [NEW, FILLED]
    assert [one.is_maker for one in world.account.fills(SPOT)] == [True]
    assert world.balance("spot", "USDT") == (100_000 - 98, 0)
    assert not world.market.resting
    world.faults.end(number)
    other = world.place(SPOT, Side.BUY, "1", "98")
    assert isinstance(world.cancel(other), OrderView)


def test_only_the_rest_is_filled_at_a_cancel(world):
    order = world.place(SPOT, Side.BUY, "0.8", "101")
    assert order.filled == D("0.5")
    world.order("fill-on-cancel")
    assert world.account.cancel_all(SPOT, 0) == []
    assert [(one.quantity, one.price, one.is_maker) for one in world.account.fills(SPOT)] == [
        (D("0.5"), 101, False),
        (D("0.3"), 101, True),
    ]


def test_a_fill_that_is_still_to_be_heard_of_comes_once(world):
    order = world.place(SPOT, Side.BUY, "1", "98")
    reached = world.market.reach(SPOT, order.number, 400, 5)
    world.order("fill-on-cancel")
    assert world.cancel(order) is Refusal.ALREADY_FINAL
    assert world.now(order).filled == D("0.6")
    world.market.events.append(reached)
    world.to(1)
    assert (world.now(order).state, world.now(order).filled) == (FILLED, 1)


def test_a_reduce_only_order_is_not_filled_beyond_the_position_at_its_cancel(world):
    world.place(PERP, Side.BUY, "0.4")
    order = world.place(PERP, Side.SELL, "0.3", "105", reduce_only=True)
    world.place(PERP, Side.SELL, "0.3")
    world.order("fill-on-cancel")
    world.account.cancel_all(PERP, 0)
    assert (world.now(order).state, world.now(order).filled) == (CANCELLED, D("0.1"))
    assert world.account.positions()[0].quantity == 0


def test_what_the_exchange_cancels_itself_is_not_filled(world):
    resting = world.place(SPOT, Side.BUY, "1", "98")
    world.order("fill-on-cancel")
    world.place(SPOT, Side.SELL, "2", "98", lifetime=Lifetime.IOC)
    assert (world.now(resting).state, world.now(resting).filled) == (EXPIRED, 0)


# A part


@pytest.mark.parametrize(
    ("amount", "quantity", "filled"),
    [("0.37", "1", "0.37"), ("0.37", "0.1", "0.037"), ("0.001", "0.06", "0.001"), ("0.99", "0.1", "0.099")],
)
def test_a_part_is_filled_and_the_rest_ends(world, amount, quantity, filled):
    world.order(f"partial-then-reject,amount={amount}")
    order = world.place(SPOT, Side.BUY, quantity, "105")
    assert (order.state, order.filled, order.quantity) == (EXPIRED, D(filled), D(quantity))
    assert order.reason == "stopped after a part of it"
    assert (world.market.resting, world.balance("spot", "USDT")[1]) == ({}, 0)


def test_a_part_is_no_more_than_the_book_has(world):
    world.order("partial-then-reject,amount=0.9")
    assert world.place(SPOT, Side.BUY, "1", "101").filled == D("0.5")


def test_orders_that_take_nothing_or_all_are_left_alone(world):
    world.order("partial-then-reject,amount=0.5")
    assert world.place(SPOT, Side.BUY, "1", "98").state is NEW
    assert world.place(SPOT, Side.BUY, "1", "102", lifetime=Lifetime.FOK).state is FILLED
    assert world.faults.orders[0].struck == 0


def test_a_fault_strikes_only_the_listing_that_it_names(world):
    world.order("partial-then-reject,amount=0.5,match=BTC/USDT:USDT")
    assert world.place(SPOT, Side.BUY, "0.1", "101").state is FILLED
    assert world.place(PERP, Side.BUY, "0.1", "101").state is EXPIRED
    world.faults.end_all()
    world.order("partial-then-reject,amount=0.5,segment=spot")
    assert world.place(PERP, Side.BUY, "0.1", "101").state is FILLED
    assert world.place(SPOT, Side.BUY, "0.1", "101").state is EXPIRED


def test_a_late_order_may_end_after_a_part(world):
    world.order("late-fill,amount=1")
    world.order("partial-then-reject,amount=0.5")
    order = world.place(SPOT, Side.BUY, "0.2", "101")
    world.to(1)
    assert (world.states(order), world.now(order).filled) == ([NEW, OrderState.PARTIALLY_FILLED, EXPIRED], D("0.1"))
