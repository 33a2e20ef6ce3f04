"""What a position has earned, fees and funding included; figures worked out by hand."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.order import Side
from exchanges.simulator.accounts.account import SimulatedAccount
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.accounts.rules import bybit_rules
from exchanges.simulator.core.values import Kind, Lifetime, NewOrder, OrderState, OrderView, PositionView
from tests.unit.sim_account_market import BYBIT_PERP, FixedMarket

D = Decimal


def opened(market: FixedMarket, cash: str = "100000") -> tuple[SimulatedExchange, SimulatedAccount]:
    rules = replace(bybit_rules(), balances={"unified": {"USDT": D(cash)}, "fund": {}})
    exchange = SimulatedExchange("bybit", market, rules=rules)
    return exchange, exchange.accounts[0]


def at(market: FixedMarket, price: int) -> None:
    market.quote(BYBIT_PERP, {price: 10_000_000}, {price + 1: 10_000_000}, D(price))


def trade(account: SimulatedAccount, side: Side, quantity: str) -> PositionView:
    order = NewOrder(BYBIT_PERP, side, Kind.MARKET, Lifetime.IOC, D(quantity), None, "")
    done = account.place(order, 5)
    assert isinstance(done, OrderView)
    assert done.state is OrderState.FILLED
    return account.positions()[0]


@pytest.fixture
def market() -> FixedMarket:
    market = FixedMarket()
    at(market, 100)
    return market


def test_an_opened_position_has_booked_its_fee_and_breaks_even_above_its_price(market):
    _, account = opened(market)
    view = trade(account, Side.BUY, "10")
    # 1,010 USDT at 5.5 bps.
    assert (view.result, view.result_ever) == (D("-0.5555"), D("-0.5555"))
    assert (view.entry_price, view.break_even) == (101, D("101.05555"))


def test_a_short_breaks_even_below_its_price(market):
    _, account = opened(market)
    view = trade(account, Side.SELL, "10")
    assert (view.entry_price, view.break_even) == (100, D("99.945"))


def test_what_part_of_a_position_earned_lowers_what_the_rest_must_earn(market):
    _, account = opened(market)
    trade(account, Side.BUY, "10")
    at(market, 111)
    view = trade(account, Side.SELL, "5")
    # 5 × 10 earned, 0.5555 + 0.30525 paid.
    assert view.result == D("49.13925")
    assert view.break_even == D("101") - D("49.13925") / 5


def test_funding_counts_in_the_result_and_not_in_the_price(market):
    exchange, account = opened(market)
    before = trade(account, Side.BUY, "10")
    exchange.on_market([market.funding_event(BYBIT_PERP, D("0.001"), 9)])
    (view,) = account.positions()
    assert (view.result, view.break_even) == (before.result - 1, before.break_even)


def test_a_flat_position_has_nothing_and_the_next_one_begins_anew(market):
    _, account = opened(market)
    trade(account, Side.BUY, "10")
    flat = trade(account, Side.SELL, "10")
    # 10 lost, 0.5555 + 0.55 paid.
    assert (flat.result, flat.result_ever, flat.break_even) == (0, D("-11.1055"), 0)
    again = trade(account, Side.SELL, "10")
    assert (again.result, again.result_ever) == (D("-0.55"), D("-11.6555"))


def test_a_position_that_turns_round_takes_only_its_part_of_the_fee_along(market):
    _, account = opened(market)
    trade(account, Side.BUY, "10")
    view = trade(account, Side.SELL, "40")
    # 4,000 USDT at 5.5 bps are 2.2, of which 30 of 40 opened.
    assert (view.quantity, view.result) == (-30, D("-1.65"))
    assert view.result_ever == D("-0.5555") - D("2.2") - 10


@given(
    steps=st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 50), st.integers(90, 110)), min_size=1, max_size=12)
)
def test_all_results_together_are_what_the_wallet_gained(steps):
    market = FixedMarket()
    _, account = opened(market)
    for side, quantity, price in steps:
        at(market, price)
        view = trade(account, side, str(quantity))
        if not view.quantity:
            assert view.result == 0
    cash = next(one.total for one in account.balances() if one.asset == "USDT")
    assert view.result_ever == cash - 100_000


def test_a_forced_liquidation_ends_the_wallets_orders_first(market):
    exchange, account = opened(market)
    trade(account, Side.BUY, "10")
    resting = NewOrder(BYBIT_PERP, Side.BUY, Kind.LIMIT, Lifetime.GTC, D(5), D(99), "mine")
    assert isinstance(account.place(resting, 6), OrderView)
    assert exchange.force_liquidation(BYBIT_PERP) == 1
    assert account.open_orders(None) == []
    mine = account.order(listing=BYBIT_PERP, number=None, client_id="mine")
    assert isinstance(mine, OrderView)
    assert (mine.state, account.positions()[0].quantity) == (OrderState.CANCELLED, 0)


def test_who_has_no_position_keeps_his_orders(market):
    exchange, account = opened(market)
    resting = NewOrder(BYBIT_PERP, Side.BUY, Kind.LIMIT, Lifetime.GTC, D(5), D(99), "mine")
    assert isinstance(account.place(resting, 6), OrderView)
    assert exchange.force_liquidation(BYBIT_PERP) == 0
    assert len(account.open_orders(None)) == 1
