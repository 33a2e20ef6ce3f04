"""Orders of a simulated account at a market that stands still: figures by hand, one final state each."""

from dataclasses import replace
from decimal import Decimal

import pytest

from bot.domain.order import Side
from exchanges.simulator.accounts import live_order
from exchanges.simulator.accounts.account import SimulatedAccount
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.accounts.rules import binance_rules, bybit_rules
from exchanges.simulator.binance.order_words import status
from exchanges.simulator.core.values import (
    AccountChanged,
    AccountEvent,
    BookChanged,
    Kind,
    Lifetime,
    MarkPriced,
    NewOrder,
    OrderState,
    OrderUpdated,
    OrderView,
    Refusal,
    StatusChanged,
    TradePrinted,
    TradingStatus,
)
from tests.unit.sim_account_market import BYBIT_PERP, BYBIT_SPOT, PERP, SPOT, FixedMarket

D = Decimal


@pytest.fixture
def market() -> FixedMarket:
    market = FixedMarket()
    for listing in range(4):
        market.quote(listing, {99: 500, 98: 500}, {101: 500, 102: 1000, 103: 2000})
    return market


def opened(
    market: FixedMarket, venue: str = "binance", **changes: object
) -> tuple[SimulatedExchange, SimulatedAccount]:
    rules = binance_rules() if venue == "binance" else bybit_rules()
    exchange = SimulatedExchange(venue, market, rules=replace(rules, **changes))
    account = exchange.account(exchange.credentials.api_key)
    assert account is not None
    return exchange, account


def limit(listing: int, side: Side, quantity: str, price: str, lifetime: Lifetime = Lifetime.GTC, **more) -> NewOrder:
    return NewOrder(listing, side, Kind.LIMIT, lifetime, D(quantity), D(price), more.pop("client_id", ""), **more)


def market_order(listing: int, side: Side, quantity: str | None, **more) -> NewOrder:
    amount = None if quantity is None else D(quantity)
    return NewOrder(listing, side, Kind.MARKET, Lifetime.IOC, amount, None, more.pop("client_id", ""), **more)


def total(account: SimulatedAccount, wallet: str, asset: str) -> Decimal:
    return next((one.total for one in account.balances() if (one.wallet, one.asset) == (wallet, asset)), D(0))


def locked(account: SimulatedAccount, wallet: str, asset: str) -> Decimal:
    return next(one.locked for one in account.balances() if (one.wallet, one.asset) == (wallet, asset))


def placed(answer: OrderView | Refusal) -> OrderView:
    assert isinstance(answer, OrderView), answer
    return answer


def test_starts_with_the_balances_of_the_issue(market):
    _, binance = opened(market)
    _, bybit = opened(market, "bybit")
    shown = {(one.wallet, one.asset): one.total for account in (binance, bybit) for one in account.balances()}
    assert shown == {
        ("spot", "USDT"): 100_000, ("spot", "BTC"): 2, ("spot", "ETH"): 30, ("linear", "USDT"): 100_000,
        ("unified", "USDT"): 100_000, ("unified", "BTC"): 2, ("unified", "ETH"): 30,
    }  # fmt: skip


def test_a_market_buy_walks_the_book_and_pays_its_fee_in_what_it_gets(market):
    _, account = opened(market)
    done = placed(account.place(market_order(SPOT, Side.BUY, "0.7"), 5))
    assert (done.state, done.filled, done.filled_notional) == (
        OrderState.FILLED,
        D("0.7"),
        D("0.5") * 101 + D("0.2") * 102,
    )
    assert dict(done.fees) == {"BTC": D("0.0007")}
    assert total(account, "spot", "BTC") == D("2.6993")
    assert total(account, "spot", "USDT") == 100_000 - D("70.9")
    assert [(one.price, one.quantity, one.trade_id) for one in account.fills(SPOT)] == [
        (101, D("0.5"), 1),
        (102, D("0.2"), 2),
    ]


def test_a_spot_sale_pays_its_fee_in_the_quote(market):
    _, account = opened(market)
    placed(account.place(market_order(SPOT, Side.SELL, "0.5"), 5))
    assert total(account, "spot", "USDT") == 100_000 + D("49.5") - D("0.0495")


def test_a_quote_quantity_buys_as_many_lots_as_it_pays_for(market):
    _, account = opened(market)
    done = placed(account.place(market_order(SPOT, Side.BUY, None, quote_quantity=D("60.6")), 5))
    # 0.5 at 101 leave 10.1, which buys 99 lots at 102 (10.098).
    assert (done.state, done.quantity, done.filled_notional) == (OrderState.FILLED, D("0.599"), D("60.598"))


def test_a_quote_quantity_sells_at_the_price_where_it_ends_and_no_lower(market):
    market.quote(SPOT, {99: 1000, 21: 1000}, {}, D(100))
    _, account = opened(market)
    done = placed(account.place(market_order(SPOT, Side.SELL, None, quote_quantity=D("50.09")), 5))
    assert (done.state, done.filled, done.filled_notional) == (OrderState.FILLED, D("0.505"), D("49.995"))


def test_a_large_order_looks_beyond_the_first_levels(market):
    market.quote(SPOT, {}, dict.fromkeys(range(101, 201), 1), D(100))
    _, account = opened(market)
    assert placed(account.place(limit(SPOT, Side.BUY, "0.1", "200", Lifetime.FOK), 5)).state is OrderState.FILLED


def test_a_quote_quantity_below_one_lot_is_refused(market):
    market.quote(SPOT, {}, {9000: 500}, D(9000))
    _, account = opened(market)
    assert account.place(market_order(SPOT, Side.BUY, None, quote_quantity=D(8)), 5) is Refusal.NOTIONAL_TOO_SMALL


@pytest.mark.parametrize(
    ("order", "refusal"),
    [
        (limit(9, Side.BUY, "1", "99"), Refusal.UNKNOWN_INSTRUMENT),
        (limit(BYBIT_SPOT, Side.BUY, "1", "99"), Refusal.UNKNOWN_INSTRUMENT),
        (limit(SPOT, Side.BUY, "0", "99"), Refusal.BAD_QUANTITY),
        (limit(SPOT, Side.BUY, "NaN", "99"), Refusal.BAD_QUANTITY),
        (limit(SPOT, Side.BUY, "sNaN", "99"), Refusal.BAD_QUANTITY),
        (limit(SPOT, Side.BUY, "Infinity", "99"), Refusal.BAD_QUANTITY),
        (limit(SPOT, Side.BUY, "1E+40", "99"), Refusal.QUANTITY_TOO_LARGE),
        (limit(SPOT, Side.BUY, "0.0005", "99"), Refusal.QUANTITY_TOO_SMALL),
        (limit(SPOT, Side.BUY, "1.0005", "99"), Refusal.QUANTITY_OFF_GRID),
        (limit(SPOT, Side.BUY, "1000.001", "99"), Refusal.QUANTITY_TOO_LARGE),
        (limit(PERP, Side.BUY, "1000.001", "99"), Refusal.QUANTITY_TOO_LARGE),
        (market_order(SPOT, Side.SELL, "950.001"), Refusal.QUANTITY_TOO_LARGE),
        (market_order(PERP, Side.SELL, "950.001"), Refusal.QUANTITY_TOO_LARGE),
        (limit(SPOT, Side.SELL, "1000", "101"), Refusal.NOTIONAL_TOO_LARGE),
        (limit(SPOT, Side.BUY, "1", "99.5"), Refusal.PRICE_OFF_GRID),
        (limit(SPOT, Side.BUY, "1", "NaN"), Refusal.PRICE_OFF_GRID),
        (limit(SPOT, Side.BUY, "1", "-1"), Refusal.PRICE_OFF_GRID),
        (limit(SPOT, Side.BUY, "1", "501"), Refusal.PRICE_OUT_OF_RANGE),
        (limit(SPOT, Side.BUY, "1", "19"), Refusal.PRICE_OUT_OF_RANGE),
        (limit(SPOT, Side.SELL, "1", "19"), Refusal.PRICE_OUT_OF_RANGE),
        (limit(SPOT, Side.SELL, "1", "501"), Refusal.PRICE_OUT_OF_RANGE),
        (limit(PERP, Side.BUY, "1", "106"), Refusal.PRICE_OUT_OF_RANGE),
        (limit(PERP, Side.SELL, "1", "94"), Refusal.PRICE_OUT_OF_RANGE),
        (limit(SPOT, Side.BUY, "0.05", "99"), Refusal.NOTIONAL_TOO_SMALL),
        (market_order(SPOT, Side.BUY, "0.04"), Refusal.NOTIONAL_TOO_SMALL),
        (market_order(PERP, Side.BUY, None, quote_quantity=D(50)), Refusal.BAD_QUANTITY),
        (market_order(SPOT, Side.BUY, "1", quote_quantity=D(50)), Refusal.BAD_QUANTITY),
        (limit(SPOT, Side.SELL, "2.001", "101"), Refusal.INSUFFICIENT_BALANCE),
        (limit(SPOT, Side.BUY, "999", "101"), Refusal.INSUFFICIENT_BALANCE),
        (limit(PERP, Side.BUY, "1", "99", reduce_only=True), Refusal.REDUCE_ONLY),
        (limit(SPOT, Side.SELL, "1", "101", reduce_only=True), Refusal.REDUCE_ONLY),
        (limit(SPOT, Side.BUY, "1", "101", Lifetime.POST_ONLY), Refusal.WOULD_TAKE),
        (limit(PERP, Side.BUY, "4", "103", Lifetime.FOK), Refusal.NOT_FILLABLE),
    ],
)  # fmt: skip
def test_refuses(market, order, refusal):
    market.marks[SPOT] = D(100)
    _, account = opened(market, balances={"spot": {"USDT": D(1000), "BTC": D(2)}, "linear": {"USDT": D(100_000)}})
    heard: list[AccountEvent] = []
    account.listen(heard.append)
    before = account.balances()
    assert account.place(order, 5) is refusal
    assert account.balances() == before
    assert not heard
    assert not account.orders(None)


@pytest.mark.parametrize(
    "order",
    [
        limit(SPOT, Side.BUY, "0.5", "20"),
        limit(SPOT, Side.SELL, "1", "500"),
        limit(PERP, Side.BUY, "1", "20"),
        limit(PERP, Side.SELL, "1", "500"),
    ],
)
def test_the_bands_ends_are_within_and_perpetuals_may_wait_for_any_price(market, order):
    for listing in (SPOT, PERP):
        market.marks[listing] = D(100)
    _, account = opened(market)
    placed = account.place(order, 5)
    assert isinstance(placed, OrderView)
    assert placed.state is OrderState.NEW


def test_margin_has_to_cover_initial_margin_fee_and_loss_at_the_mark(market):
    # 1 BTC at 103, mark 100, leverage 20, taker 5 bps: 5.15 + 0.0515 + 3 = 8.2015.
    for cash, answer in (("8.2015", None), ("8.2014", Refusal.INSUFFICIENT_MARGIN)):
        _, account = opened(market, balances={"spot": {}, "linear": {"USDT": D(cash)}})
        done = account.place(limit(PERP, Side.BUY, "1", "103", Lifetime.IOC), 5)
        assert (done if isinstance(done, Refusal) else None) is answer


def test_a_resting_order_locks_what_it_may_spend(market):
    exchange, account = opened(market)
    order = placed(account.place(limit(SPOT, Side.BUY, "1", "99"), 5))
    assert (order.state, locked(account, "spot", "USDT")) == (OrderState.NEW, 99)
    exchange.on_market([market.reach(SPOT, order.number, 400, 6)])
    now = placed(account.order(listing=SPOT, number=order.number, client_id=None))
    assert (now.state, now.filled, locked(account, "spot", "USDT")) == (
        OrderState.PARTIALLY_FILLED,
        D("0.4"),
        D("59.4"),
    )
    cancelled = placed(account.cancel(listing=SPOT, number=order.number, client_id=None, ts_ns=7))
    assert (cancelled.state, cancelled.filled) == (OrderState.CANCELLED, D("0.4"))
    assert locked(account, "spot", "USDT") == 0
    (fill,) = account.fills(None)
    assert (fill.is_maker, fill.fee, fill.price) == (True, D("0.0004"), 99)


def test_who_rested_pays_the_maker_fee(market):
    exchange, account = opened(market)
    order = placed(account.place(limit(PERP, Side.BUY, "1", "99"), 5))
    exchange.on_market([market.reach(PERP, order.number, 1000, 6)])
    # 99 USDT × 2 bps, where a taker pays 5.
    assert account.fills(PERP)[0].fee == D("0.0198")


def test_a_crossing_limit_takes_up_to_its_price_and_rests_the_remainder(market):
    _, account = opened(market)
    order = placed(account.place(limit(PERP, Side.BUY, "2", "102"), 5))
    assert (order.state, order.filled) == (OrderState.PARTIALLY_FILLED, D("1.5"))
    assert market.resting[PERP, order.number] == (True, 102, 500)


def test_ioc_and_market_remainders_expire(market):
    _, account = opened(market)
    ioc = placed(account.place(limit(PERP, Side.BUY, "1", "101", Lifetime.IOC), 5))
    assert (ioc.state, ioc.filled) == (OrderState.EXPIRED, D("0.5"))
    rest = placed(account.place(market_order(PERP, Side.BUY, "9"), 5))
    assert (rest.state, rest.filled) == (OrderState.EXPIRED, D("3"))


def test_a_market_order_stops_at_the_band(market):
    market.quote(PERP, {}, {101: 100, 110: 900}, D(100))
    _, account = opened(market)
    done = placed(account.place(market_order(PERP, Side.BUY, "1"), 5))
    assert (done.state, done.filled) == (OrderState.EXPIRED, D("0.1"))


def test_where_a_venue_records_it_what_cannot_be_is_told_and_expires(market):
    _, account = opened(market, "bybit")
    heard: list[AccountEvent] = []
    account.listen(heard.append)
    for lifetime, quantity, why in (
        (Lifetime.POST_ONLY, "1", Refusal.WOULD_TAKE),
        (Lifetime.FOK, "4", Refusal.NOT_FILLABLE),
    ):
        order = placed(account.place(limit(BYBIT_PERP, Side.BUY, quantity, "102", lifetime), 5))
        assert (order.state, order.filled) == (OrderState.EXPIRED, 0)
        event = heard.pop()
        assert isinstance(event, OrderUpdated)
        assert (event.order, event.refusal) == (order, why)
        assert not heard


def test_tells_the_order_then_its_fills_and_what_they_changed(market):
    _, account = opened(market)
    heard: list[AccountEvent] = []
    stop = account.listen(heard.append)
    placed(account.place(market_order(PERP, Side.BUY, "0.7"), 5))
    kinds = [
        event.order.state if isinstance(event, OrderUpdated) else [one.quantity for one in event.positions]
        for event in heard
    ]
    assert kinds == [OrderState.NEW, OrderState.PARTIALLY_FILLED, [D("0.5")], OrderState.FILLED, [D("0.7")]]
    stop()
    stop()
    account.place(market_order(PERP, Side.BUY, "0.7"), 5)
    assert len(heard) == 5


def test_public_subscribers_see_the_trades_and_no_private_fill(market):
    exchange, account = opened(market)
    seen = []
    stop = exchange.subscribe(lambda batch: seen.extend(batch))
    order = placed(account.place(limit(SPOT, Side.BUY, "1", "99"), 5))
    exchange.on_market([market.reach(SPOT, order.number, 400, 6)])
    assert seen == []
    exchange.set_status(BYBIT_PERP, TradingStatus.HALTED)
    exchange.on_market([market.mark_event(BYBIT_PERP, D(100), 6)])
    assert [type(one) for one in seen] == [StatusChanged]
    account.place(market_order(SPOT, Side.BUY, "0.1"), 7)
    assert len(seen) == 3
    stop()
    account.place(market_order(SPOT, Side.BUY, "0.1"), 7)
    assert len(seen) == 3


def test_a_liquidation_is_seen_after_the_batch_that_caused_it(market):
    exchange, account = opened(market, balances={"spot": {}, "linear": {"USDT": D(10)}})
    placed(account.place(market_order(PERP, Side.BUY, "0.5"), 5))
    seen = []
    exchange.subscribe(lambda batch: seen.append([type(one) for one in batch]))
    mark = market.mark_event(PERP, D(70), 6)
    later = TradePrinted(PERP, 7, 99, 98, 1, False)
    exchange.on_market([mark, later])
    assert seen == [[MarkPriced, TradePrinted], [TradePrinted, BookChanged]]


def test_a_client_id_is_free_again_with_its_order_at_binance_only(market):
    for venue, listing, again in (("binance", PERP, None), ("bybit", BYBIT_PERP, Refusal.DUPLICATE_CLIENT_ID)):
        _, account = opened(market, venue)
        order = limit(listing, Side.BUY, "1", "99", client_id="mine")
        first = placed(account.place(order, 5))
        assert account.place(order, 5) is Refusal.DUPLICATE_CLIENT_ID
        placed(account.cancel(listing=listing, number=None, client_id="mine", ts_ns=6))
        second = account.place(order, 7)
        assert (second if isinstance(second, Refusal) else None) is again
        found = placed(account.order(listing=listing, number=None, client_id="mine"))
        assert (found.number == first.number) is (again is not None)


def test_open_orders_of_a_listing_are_limited(market):
    _, account = opened(market, max_open_orders=2)
    for _ in range(2):
        placed(account.place(limit(PERP, Side.BUY, "1", "99"), 5))
    assert account.place(limit(PERP, Side.BUY, "1", "99"), 5) is Refusal.TOO_MANY_ORDERS
    placed(account.place(limit(PERP, Side.BUY, "1", "101", Lifetime.IOC), 5))
    placed(account.place(limit(SPOT, Side.BUY, "1", "99"), 5))
    assert len(account.cancel_all(PERP, 6)) == 2
    assert [one.request.listing for one in account.open_orders(None)] == [SPOT]


def test_cancels_of_the_unknown_and_of_the_final_are_told_apart(market):
    _, account = opened(market)
    assert account.cancel(listing=PERP, number=77, client_id=None, ts_ns=5) is Refusal.UNKNOWN_ORDER
    assert account.cancel(listing=PERP, number=None, client_id=None, ts_ns=5) is Refusal.UNKNOWN_ORDER
    done = placed(account.place(market_order(PERP, Side.BUY, "0.1"), 5))
    assert account.cancel(listing=SPOT, number=done.number, client_id=None, ts_ns=5) is Refusal.UNKNOWN_ORDER
    assert account.cancel(listing=PERP, number=done.number, client_id=None, ts_ns=5) is Refusal.ALREADY_FINAL


def test_a_cancel_that_lost_against_a_fill_changes_nothing(market):
    exchange, account = opened(market)
    order = placed(account.place(limit(PERP, Side.BUY, "1", "99"), 5))
    fill = market.reach(PERP, order.number, 1000, 6)
    assert account.cancel(listing=PERP, number=order.number, client_id=None, ts_ns=6) is Refusal.ALREADY_FINAL
    assert [one.number for one in account.open_orders(PERP)] == [order.number]
    exchange.on_market([fill])
    assert placed(account.order(listing=PERP, number=order.number, client_id=None)).state is OrderState.FILLED


def test_a_cancel_after_a_part_that_is_still_on_its_way_ends_when_it_has_come(market):
    exchange, account = opened(market)
    order = placed(account.place(limit(PERP, Side.BUY, "1", "99"), 5))
    fill = market.reach(PERP, order.number, 300, 6)
    assert account.cancel(listing=PERP, number=order.number, client_id=None, ts_ns=6) is Refusal.ALREADY_FINAL
    exchange.on_market([fill])
    now = placed(account.order(listing=PERP, number=order.number, client_id=None))
    assert (now.state, now.filled) == (OrderState.CANCELLED, D("0.3"))
    assert not account.open_orders(None)


def test_one_does_not_trade_with_oneself_the_resting_order_gives_way(market):
    _, account = opened(market)
    mine = placed(account.place(limit(PERP, Side.SELL, "1", "102"), 5))
    order = placed(account.place(limit(PERP, Side.BUY, "1.5", "102"), 6))
    assert (order.state, order.filled) == (OrderState.FILLED, D("1.5"))
    gone = placed(account.order(listing=PERP, number=mine.number, client_id=None))
    assert (gone.state, gone.reason, gone.filled) == (OrderState.EXPIRED, "self-trade prevention", 0)
    assert (status(gone), status(order)) == ("EXPIRED_IN_MATCH", "FILLED"), "Binance has a word of its own for it"


def test_ones_own_quantity_fills_nothing(market):
    _, account = opened(market)
    placed(account.place(limit(PERP, Side.SELL, "1", "101"), 5))
    assert account.place(limit(PERP, Side.BUY, "0.6", "101", Lifetime.FOK), 6) is Refusal.NOT_FILLABLE
    assert placed(account.place(limit(PERP, Side.BUY, "0.6", "101", Lifetime.IOC), 6)).filled == D("0.5")
    assert [one.state for one in account.orders(PERP)] == [OrderState.EXPIRED, OrderState.EXPIRED]


def test_an_own_order_beyond_what_is_taken_stays(market):
    _, account = opened(market)
    mine = placed(account.place(limit(PERP, Side.SELL, "1", "103"), 5))
    placed(account.place(limit(PERP, Side.BUY, "1.5", "103"), 6))
    assert [one.number for one in account.open_orders(PERP)] == [mine.number]


def test_post_only_does_not_pass_an_own_order_either(market):
    _, account = opened(market)
    market.quote(PERP, {99: 5}, {103: 5}, D(100))
    placed(account.place(limit(PERP, Side.SELL, "1", "101"), 5))
    assert account.place(limit(PERP, Side.BUY, "1", "101", Lifetime.POST_ONLY), 6) is Refusal.WOULD_TAKE


def test_halted_refuses_and_settling_lets_reduce(market):
    exchange, account = opened(market)
    placed(account.place(market_order(PERP, Side.BUY, "0.5"), 5))
    exchange.set_status(PERP, TradingStatus.HALTED)
    assert account.place(market_order(PERP, Side.SELL, "0.1"), 5) is Refusal.NOT_TRADING
    exchange.set_status(PERP, TradingStatus.SETTLING)
    assert account.place(market_order(PERP, Side.SELL, "0.1"), 5) is Refusal.NOT_TRADING
    assert placed(account.place(market_order(PERP, Side.SELL, "0.1", reduce_only=True), 5)).filled == D("0.1")


def test_reduce_only_is_cut_to_the_position_and_needs_no_minimum(market):
    _, account = opened(market)
    placed(account.place(market_order(PERP, Side.BUY, "0.5"), 5))
    small = placed(account.place(market_order(PERP, Side.SELL, "0.001", reduce_only=True), 5))
    assert small.state is OrderState.FILLED
    done = placed(account.place(market_order(PERP, Side.SELL, "9", reduce_only=True), 5))
    assert (done.state, done.quantity, done.filled) == (OrderState.FILLED, D("0.499"), D("0.499"))
    assert account.positions()[0].quantity == 0


def test_what_rests_leaves_a_reduce_only_limit_order_so_much_less_at_binance(market):
    _, account = opened(market)
    placed(account.place(market_order(PERP, Side.BUY, "0.5"), 5))
    first = placed(account.place(limit(PERP, Side.SELL, "0.3", "104", reduce_only=True), 5))
    second = placed(account.place(limit(PERP, Side.SELL, "0.4", "105", reduce_only=True), 5))
    assert (first.quantity, second.quantity) == (D("0.3"), D("0.2"))
    assert account.place(limit(PERP, Side.SELL, "0.1", "99", reduce_only=True), 5) is Refusal.REDUCE_ONLY
    # What takes at any price goes first, whatever rests.
    assert placed(account.place(market_order(PERP, Side.SELL, "0.6", reduce_only=True), 5)).filled == D("0.5")


def test_resting_reduce_only_orders_go_with_the_position(market):
    exchange, account = opened(market, open_orders_reduce_first=False)
    placed(account.place(market_order(PERP, Side.BUY, "0.5"), 5))
    first, second = (
        placed(account.place(limit(PERP, Side.SELL, "0.4", price, reduce_only=True), 5)) for price in ("104", "105")
    )
    plain = placed(account.place(limit(PERP, Side.SELL, "0.3", "104"), 5))
    # All three are reached in one moment: 0.3 and 0.2 close the position, what would open it again is not ours.
    exchange.on_market([market.reach(PERP, one.number, 400, 6) for one in (plain, first, second)])
    ends = [placed(account.order(listing=PERP, number=one.number, client_id=None)) for one in (plain, first, second)]
    assert [(one.state, one.filled) for one in ends] == [
        (OrderState.FILLED, D("0.3")), (OrderState.CANCELLED, D("0.2")), (OrderState.CANCELLED, 0),
    ]  # fmt: skip
    assert account.positions()[0].quantity == 0
    assert not account.open_orders(None)


def test_a_refilled_book_is_taken_again_before_an_order_rests(market):
    class Refilling(FixedMarket):
        refills = 2

        def take(self, listing, **how):
            answer = super().take(listing, **how)
            if self.refills:
                self.refills -= 1
                self.asks[listing][101] = 100
            return answer

    busy = Refilling()
    busy.quote(PERP, {99: 500}, {101: 500}, D(100))
    _, account = opened(busy)
    order = placed(account.place(limit(PERP, Side.BUY, "2", "101"), 5))
    assert (order.filled, busy.resting[PERP, order.number]) == (D("0.7"), (True, 101, 1300))


def test_bnb_pays_the_fee_at_a_discount_until_it_runs_out(market):
    balances = {"spot": {"USDT": D(1000), "BTC": D(2), "BNB": D("0.0001")}, "linear": {"USDT": D(1000)}}
    exchange, account = opened(market, balances=balances, pays_in_token=True)
    done = placed(account.place(market_order(SPOT, Side.BUY, "0.5"), 5))
    # 50.5 USDT × 10 bps × 75 % / 600 USDT = 0.000063125, rounded up to eight digits.
    assert dict(done.fees) == {"BNB": D("0.00006313")}
    assert total(account, "spot", "BNB") == D("0.00003687")
    again = placed(account.place(market_order(SPOT, Side.BUY, "0.5"), 5))
    assert dict(again.fees) == {"BTC": D("0.0005")}
    assert exchange.fees == {"BNB": D("0.00006313"), "BTC": D("0.0005")}


def test_fee_rates_are_ratios(market):
    _, account = opened(market)
    assert account.fee_rates(PERP) == (D("0.0002"), D("0.0005"))
    assert account.fee_rates(SPOT) == (D("0.001"), D("0.001"))


def test_keys_come_from_the_seed_and_can_be_revoked(market):
    one, two = (SimulatedExchange("binance", market, seed=7) for _ in range(2))
    other = SimulatedExchange("binance", market, seed=8)
    assert one.credentials == two.credentials != other.credentials
    second = one.open_account()
    assert one.account(second.api_key) is not one.account(one.credentials.api_key)
    assert one.secret(second.api_key) == second.secret
    one.revoke(second.api_key)
    assert one.account(second.api_key) is None
    assert one.secret(second.api_key) is None
    assert len(one.accounts) == 2


def test_spot_cash_of_a_unified_wallet_is_also_margin(market):
    _, account = opened(market, "bybit", balances={"unified": {"USDT": D(200)}, "fund": {}})
    placed(account.place(limit(BYBIT_SPOT, Side.BUY, "1", "99"), 5))
    # 10× leverage: 15 BTC at 99 need 148.5, and 101 are left.
    assert account.place(limit(BYBIT_PERP, Side.BUY, "15", "99"), 5) is Refusal.INSUFFICIENT_MARGIN
    placed(account.place(limit(BYBIT_PERP, Side.BUY, "9", "99"), 5))
    assert locked(account, "unified", "USDT") == 99 + D("89.1")


def test_every_change_of_a_lock_is_told(market):
    _, account = opened(market)
    heard: list[AccountEvent] = []
    account.listen(heard.append)
    order = placed(account.place(limit(SPOT, Side.SELL, "1", "103"), 5))
    account.cancel(listing=SPOT, number=order.number, client_id=None, ts_ns=6)
    locks = [[one.locked for one in event.balances] for event in heard if isinstance(event, AccountChanged)]
    assert locks == [[1], [0]]


def test_forgets_the_oldest_final_orders_and_no_open_one(market, monkeypatch):
    monkeypatch.setattr(live_order, "_KEPT", 3)
    _, account = opened(market)
    resting = placed(account.place(limit(PERP, Side.BUY, "1", "99", client_id="stays"), 5))
    done = [placed(account.place(market_order(PERP, Side.BUY, "0.05", client_id="again"), 5)) for _ in range(4)]
    assert [one.number for one in account.orders(None)] == [resting.number, done[2].number, done[3].number]
    newest = account.order(listing=PERP, number=None, client_id="again")
    assert placed(newest).number == done[3].number
    assert account.order(listing=PERP, number=done[0].number, client_id=None) is Refusal.UNKNOWN_ORDER
