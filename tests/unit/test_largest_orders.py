"""What a venue does not take in one order: no new pair is so large, and what is evens and closes in parts."""

from decimal import Decimal
from typing import Any

import pytest

from bot.domain.instrument import Instrument
from bot.domain.order import Order, OrderType, Side
from bot.domain.route import Route, TradeLeg
from bot.execution.grid import is_one_order, one_order, orders_for
from bot.execution.pair import PairState
from bot.pricing.ladder import Ladder
from bot.pricing.sizing import DEPTH, Cap, Size, Terms, best_size, size_grid
from tests.unit import chain_bench
from tests.unit.executor_bench import D
from tests.unit.pair_bench import PERP, SPOT, Bench, opened


def limited(instrument: Instrument, **most: str) -> Instrument:
    return instrument.model_copy(update={name: D(value) for name, value in most.items()})


def sized(buy: Instrument, sell: Instrument, *caps: Cap) -> Size:
    grid = size_grid(buy, sell, price_cap_bps=10.0)
    return best_size(grid, Ladder([(1000.0, 90.0)]), Ladder([(1010.0, 90.0)]), Terms(1.0, 1.0), caps)


@pytest.mark.parametrize(
    ("buy", "sell", "quantity", "limit"),
    [
        ({}, {}, "90.00", DEPTH),
        ({"max_quantity": "7.005"}, {}, "7.00", "largest_order a:ETH/USDT"),
        ({}, {"max_quantity": "9"}, "9.00", "largest_order b:ETH/USDT:USDT"),
        (
            {"max_quantity": "9"},
            {"max_quantity": "9", "max_market_quantity": "2"},
            "2.00",
            "largest_order b:ETH/USDT:USDT",
        ),
        ({"max_market_quantity": "3"}, {"max_market_quantity": "4"}, "3.00", "largest_order a:ETH/USDT"),
        # 95 % of it, at a limit that may be 10 bps beyond the quote: 9500 / 1001.
        ({"max_notional": "10000"}, {}, "9.49", "largest_order a:ETH/USDT"),
        ({"max_quantity": "0.009"}, {}, "0", "largest_order a:ETH/USDT"),
    ],
)
def test_a_size_is_no_more_than_one_order_opens_closes_and_unwinds_on_either_side(
    buy: dict[str, str], sell: dict[str, str], quantity: str, limit: str
) -> None:
    size = sized(limited(SPOT, **buy), limited(PERP, **sell))
    assert (size.quantity, size.limit) == (D(quantity), limit)


def test_a_cap_that_leaves_less_is_named_before_it() -> None:
    assert sized(SPOT, limited(PERP, max_quantity="9"), Cap("order_notional", 5.0)).limit == "order_notional"


@pytest.mark.parametrize("most", [{}, {"max_quantity": "7.25"}, {"max_notional": "725"}, {"max_market_quantity": "1"}])
@pytest.mark.parametrize("quantity", ["0.01", "7.24", "7.25", "7.26", "100"])
def test_whether_it_is_one_limit_order_is_told_alike_at_once(most: dict[str, str], quantity: str) -> None:
    instrument, price = limited(SPOT, **most), D(100)
    expected = orders_for(instrument, D(quantity), price, at_market=False) == 1
    assert is_one_order(instrument, D(quantity), price) is expected
    assert expected is (D(quantity) <= D("7.25") or not most.keys() & {"max_quantity", "max_notional"})


@pytest.mark.parametrize(
    ("quantity", "parts"),
    [("5", ["5"]), ("5.001", ["2.500", "2.501"]), ("10", ["5", "5"]), ("14", ["4.666", "4.667", "4.667"])],
)
def test_the_parts_of_a_quantity_are_about_equal_and_as_few_as_can_be(quantity: str, parts: list[str]) -> None:
    instrument, left, found = limited(SPOT, max_quantity="5.0005"), D(quantity), []
    while left:
        found.append(one_order(instrument, left, D(1000), at_market=False))
        left -= found[-1]
    assert found == [D(one) for one in parts]


def test_a_size_beyond_one_order_is_refused_by_name_before_the_first_leg() -> None:
    bench = Bench()
    pair = bench.open("0.50", sell=limited(PERP, max_quantity="0.49"))
    assert (pair.state, pair.close_reason, bench.inbox) == (PairState.MISSED, "size b:ETH/USDT:USDT", [])


class Parts:
    """Answers every order whole, and remembers it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.orders: list[Order] = []

    def run(self) -> None:
        while self.bench.inbox:
            order = self.bench.inbox[0]
            self.orders.append(self.bench.answer(order.side, order.instrument))

    def of(self, instrument: Instrument) -> list[Decimal]:
        return [order.quantity for order in self.orders if order.instrument.id == instrument.id]


def shrink(bench: Bench, pair: Any, **most: dict[str, str]) -> None:
    """The venues take less in one order than when the pair was opened."""
    for leg in pair.legs:
        leg.instrument = limited(leg.instrument, **most.get(leg.instrument.venue, {}))


def test_a_pair_beyond_one_order_is_closed_in_parts_that_keep_it_even() -> None:
    bench, pair = opened("0.50")
    shrink(bench, pair, b={"max_quantity": "0.20"})
    bench.executor.close(pair, "test")
    parts = Parts(bench)
    imbalances = []
    while bench.inbox:
        for order in list(bench.inbox):
            parts.orders.append(bench.answer(order.side, order.instrument))
        imbalances.append(pair.imbalance)
    assert parts.of(PERP) == parts.of(SPOT) == [D("0.16"), D("0.17"), D("0.17")]
    assert imbalances == [0, 0, 0]
    assert (pair.state, bench.halts, bench.alarms) == (PairState.CLOSED, [], [])


def test_dust_that_makes_a_closing_larger_than_one_order_goes_in_parts() -> None:
    bench, pair = opened("0.50")
    bench.executor.dust.add(SPOT, D("0.03"))
    shrink(bench, pair, a={"max_quantity": "0.50"})
    bench.executor.close(pair, "test")
    parts = Parts(bench)
    parts.run()
    assert max(parts.of(SPOT)) <= D("0.50")
    assert (sum(parts.of(SPOT)), sum(parts.of(PERP))) == (D("0.53"), D("0.50"))
    assert (pair.state, bench.executor.dust.amounts) == (PairState.CLOSED, {})


def test_a_leg_alone_is_unwound_by_market_orders_in_parts() -> None:
    bench = Bench()
    sell = limited(PERP, max_quantity="0.50", max_market_quantity="0.20")
    pair = bench.open("0.50", sell=sell)
    bench.answer(Side.SELL, PERP)
    bench.answer(Side.BUY, SPOT, "0")
    parts = Parts(bench)
    parts.run()
    assert parts.of(PERP) == [D("0.16"), D("0.17"), D("0.17")]
    assert {(order.type, order.reduce_only) for order in parts.orders} == {(OrderType.MARKET, True)}
    assert (pair.state, pair.imbalance, bench.halts) == (PairState.FAILED, 0, [])


def test_a_part_that_is_filled_in_part_leaves_no_more_than_any_order_does() -> None:
    bench, pair = opened("0.50")
    shrink(bench, pair, b={"max_quantity": "0.20"})
    bench.executor.close(pair, "test")
    bench.answer(Side.SELL, SPOT)
    bench.answer(Side.BUY, PERP, "0.05")
    assert [(order.instrument.id, order.quantity) for order in bench.inbox] == [(PERP.id, D("0.11"))]
    Parts(bench).run()
    assert (pair.state, pair.imbalance) == (PairState.CLOSED, 0)


RING_CROSS = limited(chain_bench.CROSS, max_quantity="0.8")


def test_an_amount_beyond_one_order_of_a_link_goes_on_in_parts() -> None:
    bench = chain_bench.Bench()
    chain = bench.open()
    # Its venue takes less in one order than when the chain left.
    chain.links = (chain.links[0], TradeLeg(instrument=RING_CROSS, side=Side.BUY), chain.links[2])
    bench.done(bench.last)
    answered = 1
    while answered < len(bench.inbox):
        bench.done(bench.inbox[answered])
        answered += 1
    turned = [order.quantity for order in bench.inbox if order.instrument.id == RING_CROSS.id]
    sold = [order.quantity for order in bench.inbox if order.instrument.id == chain_bench.ETH.id]
    assert turned == [D("0.6666"), D("0.6667"), D("0.6667")]
    assert (sum(sold), chain.state, chain.holdings, bench.halts) == (2, PairState.CLOSED, {}, [])


def test_a_link_beyond_one_order_refuses_the_chain_by_name() -> None:
    route = Route(kind="triangular", legs=(
        chain_bench.RING.legs[0], TradeLeg(instrument=RING_CROSS, side=Side.BUY), chain_bench.RING.legs[2],
    ))  # fmt: skip
    chain = chain_bench.Bench().open(route, chain_bench.RING_LINKS)
    assert (chain.state, chain.close_reason) == (PairState.MISSED, "size a:ETH/BTC")
