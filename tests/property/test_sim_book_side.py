"""What a side of a book shows, however it was asked."""

from hypothesis import given, settings
from hypothesis import strategies as st

from exchanges.simulator.market.book_side import BookSide

KEYS = st.integers(-9, 9)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("market"), KEYS, st.integers(0, 5)),
        st.tuples(st.just("own"), KEYS, st.integers(1, 5)),
        st.tuples(st.just("consume"), KEYS, st.integers(1, 9)),
    ),
    max_size=40,
)


def played(steps: list[tuple[str, int, int]]) -> BookSide:
    side = BookSide()
    for number, (what, key, lots) in enumerate(steps):
        if what == "market":
            side.set_market(key, lots)
        elif what == "own":
            side.join(key, number, lots)
        elif key in side.keys:
            side.consume(key, lots)
    return side


@settings(max_examples=200, deadline=None)
@given(STEPS, st.integers(1, 25), st.sampled_from((1, -1)))
def test_the_best_levels_are_what_each_price_shows(steps, depth, sign):
    side = played(steps)
    expected = [(sign * key, side.shown(key)) for key in sorted(side.keys, reverse=True)]
    assert list(side.best(depth, sign)) == expected[:depth]
    assert all(lots > 0 for _, lots in expected)
    if expected:
        assert side.top() == (sign * expected[0][0], expected[0][1])


@settings(max_examples=200, deadline=None)
@given(STEPS, STEPS, st.sampled_from((1, -1)))
def test_what_was_touched_turns_one_picture_into_the_next(before, after, sign):
    side = played(before)
    picture = dict(side.best(100, sign))
    side.touched.clear()
    for number, (what, key, lots) in enumerate(after, start=1000):
        if what == "market":
            side.set_market(key, lots)
        elif what == "own":
            side.join(key, number, lots)
        elif key in side.keys:
            side.consume(key, lots)
    changes = side.take_touched(sign)
    assert [ticks for ticks, _ in changes] == sorted((ticks for ticks, _ in changes), reverse=sign > 0)
    picture |= dict(changes)
    assert {ticks: lots for ticks, lots in picture.items() if lots} == dict(side.best(100, sign))
    assert side.take_touched(sign) == ()
