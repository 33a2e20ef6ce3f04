"""The index against asking every route: "maybe" too often at the most, never too seldom, and exact where it can be."""

from itertools import permutations
from math import inf, nan

from hypothesis import given
from hypothesis import strategies as st

from bot.pricing.crossing_index import Crossing, CrossingGroup

VENUES = 4
ALL_PAIRS = [Crossing(buy, sell) for buy, sell in permutations(range(VENUES), 2)]
ratios_of_routes = st.one_of(st.floats(0.97, 1.03), st.sampled_from([inf, nan]), st.floats(-1.0, 0.0))


class Asked:
    """The same routes, asked one by one."""

    def __init__(self, routes, ratios):
        self.routes = routes
        self.ratios = list(ratios)
        self.prices = {}
        self.nearest = 0.0

    def parts(self, number):
        """What each route of this instrument offers of its ratio; both sides must have a price."""
        found = []
        for at, (buy, sell) in enumerate(self.routes):
            if number in (buy, sell) and buy in self.prices and sell in self.prices:
                offered = self.prices[sell][0] / self.prices[buy][1]
                ratio = self.ratios[at]
                found.append(inf if not ratio > 0 else 0.0 if ratio == inf else offered / ratio)
        return found

    def must_ask(self, number):
        best = max(self.parts(number), default=0.0)
        return best >= 1.0 or best > self.nearest * (1 + 1e-9)

    def tell(self, group, number):
        for part in self.parts(number):
            self.nearest = max(self.nearest, part)
            group.note(part)


def told(group, prices):
    for number, (bid, ask) in prices.items():
        group.members[number].moved(bid, ask)


moves = st.lists(
    st.tuples(st.integers(0, VENUES - 1), st.one_of(st.none(), st.floats(99.0, 101.0)), st.floats(1e-5, 5e-3)),
    min_size=1,
    max_size=25,
)
changes = st.lists(st.tuples(st.integers(0, len(ALL_PAIRS) - 1), ratios_of_routes), max_size=3)


@given(
    ratios=st.lists(ratios_of_routes, min_size=len(ALL_PAIRS), max_size=len(ALL_PAIRS)), moves=moves, changes=changes,
)  # fmt: skip
def test_no_route_that_may_be_taken_or_comes_nearer_than_ever_is_missed(ratios, moves, changes):
    asked, group = Asked(ALL_PAIRS, ratios), CrossingGroup(ALL_PAIRS)
    group.refresh(ratios)
    for step, (number, bid, spread) in enumerate(moves):
        if step == len(moves) // 2:
            for at, ratio in changes:
                asked.ratios[at] = ratio
                group.lower(at, ratio)
            told(group, asked.prices)
            for other in asked.prices:
                asked.tell(group, other)
        if bid is None:
            asked.prices.pop(number, None)
            group.members[number].withdraw()
            continue
        asked.prices[number] = bid, bid * (1 + spread)
        may_be = group.members[number].moved(*asked.prices[number])
        if asked.must_ask(number):
            assert may_be
        if may_be:
            asked.tell(group, number)


offsets = st.lists(st.floats(-0.01, 0.01), min_size=VENUES, max_size=VENUES)


@given(bought=offsets, sold=offsets, prices=st.lists(st.floats(99, 101), min_size=VENUES, max_size=VENUES))
def test_where_ratios_are_products_of_two_parts_the_bound_is_exact(bought, sold, prices):
    """Costs of buying here and of selling there: nobody is asked for nothing."""
    ratios = [(1 + bought[buy]) * (1 + sold[sell]) for buy, sell in ALL_PAIRS]
    asked, group = Asked(ALL_PAIRS, ratios), CrossingGroup(ALL_PAIRS)
    for _ in range(4):
        group.refresh(ratios)
    for number, price in enumerate(prices):
        asked.prices[number] = price, price * 1.0001
        group.members[number].moved(*asked.prices[number])
    group.note(0.5)
    best = max(part for number in range(VENUES) for part in asked.parts(number))
    group.note(best)
    for number in range(VENUES):
        nearest = max(asked.parts(number))
        if nearest < min(best, 1.0) * (1 - 1e-7):
            assert not group.members[number].moved(*asked.prices[number])
        if nearest >= 1.0:
            assert group.members[number].moved(*asked.prices[number])


@given(bid=st.floats(99, 101), maker=st.booleans())
def test_post_only_legs_are_judged_at_their_own_sides_prices(bid, maker):
    group = CrossingGroup([Crossing(0, 1)], buys_at_bid=maker, sells_at_ask=maker)
    group.refresh([1.001])
    group.members[0].moved(bid, bid * 1.002)
    offered = 100.0 * 1.002 / bid if maker else 100.0 / (bid * 1.002)
    group.note(0.999999)
    may_be = group.members[1].moved(100.0, 100.0 * 1.002)
    assert may_be == (offered / 1.001 > group.floor)


def test_nothing_can_be_taken_before_the_first_refresh_and_where_no_ratio_is_finite():
    group = CrossingGroup(ALL_PAIRS)
    assert not any(group.members[number].moved(100.0, 100.1) for number in range(VENUES))
    group.refresh([inf] * len(ALL_PAIRS))
    assert not any(group.members[number].moved(100.0, 100.1) for number in range(VENUES))
