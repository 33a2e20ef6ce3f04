"""Whatever a venue takes in one order by now, and however much of each it fills: a pair ends flat, within that."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.order import Order, OrderType
from bot.execution.pair import Pair, PairState
from tests.unit.executor_bench import D
from tests.unit.pair_bench import SPOT, Bench

_MOST_ORDERS = 2_000


def within(order: Order) -> bool:
    most = order.instrument.most(order.price or D(1000), at_market=order.type is OrderType.MARKET)
    return most is None or order.quantity <= most


limits = st.none() | st.integers(10, 60).map(lambda hundredths: D(hundredths) / 100)
most = st.fixed_dictionaries({
    "max_quantity": limits, "max_market_quantity": limits,
    "max_notional": st.none() | st.integers(100, 600).map(D),
})  # fmt: skip


@given(
    at_spot=most,
    at_perp=most,
    filled=st.lists(st.integers(0, 4), min_size=1, max_size=12),
    opened=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    dust=st.integers(0, 300),
)
def test_a_pair_ends_flat_and_no_order_is_more_than_its_venue_takes(
    at_spot: dict[str, Decimal | None],
    at_perp: dict[str, Decimal | None],
    filled: list[int],
    opened: tuple[int, int],
    dust: int,
) -> None:
    bench = Bench()
    bench.executor.dust.add(SPOT, D(dust) / 1000)
    pair = bench.open("1.20")
    entries = list(bench.inbox)
    for leg, update in ((pair.buy, at_spot), (pair.sell, at_perp)):  # by now they take less in one order
        leg.instrument = leg.instrument.model_copy(update=update)
    for order, quarters in zip(entries, opened, strict=True):
        bench.answer(order.side, order.instrument, str(order.instrument.floor_quantity(order.quantity * quarters / 4)))
    pair = _closing(bench, pair)
    answered = len(entries)
    while not pair.state.is_over:
        bench.wait_for_an_order()
        for order in list(bench.inbox):
            assert within(order), order
            quarters = filled[answered % len(filled)] if answered < len(filled) else 4
            answered += 1
            assert answered < _MOST_ORDERS
            bench.answer(
                order.side, order.instrument, str(order.instrument.floor_quantity(order.quantity * quarters / 4))
            )
        pair = _closing(bench, pair)
    assert pair.sell.held == 0
    assert abs(pair.buy.net) * 1000 < 5  # less than the venue's least notional: dust
    assert bench.halts == []


def _closing(bench: Bench, pair: Pair) -> Pair:
    if pair.state is PairState.OPEN:
        bench.executor.close(pair, "test")
    return pair
