"""Ladders by hand, and their walk together against the conversion done unit by unit."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.instrument import Instrument, Segment
from bot.pricing.ladder import ChainLeg, Ladder, ladder, steps
from exchanges.simulator.sample_recording import BINANCE, sample_instrument

ASKS = Ladder([(100.0, 2.0), (101.0, 3.0), (105.0, 1.0)])
BIDS = Ladder([(102.0, 1.0), (100.5, 4.0)])


def test_a_quantity_costs_what_its_levels_cost():
    assert ASKS.depth == 6.0
    assert ASKS.notional(2.0) == 200.0
    assert ASKS.notional(4.0) == 402.0
    assert ASKS.average_price(1.5) == 100.0
    assert ASKS.average_price(4.0) == 100.5
    assert ASKS.average_price(6.0) == pytest.approx((200 + 303 + 105) / 6)


def test_more_than_is_offered_has_no_price():
    with pytest.raises(ValueError, match="offers 6"):
        ASKS.notional(6.1)
    with pytest.raises(ValueError, match="offers 0"):
        Ladder([]).average_price(1.0)


def test_a_notional_buys_the_largest_quantity_that_it_covers():
    assert ASKS.quantity_for(150.0) == 1.5
    assert ASKS.quantity_for(402.0) == 4.0
    assert ASKS.quantity_for(608.0) == inf
    assert ASKS.quantity_for(0.0) == 0.0


@given(notional=st.floats(0, 607.9))
def test_what_a_notional_buys_never_costs_more(notional):
    assert ASKS.notional(ASKS.quantity_for(notional)) <= notional


def test_levels_beyond_an_orders_limit_are_left_out_on_both_sides():
    instrument = sample_instrument(BINANCE)
    assert ladder(instrument, ASKS.levels, worst_price=101.0).levels == ASKS.levels[:2]
    assert ladder(instrument, BIDS.levels, worst_price=101.0).levels == BIDS.levels[:1]
    assert ladder(instrument, BIDS.levels).levels is BIDS.levels


@pytest.mark.parametrize(("segment", "base_units"), [(Segment.LINEAR, 20.0), (Segment.INVERSE, 0.2)])
def test_quantities_are_counted_in_base_units(segment, base_units):
    instrument = Instrument(
        venue="a", symbol="X", segment=segment, base="X", quote="USD", settle="X",
        tick_size=1, lot_size=1, contract_multiplier=10,
    )  # fmt: skip
    assert ladder(instrument, [(100.0, 2.0)]).levels == [(100.0, base_units)]


def test_two_sides_are_walked_level_by_level():
    walked = [(s.quantity, s.ratio) for s in steps((ChainLeg(ASKS, buys=True), ChainLeg(BIDS, buys=False)))]
    assert walked == [(1.0, 102.0 / 100.0), (1.0, 100.5 / 100.0), (3.0, 100.5 / 101.0)]


def test_an_empty_side_offers_no_step():
    assert not list(steps((ChainLeg(Ladder([]), buys=True), ChainLeg(BIDS, buys=False))))


levels = st.lists(st.tuples(st.integers(1, 20), st.integers(1, 30)), min_size=1, max_size=4)


def falling(raw, start, sign):
    price, made = start, []
    for step, quantity in raw:
        price += sign * step / 10
        made.append((price, quantity / 10))
    return Ladder(made)


@given(first=levels, second=levels, third=levels, fee=st.sampled_from([0.0, 0.001]))
def test_a_triangle_converts_what_goes_through_it(first, second, third, fee):
    """USDT buys BTC, BTC buys ETH, ETH is sold for USDT: the steps bring what the ladders say, one after the other."""
    chain = (
        ChainLeg(falling(first, 100.0, 1), buys=True, keeps=1 - fee),
        ChainLeg(falling(second, 20.0, 1), buys=True, keeps=1 - fee),
        ChainLeg(falling(third, 2_100.0, -1), buys=False, keeps=1 - fee),
    )
    walked = list(steps(chain))
    ratios = [step.ratio for step in walked]
    assert ratios == sorted(ratios, reverse=True)
    bought = sum(step.quantity for step in walked)
    arrived = bought * (1 - fee)
    second_base = chain[1].ladder.quantity_for(arrived * (1 - 1e-9))
    second_base = min(second_base, chain[1].ladder.depth)
    received = chain[2].ladder.notional(min(second_base * (1 - fee), chain[2].ladder.depth)) * (1 - fee)
    paid = chain[0].ladder.notional(min(bought, chain[0].ladder.depth))
    assert received / paid <= ratios[0] * (1 - fee) ** 3 * (1 + 1e-9)
    assert received / paid >= ratios[-1] * (1 - fee) ** 3 * (1 - 1e-6)
