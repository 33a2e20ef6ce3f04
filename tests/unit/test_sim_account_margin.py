"""Positions, margin, liquidation, ADL and funding of a simulated account, by figures worked out by hand."""

from dataclasses import replace
from decimal import Decimal

import pytest

from bot.domain.order import Side
from exchanges.simulator.accounts.account import SimulatedAccount
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.accounts.rules import binance_rules, bybit_rules, linear_tier
from exchanges.simulator.core.values import (
    AccountChanged,
    AccountEvent,
    Cause,
    Kind,
    Lifetime,
    NewOrder,
    OrderState,
    OrderUpdated,
    OrderView,
    Refusal,
)
from tests.unit.sim_account_market import BYBIT_PERP, BYBIT_SPOT, PERP, SPOT, FixedMarket

D = Decimal


@pytest.fixture
def market() -> FixedMarket:
    market = FixedMarket()
    for listing in range(4):
        market.quote(listing, {99: 500_000}, {100: 500_000}, D(100))
    return market


def opened(market: FixedMarket, cash: str, venue: str = "binance") -> tuple[SimulatedExchange, SimulatedAccount]:
    rules = binance_rules() if venue == "binance" else bybit_rules()
    wallets = (
        {"spot": {}, "linear": {"USDT": D(cash)}} if venue == "binance" else {"unified": {"USDT": D(cash)}, "fund": {}}
    )
    exchange = SimulatedExchange(venue, market, rules=replace(rules, balances=wallets))
    account = exchange.account(exchange.credentials.api_key)
    assert account is not None
    return exchange, account


def trade(account: SimulatedAccount, listing: int, side: Side, quantity: str, price: str | None = None) -> OrderView:
    kind = Kind.MARKET if price is None else Kind.LIMIT
    life = Lifetime.IOC if price is None else Lifetime.GTC
    limit = None if price is None else D(price)
    done = account.place(NewOrder(listing, side, kind, life, D(quantity), limit, ""), 5)
    assert isinstance(done, OrderView), done
    return done


def cash(account: SimulatedAccount) -> Decimal:
    return next(one.total for one in account.balances() if one.asset == "USDT")


def test_a_position_shows_entry_profit_and_margins(market):
    _, account = opened(market, "1000")
    trade(account, PERP, Side.BUY, "100")
    market.marks[PERP] = D(102)
    (view,) = account.positions()
    assert (view.quantity, view.entry_price, view.unrealised, view.realised) == (100, 100, 200, 0)
    # 10,200 at the mark: a twentieth, and 0.4 %.
    assert (view.leverage, view.initial_margin, view.maintenance_margin) == (20, 510, D("40.8"))
    assert cash(account) == 995


def test_the_liquidation_price_is_where_the_margin_is_used_up(market):
    _, account = opened(market, "1000")
    trade(account, PERP, Side.BUY, "100")
    (view,) = account.positions()
    # 995 + 100 (p − 100) = 0.4 p
    assert view.liquidation_price == pytest.approx(D(9005) / D("99.6"), abs=D("1e-20"))
    _, short = opened(market, "1000")
    trade(short, PERP, Side.SELL, "100")
    # 1000 − 4.95 − 100 (p − 99) = 0.4 p
    assert short.positions()[0].liquidation_price == pytest.approx(D("10895.05") / D("100.4"), abs=D("1e-20"))


def test_a_position_that_no_price_can_liquidate_has_no_liquidation_price(market):
    _, account = opened(market, "100000")
    trade(account, PERP, Side.BUY, "1")
    assert account.positions()[0].liquidation_price is None


def test_liquidates_one_tick_of_the_mark_below_the_price_and_not_before(market):
    exchange, account = opened(market, "1000")
    trade(account, PERP, Side.BUY, "100")
    market.quote(PERP, {90: 60_000}, {})
    exchange.on_market([market.mark_event(PERP, D("90.42"), 6)])
    assert account.positions()[0].quantity == 100
    heard: list[AccountEvent] = []
    account.listen(heard.append)
    exchange.on_market([market.mark_event(PERP, D("90.41"), 7)])
    # 60 sold at 90, nobody buys the other 40, which go at the mark: 600 + 383.6 lost, 4.5082 fee.
    (order,) = [one for one in account.orders(PERP) if one.client_id.startswith("autoclose-")]
    assert (order.state, order.filled, order.request.reduce_only) == (OrderState.FILLED, 100, True)
    assert [(one.price, one.quantity) for one in account.fills(PERP)[1:]] == [(90, 60), (D("90.41"), 40)]
    assert cash(account) == D("6.8918")
    last = heard[-1]
    assert isinstance(last, AccountChanged)
    assert (last.cause, last.asset, last.amount, last.listing) == (Cause.LIQUIDATION, "USDT", D("-988.1082"), PERP)
    assert last.positions[0].quantity == 0
    assert account.income() == (last,)
    assert [type(one) for one in heard] == [OrderUpdated, OrderUpdated, OrderUpdated, AccountChanged]


def test_the_insurance_fund_pays_what_a_gap_leaves_unpaid(market):
    exchange, account = opened(market, "1000")
    trade(account, PERP, Side.BUY, "100")
    market.quote(PERP, {80: 200_000}, {})
    exchange.on_market([market.mark_event(PERP, D(85), 6)])
    # 995 − 2000 − 4
    assert (cash(account), exchange.insurance["USDT"]) == (0, 1009)
    covered = account.income()[-1]
    assert (covered.cause, covered.asset, covered.amount) == (Cause.INSURANCE, "USDT", 1009)
    assert (covered.balances[0].total, covered.positions) == (0, ())
    assert (
        account.place(NewOrder(PERP, Side.BUY, Kind.LIMIT, Lifetime.GTC, D(1), D(80), ""), 7)
        is Refusal.INSUFFICIENT_MARGIN
    )


def test_orders_of_the_wallet_go_first_and_may_be_enough(market):
    exchange, account = opened(market, "1000", "bybit")
    trade(account, BYBIT_PERP, Side.BUY, "30")
    spot = trade(account, BYBIT_SPOT, Side.BUY, "6", "99")
    # 1000 − 1.65 − 594 − 30 × 14 < 0.005 × 30 × 86, and without the 594 far above.
    exchange.on_market([market.mark_event(BYBIT_PERP, D(86), 6)])
    ended = account.order(listing=BYBIT_SPOT, number=spot.number, client_id=None)
    assert isinstance(ended, OrderView)
    assert (ended.state, ended.reason) == (OrderState.CANCELLED, "liquidation")
    assert account.positions()[0].quantity == 30
    assert not account.income()


def test_a_resting_fill_far_from_the_mark_is_liquidated_at_once(market):
    exchange, account = opened(market, "1000")
    order = trade(account, PERP, Side.BUY, "100", "98")
    market.marks[PERP] = D(60)
    exchange.on_market([market.reach(PERP, order.number, 100_000, 6)])
    assert account.positions()[0].quantity == 0
    assert account.orders(PERP)[-1].client_id.startswith("autoclose-")


def test_a_mark_of_another_wallet_or_listing_does_nothing(market):
    exchange, account = opened(market, "1000")
    trade(account, PERP, Side.BUY, "100")
    exchange.on_market([market.mark_event(SPOT, D(50), 6), market.mark_event(BYBIT_PERP, D(50), 6)])
    assert account.positions()[0].quantity == 100


def test_forced_liquidation_names_who_had_a_position(market):
    exchange, account = opened(market, "1000")
    assert exchange.force_liquidation(PERP) == 0
    trade(account, PERP, Side.SELL, "1")
    assert exchange.force_liquidation(PERP) == 1
    assert account.positions()[0].quantity == 0
    assert account.fills(PERP)[-1].price == 100


def test_adl_closes_only_what_wins_at_the_mark_and_for_nothing(market):
    exchange, account = opened(market, "1000")
    trade(account, PERP, Side.BUY, "10")
    market.marks[PERP] = D("99.5")
    assert exchange.force_adl(PERP) == 0
    market.marks[PERP] = D("110.25")
    assert exchange.force_adl(PERP) == 1
    fill = account.fills(PERP)[-1]
    assert (fill.price, fill.quantity, fill.fee, fill.realised) == (D("110.25"), 10, 0, D("102.5"))
    assert account.orders(PERP)[-1].client_id == "adl_autoclose"
    (income,) = account.income()
    assert (income.cause, income.amount) == (Cause.ADL, D("102.5"))
    assert cash(account) == D("1000") - D("0.5") + D("102.5")


@pytest.mark.parametrize(("side", "rate", "paid"), [
    (Side.BUY, "0.0001", "-0.02"), (Side.BUY, "-0.0003", "0.06"), (Side.SELL, "0.0001", "0.02"),
])  # fmt: skip
def test_funding_is_paid_by_longs_where_the_rate_is_positive(market, side, rate, paid):
    exchange, account = opened(market, "1000")
    trade(account, PERP, side, "2")
    before = cash(account)
    exchange.on_market([market.funding_event(PERP, D(rate), 6), market.funding_event(BYBIT_PERP, D(rate), 6)])
    (income,) = account.income()
    assert (income.cause, income.asset, income.amount, income.listing) == (Cause.FUNDING, "USDT", D(paid), PERP)
    assert cash(account) == before + D(paid)


def test_nobody_pays_funding_without_a_position(market):
    exchange, account = opened(market, "1000")
    exchange.on_market([market.funding_event(PERP, D("0.01"), 6)])
    assert not account.income()


def test_funding_can_use_up_the_margin(market):
    exchange, account = opened(market, "600")
    trade(account, PERP, Side.BUY, "100")
    exchange.on_market([market.funding_event(PERP, D("0.06"), 6)])
    # 595 − 600 < 40: it was liquidated at 99.
    assert [one.cause for one in account.income()] == [Cause.FUNDING, Cause.LIQUIDATION, Cause.INSURANCE]
    assert (cash(account), exchange.insurance["USDT"]) == (0, D("109.95"))


def test_leverage_is_set_within_limits_and_while_the_margin_allows(market):
    _, account = opened(market, "1000")
    assert account.set_leverage(SPOT, 5) is Refusal.UNKNOWN_INSTRUMENT
    assert account.set_leverage(PERP, 20) is Refusal.NOT_CHANGED
    assert account.set_leverage(PERP, 126) is Refusal.BAD_QUANTITY
    assert account.set_leverage(PERP, 0) is Refusal.BAD_QUANTITY
    trade(account, PERP, Side.BUY, "100")
    assert account.set_leverage(PERP, 10) is Refusal.INSUFFICIENT_MARGIN
    assert account.set_leverage(PERP, 11) is None
    assert account.leverage(PERP) == 11
    # 10,000 / 11, rounded up.
    assert account.positions()[0].initial_margin == D("909.090909090909090910")


def test_orders_lock_margin_for_the_larger_way_they_can_go(market):
    _, account = opened(market, "1000")
    trade(account, PERP, Side.BUY, "10")
    trade(account, PERP, Side.BUY, "5", "98")
    trade(account, PERP, Side.SELL, "25", "102")

    def locked() -> Decimal:
        return next(one.locked for one in account.balances() if one.wallet == "linear")

    # Position 1000, buys 490, sells 2550: max(1490, 1550) / 20.
    assert locked() == D("77.5")
    account.cancel_all(PERP, 6)
    assert locked() == 50


def test_reduce_only_orders_lock_nothing(market):
    _, account = opened(market, "1000")
    trade(account, PERP, Side.BUY, "10")
    order = NewOrder(PERP, Side.SELL, Kind.LIMIT, Lifetime.GTC, D(10), D(250), "", reduce_only=True)
    assert isinstance(account.place(order, 5), OrderView)
    assert next(one.locked for one in account.balances() if one.wallet == "linear") == 50


def test_a_loss_that_is_not_realised_cannot_be_moved_away_nor_a_profit(market):
    _, account = opened(market, "1000")
    trade(account, PERP, Side.BUY, "10")
    # 999.5 less 50 of margin; at 90 less 45 and a loss of 100.
    market.marks[PERP] = D(90)
    assert account.move("USDT", D("854.51"), source="linear", target="spot", ts_ns=6) is Refusal.INSUFFICIENT_BALANCE
    market.marks[PERP] = D(110)
    assert account.move("USDT", D("944.51"), source="linear", target="spot", ts_ns=6) is Refusal.INSUFFICIENT_BALANCE
    assert isinstance(account.move("USDT", D("944.5"), source="linear", target="spot", ts_ns=6), int)


def test_turning_a_position_round_needs_no_more_than_it_frees(market):
    _, account = opened(market, "60")
    trade(account, PERP, Side.BUY, "10")
    trade(account, PERP, Side.SELL, "19")
    assert account.positions()[0].quantity == -9
    # 10 × (99 − 100), and 5 bps of 1000 and 1881.
    assert cash(account) == D(60) - 10 - D("0.5") - D("0.9405")


def test_tiers_are_named():
    assert linear_tier("bybit", "vip3").taker_bps == D("3.5")
    with pytest.raises(KeyError):
        linear_tier("bybit", "vip99")
