"""The size of a route: no quantity on the grid earns more, and nothing is ever rounded up."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.instrument import Instrument, Segment
from bot.domain.market import TopOfBook
from bot.pricing.ladder import Ladder
from bot.pricing.sizing import EDGE, Cap, Size, SizeGrid, Terms, best_size, size_grid

D = Decimal


def instrument(lot: str, min_quantity: str, min_notional: str, multiplier: str) -> Instrument:
    return Instrument(
        venue="a", symbol="X/USDT:USDT", segment=Segment.LINEAR, base="X", quote="USDT", settle="USDT",
        tick_size=D("0.01"), lot_size=D(lot), min_quantity=D(min_quantity), min_notional=D(min_notional),
        contract_multiplier=D(multiplier),
    )  # fmt: skip


instruments = st.builds(
    instrument,
    lot=st.sampled_from(["0.1", "0.5", "1", "0.3"]),
    min_quantity=st.sampled_from(["0", "0.7", "2"]),
    min_notional=st.sampled_from(["0", "50", "250"]),
    multiplier=st.sampled_from(["1", "0.1", "2"]),
)
quantities = st.integers(1, 40).map(lambda tenths: tenths / 10)


@st.composite
def ladders(draw: st.DrawFn, *, rises: bool) -> Ladder:
    steps = draw(st.lists(st.tuples(st.integers(1, 60), quantities), min_size=1, max_size=4))
    price, levels = 10_000 + draw(st.integers(-50, 50)), []
    for step, quantity in steps:
        levels.append((price / 100, quantity))
        price += step if rises else -step
    return Ladder(levels)


caps = st.lists(st.builds(Cap, name=st.sampled_from(["wallet", "order"]), quantity=st.floats(0, 12)), max_size=2)
terms = st.builds(
    lambda costs_bps, least_bps, fixed: Terms(costs_bps + least_bps, costs_bps, fixed),
    costs_bps=st.floats(-30, 30),
    least_bps=st.floats(0, 5),
    fixed=st.sampled_from([0.0, 0.0, 0.05, 1.0]),
)
grids = st.builds(size_grid, instruments, instruments, st.sampled_from([0.0, 5.0]))


def earned(lots: int, grid: SizeGrid, buy: Ladder, sell: Ladder, asked: Terms) -> float:
    """By hand, from the definition: takes the levels one after the other."""

    def flow(side: Ladder) -> float:
        left, total = lots * grid.lot_float, 0.0
        for price, offered in side.levels:
            part = min(left, offered)
            total += part * price
            left -= part
        return total

    return flow(sell) - flow(buy) * (1 + asked.needed_bps / 1e4)


def taken(lots: int, grid: SizeGrid, buy: Ladder, sell: Ladder) -> bool:
    quantity = lots * grid.lot_float
    lower = min(side.average_price(quantity) for side in (buy, sell))
    return quantity >= grid.min_quantity and quantity * lower >= grid.min_notional


@given(grid=grids, buy=ladders(rises=True), sell=ladders(rises=False), asked=terms, limits=caps)
def test_no_quantity_that_both_sides_take_earns_more(
    grid: SizeGrid, buy: Ladder, sell: Ladder, asked: Terms, limits: list[Cap]
) -> None:
    size = best_size(grid, buy, sell, asked, limits)
    most = min([buy.depth, sell.depth, *(cap.quantity for cap in limits)])
    feasible = [n for n in range(1, int(most / grid.lot_float) + 1) if taken(n, grid, buy, sell)]
    best = max((earned(n, grid, buy, sell, asked) for n in feasible), default=-1.0)
    if size.lots:
        assert size.lots in feasible
        assert earned(size.lots, grid, buy, sell, asked) >= best - 1e-9
        assert earned(size.lots, grid, buy, sell, asked) >= asked.fixed - 1e-9
    else:
        assert best <= asked.fixed + 1e-9


@given(grid=grids, buy=ladders(rises=True), sell=ladders(rises=False), asked=terms, limits=caps)
def test_a_size_is_on_the_grid_and_above_nothing_that_limits_it(
    grid: SizeGrid, buy: Ladder, sell: Ladder, asked: Terms, limits: list[Cap]
) -> None:
    size = best_size(grid, buy, sell, asked, limits)
    assert size.quantity == size.lots * grid.lot
    assert size.quantity % grid.lot == 0
    for most in (buy.depth, sell.depth, *(cap.quantity for cap in limits)):
        assert float(size.quantity) <= most * (1 + 1e-12)
    if size.lots:
        exact = sell.notional(float(size.quantity)) - buy.notional(float(size.quantity)) * (1 + asked.costs_bps / 1e4)
        assert abs(size.profit - (exact - asked.fixed)) < 1e-9
        assert size.buy_price >= buy.best_price
        assert size.sell_price <= sell.best_price


def sized(grid: SizeGrid, buy: Ladder, sell: Ladder, asked: Terms, cap: float) -> Size:
    return best_size(grid, buy, sell, asked, [Cap("wallet", cap)])


@given(
    grid=grids, buy=ladders(rises=True), sell=ladders(rises=False), asked=terms,
    cap=st.floats(0, 12), more=st.floats(1, 3), level=st.integers(0, 3),
)  # fmt: skip
def test_more_depth_and_a_larger_wallet_never_earn_less(
    grid: SizeGrid, buy: Ladder, sell: Ladder, asked: Terms, cap: float, more: float, level: int
) -> None:
    before = sized(grid, buy, sell, asked, cap)
    objective = earned(before.lots, grid, buy, sell, asked) if before.lots else 0.0
    deeper = [(p, q * more) if i == min(level, len(buy.levels) - 1) else (p, q) for i, (p, q) in enumerate(buy.levels)]
    for ladder, wallet in ((Ladder(deeper), cap), (buy, cap * more)):
        after = sized(grid, ladder, sell, asked, wallet)
        gained = earned(after.lots, grid, ladder, sell, asked) if after.lots else 0.0
        assert gained >= objective - 1e-9
        if not after.lots:
            assert not before.lots


@given(ask=st.integers(9_000, 11_000), bid=st.integers(9_000, 11_000), asked=st.floats(-50, 50))
def test_whether_there_is_an_edge_is_judged_as_the_route_is(ask: int, bid: int, asked: float) -> None:
    grid = size_grid(instrument("0.1", "0", "0", "1"), instrument("0.1", "0", "0", "1"))
    quote = TopOfBook(bid_price=bid / 100, bid_qty=1, ask_price=ask / 100, ask_qty=1, sequence=1)
    gross = (quote.bid_price / quote.ask_price - 1.0) * 1e4
    for needed in (asked, gross):
        size = best_size(
            grid, Ladder([(quote.ask_price, 1.0)]), Ladder([(quote.bid_price, 1.0)]), Terms(needed, needed)
        )
        assert bool(size.lots) == (gross >= needed)
        assert size.limit == ("depth" if gross >= needed else EDGE)
