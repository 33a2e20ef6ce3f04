"""The surface keeps to the one price: parts add up, larger sizes are never offered more, and tiers are the lowest."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.fees import FeeTier
from bot.pricing.break_even import break_even, lowest_tiers
from bot.pricing.ladder import Ladder
from bot.pricing.pricing import cost_sheet
from bot.pricing.sheet import CostSheet
from bot.pricing.sizing import size_grid
from tests.unit.test_break_even import HERE, NOW_NS, THERE, inputs, route

D = Decimal
GRID = size_grid(HERE, THERE)
steps = st.lists(st.tuples(st.floats(0.0, 20.0), st.floats(0.001, 5.0, exclude_min=True)), min_size=1, max_size=6)
rates = st.decimals(-2, 12, places=2)


def ladder(best: float, levels: list[tuple[float, float]], sign: int) -> Ladder:
    price, found = best, []
    for step_bps, quantity in levels:
        price *= 1 + sign * step_bps / 1e4
        found.append((price, quantity))
    return Ladder(found)


@st.composite
def price_list(draw: st.DrawFn) -> list[FeeTier]:
    maker, taker = D(2), D("5.5")
    found = []
    for number in range(draw(st.integers(0, 5))):
        maker, taker = maker - draw(st.decimals(0, 1, places=1)), taker - draw(st.decimals(D("0.1"), 1, places=1))
        found.append(FeeTier(name=f"VIP {number + 1}", maker_bps=maker, taker_bps=taker, as_of="2026", url="here"))
    return found


@given(steps, steps, st.floats(-20, 60), st.floats(10.0, 500_000.0), rates, rates)
def test_parts_add_up_and_a_larger_size_is_not_offered_more(
    asks: list[tuple[float, float]], bids: list[tuple[float, float]], apart_bps: float, notional: float,
    here: Decimal, there: Decimal,
) -> None:  # fmt: skip
    ladders = (ladder(60_000.0, asks, 1), ladder(60_000.0 * (1 + apart_bps / 1e4), bids, -1))
    given_fees = inputs(here=("1", str(here)), there=("1", str(there)))
    found, larger = (
        break_even(route(), given_fees, ladders, GRID, size, min_net_bps=1.0, ts_ns=NOW_NS)
        for size in (notional, notional * 2)
    )
    assert float(found.quantity) * ladders[0].best_price <= notional * (1 + 1e-12), "never rounded up"
    assert found.quantity % GRID.lot == 0
    if found.offered_bps is None:
        assert found.in_the_way is not None
        assert found.in_the_way.limit in ("depth", "size")
        return
    assert found.net_bps is not None
    assert found.missing_bps is not None
    top = (ladders[1].best_price / ladders[0].best_price - 1) * 1e4
    assert found.net_bps == pytest.approx(top - sum(cost.bps for cost in found.costs), abs=1e-7)
    sheet = cost_sheet(route(), given_fees)
    assert isinstance(sheet, CostSheet)
    assert found.net_bps == pytest.approx(sheet.net_bps(found.offered_bps), abs=1e-7)
    assert (found.missing_bps > 0) == (found.in_the_way is not None)
    if abs(found.missing_bps) > 1e-6:
        assert (found.missing_bps > 0) == (found.net_bps < 1.0)
    if larger.offered_bps is not None:
        assert larger.offered_bps <= found.offered_bps + 1e-9


@given(price_list(), price_list(), st.floats(-5, 30))
def test_the_tiers_are_the_lowest_that_are_enough(here: list[FeeTier], there: list[FeeTier], apart_bps: float) -> None:
    ladders = (Ladder([(60_000.0, 9.0)]), Ladder([(60_000.0 * (1 + apart_bps / 1e4), 9.0)]))
    paid = inputs(here=("2", "5.5"), there=("2", "5.5"))
    found = break_even(route(), paid, ladders, GRID, 6_000, min_net_bps=1.0, ts_ns=NOW_NS)
    assert found.offered_bps is not None
    lists = {HERE.feed: here, THERE.feed: there}
    chosen = lowest_tiers(route(), paid, found, lists, 1.0)

    def takes(one: int, other: int) -> bool:
        climbed = dict(paid.instruments)
        for of, tiers, climb in ((HERE, here, one), (THERE, there, other)):
            if climb:
                climbed[of.id] = replace(climbed[of.id], fees=tiers[climb - 1].schedule(of.feed))
        sheet = cost_sheet(route(), replace(paid, instruments=climbed))
        return isinstance(sheet, CostSheet) and found.offered_bps is not None and found.offered_bps >= sheet.take_at(1)

    ways = {(one, other): takes(one, other) for one in range(len(here) + 1) for other in range(len(there) + 1)}
    enough = [way for way, is_taken in ways.items() if is_taken and any(way)]
    if chosen is None:
        assert not enough
        return
    climbs = tuple(
        next((place for place, tier in enumerate(lists[of.feed], 1) if tier == chosen.get(of.feed)), 0)
        for of in (HERE, THERE)
    )
    assert climbs == min(enough, key=lambda way: (max(way), sum(way), way))
