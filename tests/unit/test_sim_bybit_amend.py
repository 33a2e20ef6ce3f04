"""An amended order of the simulated Bybit is one order to its owner, fills included."""

from decimal import Decimal
from types import SimpleNamespace

import pytest

from bot.clock import VirtualClock
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.accounts.pump import Pump
from exchanges.simulator.bybit import rest_trade
from exchanges.simulator.bybit.catalogue import Catalogue
from exchanges.simulator.bybit.errors import ApiError
from exchanges.simulator.bybit.orders import OrderDesk
from exchanges.simulator.bybit.params import Params
from exchanges.simulator.bybit.requests import Call
from exchanges.simulator.core.values import OrderState
from exchanges.simulator.faults.desk import FaultDesk
from exchanges.simulator.faults.values import fault_from_text
from exchanges.simulator.market.listings import default_listings
from exchanges.simulator.market.market import SimulatedMarket

START_NS = 1_790_000_000 * 10**9
TERMS = {"category": "linear", "symbol": "BTCUSDT"}


class Bench:
    def __init__(self):
        self.market = SimulatedMarket(default_listings("bybit"), seed=5, start_ns=START_NS)
        self.faults = FaultDesk(VirtualClock())
        self.exchange = exchange = SimulatedExchange("bybit", self.market, faults=self.faults)
        Pump([exchange], self.market, start_ns=START_NS).advance_to(START_NS + 10**9)
        self.now_ns = exchange.now_ns()
        self.catalogue = Catalogue("bybit", self.market.listings)
        self.entry = self.catalogue.find("linear", "BTCUSDT")
        self.account = exchange.account(exchange.credentials.api_key)
        self.desk = OrderDesk(self.account, self.catalogue)

    def partly_filled(self):
        """A buy that took the best ask, and rests with 0.100 more."""
        ticks, lots = self.market.levels(self.entry.index, 1)[1][0]
        quantity = self.entry.instrument.lot_size * (lots + 100)
        order = {"side": "Buy", "orderType": "Limit", "qty": str(quantity), "price": self.entry.grid.price(ticks)}
        ids = self.desk.create(Params({**TERMS, **order, "orderLinkId": "mine"}), self.now_ns)
        return ids, quantity, quantity - Decimal("0.1")

    def shown(self, ids):
        return self.desk.lineages.shown(self.desk.raw(self.entry, Params({**TERMS, "orderId": ids["orderId"]})))

    def amend(self, **change):
        return self.desk.amend(Params({**TERMS, "orderLinkId": "mine", **change}), self.now_ns)


def test_fills_before_the_amendment_count():
    bench = Bench()
    ids, quantity, filled = bench.partly_filled()
    assert bench.amend(qty=str(quantity + 1), price="50000") == ids
    seen = bench.shown(ids)
    assert (seen.quantity, seen.filled, seen.state) == (quantity + 1, filled, OrderState.PARTIALLY_FILLED)
    (open_order,) = bench.account.open_orders(None)
    assert open_order.quantity == Decimal("1.1")
    assert bench.amend(qty=str(quantity)) == ids
    assert bench.shown(ids).quantity == quantity
    bench.desk.cancel(Params({**TERMS, **ids}), bench.now_ns)
    assert bench.shown(ids).state is OrderState.CANCELLED
    assert not bench.account.open_orders(None)


def test_an_order_that_is_filled_while_it_is_amended_was_not_amended():
    bench = Bench()
    ids, quantity, _ = bench.partly_filled()
    bench.faults.order(fault_from_text("fill-on-cancel,venue=bybit"))
    with pytest.raises(ApiError) as told:
        bench.amend(qty=str(quantity + 1), price="50000")
    assert told.value.code == 110001
    seen = bench.shown(ids)
    assert (seen.quantity, seen.filled, seen.state) == (quantity, quantity, OrderState.FILLED)
    (order,) = bench.account.orders(bench.entry.index)
    assert not bench.desk.lineages.replaced
    assert bench.desk.lineages.first(order.number) == order.number


def test_an_order_that_is_filled_while_it_is_amended_again_keeps_what_it_was():
    bench = Bench()
    ids, quantity, _ = bench.partly_filled()
    bench.amend(qty=str(quantity + 1), price="50000")
    bench.faults.order(fault_from_text("fill-on-cancel,venue=bybit"))
    with pytest.raises(ApiError):
        bench.amend(qty=str(quantity + 2))
    seen = bench.shown(ids)
    assert (seen.quantity, seen.filled, seen.state) == (quantity + 1, quantity + 1, OrderState.FILLED)


def test_a_refused_amendment_leaves_the_order_in_the_book():
    bench = Bench()
    ids, quantity, filled = bench.partly_filled()
    for change in ({"qty": str(quantity + 5_000)}, {"price": "50000.01"}, {"qty": str(filled)}, {"qty": str(quantity)}):
        with pytest.raises(ApiError):
            bench.amend(**change)
        seen = bench.shown(ids)
        assert (seen.quantity, seen.filled, seen.state.is_final) == (quantity, filled, False)
        assert len(bench.account.open_orders(None)) == 1


def test_an_internal_client_id_names_no_order():
    bench = Bench()
    bench.partly_filled()
    bench.amend(price="50000")
    (successor,) = bench.account.open_orders(None)
    for name in ({"orderLinkId": successor.client_id}, {"orderId": "9d1a4e7c-0000-5b31-9112-000000000fff"}):
        with pytest.raises(ApiError) as refused:
            bench.desk.cancel(Params({**TERMS, **name}), bench.now_ns)
        assert refused.value.code == 110001


class Queue:
    """A buy of 0.100 at the best bid, behind what the market shows there."""

    def __init__(self):
        self.bench = Bench()
        self.book = self.bench.market._stages[self.bench.entry.index].book.bids
        self.ticks = self.bench.market.levels(self.bench.entry.index, 1)[0][0][0]
        order = {"side": "Buy", "orderType": "Limit", "qty": "0.1", "price": self.bench.entry.grid.price(self.ticks)}
        self.ids = self.bench.desk.create(Params({**TERMS, **order, "orderLinkId": "mine"}), self.bench.now_ns)
        # The market joins behind it.
        self.before = self.book.own[self.ticks][0].ahead
        self.book.set_market(self.ticks, self.before + 500)

    @property
    def place(self):
        (order,) = self.book.own[self.ticks]
        return order.ahead, order.lots


def test_less_at_the_same_price_keeps_the_place_in_the_queue():
    queue = Queue()
    assert queue.place == (queue.before, 100)
    heard = []
    queue.bench.account.listen(heard.append)
    assert queue.bench.amend(qty="0.04") == queue.ids
    assert queue.place == (queue.before, 40)
    (update,) = heard
    assert (update.order.quantity, update.order.state) == (Decimal("0.04"), OrderState.NEW)
    assert queue.bench.shown(queue.ids).quantity == Decimal("0.04")


def test_more_or_another_price_goes_to_the_end_of_the_queue():
    queue = Queue()
    queue.bench.amend(qty="0.2")
    assert queue.place == (queue.before + 500, 200)
    queue.bench.amend(qty="0.1")
    assert queue.place == (queue.before + 500, 100)
    queue.bench.amend(price=queue.bench.entry.grid.price(queue.ticks - 1), qty="0.05")
    assert queue.ticks not in queue.book.own
    assert [one.lots for one in queue.book.own[queue.ticks - 1]] == [50]


def test_an_amended_batch_keeps_places_too():
    queue = Queue()
    call = Call(SimpleNamespace(catalogue=queue.bench.catalogue), Params({
        "category": "linear", "request": [{"symbol": "BTCUSDT", "orderLinkId": "mine", "qty": "0.07"}],
    }), SimpleNamespace(desk=queue.bench.desk))  # fmt: skip
    call.venue.exchange = SimpleNamespace(now_ns=lambda: queue.bench.now_ns)
    assert rest_trade.amend_batch(call)["list"][0]["orderId"] == queue.ids["orderId"]
    assert call.ext["list"] == [{"code": 0, "msg": "OK"}]
    assert queue.place == (queue.before, 70)


def test_a_fill_of_a_shrunk_order_leaves_what_it_has_now():
    queue = Queue()
    queue.bench.amend(qty="0.04")
    market = queue.bench.market
    sold, events = market.take(
        queue.bench.entry.index, buys=False, lots=queue.before + 10, limit_ticks=queue.ticks, ts_ns=queue.bench.now_ns
    )
    queue.bench.exchange.on_market(events)
    seen = queue.bench.shown(queue.ids)
    assert (seen.filled, seen.quantity) == (Decimal("0.01"), Decimal("0.04"))
    for quantity in ("0.01", "0.0105", "0.0001"):
        with pytest.raises(ApiError):
            queue.bench.amend(qty=quantity)
    queue.bench.amend(qty="0.02")
    assert queue.place == (0, 10)
    assert sum(lots for _, lots in sold) == queue.before + 10
