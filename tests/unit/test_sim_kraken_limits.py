"""The simulated Kraken's counter of orders: what each costs, and how it falls."""

import pytest

from exchanges.simulator.kraken.errors import ApiError
from exchanges.simulator.kraken.limits import OrderCounters

S = 1_000_000_000


def test_a_pair_that_is_over_its_most_is_refused_until_its_counter_has_fallen() -> None:
    counters = OrderCounters()
    for _ in range(61):
        counters.count_new("key", 0, 0)
    with pytest.raises(ApiError, match="EOrder:Rate limit exceeded"):
        counters.count_new("key", 0, 0)
    counters.count_new("key", 1, 0)
    counters.count_new("another", 0, 0)
    counters.count_new("key", 0, 2 * S)


@pytest.mark.parametrize(("age_s", "cost"), [(0, 8), (5, 6), (12, 5), (44, 4), (60, 2), (299, 1), (300, 0)])
def test_a_cancel_costs_by_the_age_of_its_order(age_s: int, cost: int) -> None:
    counters = OrderCounters()
    for _ in range(60):
        counters.count_new("key", 0, 0)
    counters.count_cancel("key", 0, age_s * S, 0)
    counters.count_new("key", 0, cost * S)
    if cost:
        with pytest.raises(ApiError, match="EOrder:Rate limit exceeded"):
            counters.count_new("key", 0, cost * S)


def test_who_does_not_count_refuses_nobody() -> None:
    counters = OrderCounters(is_counting=False)
    for _ in range(100):
        counters.count_new("key", 0, 0)
