"""A counter that falls by itself is never made to stand too high, whenever requests are sent."""

from hypothesis import given
from hypothesis import strategies as st

from exchanges.common.requests.leaky_pool import LeakyPool
from exchanges.common.requests.request_pool import Lane, Rate

_S = 1_000_000_000
_RATE = Rate("counter", 14, 42.0, leaks=True)
_A_SECOND = 14 / 42

STEPS = st.lists(st.tuples(st.integers(0, 20 * _S), st.integers(1, 5), st.sampled_from(Lane)), max_size=60)


@given(STEPS)
def test_the_venues_counter_never_exceeds_its_limit(steps: list[tuple[int, int, Lane]]) -> None:
    pool, now_ns, counter = LeakyPool(_RATE), 0, 0.0
    for pause_ns, weight, lane in steps:
        now_ns += pause_ns
        counter = max(0.0, counter - _A_SECOND * pause_ns / _S)
        wait_ns = pool.wait_ns(weight, lane, now_ns)
        if wait_ns == 0:
            pool.take(weight)
            counter += weight
            assert counter <= pool.ceiling(lane) + 1e-6
        assert pool.used(now_ns) <= counter + 1
        assert pool.used(now_ns) >= counter - 1e-6


@given(STEPS)
def test_who_waits_as_long_as_told_goes_and_not_sooner(steps: list[tuple[int, int, Lane]]) -> None:
    pool, now_ns = LeakyPool(_RATE), 0
    for pause_ns, weight, lane in steps:
        now_ns += pause_ns
        wait_ns = pool.wait_ns(weight, lane, now_ns)
        assert wait_ns is not None
        if wait_ns > 1:
            assert pool.wait_ns(weight, lane, now_ns + wait_ns - 2) != 0
        now_ns += wait_ns
        assert pool.wait_ns(weight, lane, now_ns) == 0
        pool.take(weight)


def test_what_was_never_sent_is_there_again_and_what_is_held_waits() -> None:
    pool = LeakyPool(_RATE)
    assert pool.wait_ns(14, Lane.REDUCE, 0) == 0
    charge = pool.take(14)
    assert pool.wait_ns(1, Lane.REDUCE, 0) == 3 * _S
    pool.give_back(charge)
    assert pool.wait_ns(14, Lane.REDUCE, 0) == 0
    pool.hold(7 * _S)
    assert pool.wait_ns(1, Lane.REDUCE, 2 * _S) == 5 * _S
    assert pool.wait_ns(15, Lane.REDUCE, 0) is None
    pool.told(9, 8 * _S)
    assert pool.used(8 * _S) == 9
