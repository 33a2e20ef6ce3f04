"""Faults at random moments: the same seed, the same list; never two that stop a venue; each ordered at its time."""

import itertools
import json
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.clock import VirtualClock
from exchanges.simulator.faults.catalogue import CATALOGUE
from exchanges.simulator.faults.desk import FaultDesk
from exchanges.simulator.faults.schedule import STOPPING, Planned, Schedule, planned
from exchanges.simulator.faults.values import fault_from_json
from exchanges.simulator.market.scenarios import SCENARIOS

S = 1_000_000_000
HOUR_S = 3_600.0
seeds = st.integers(0, 10**18)
rates = st.floats(1, 1000)


def first(seed: int, per_hour: float, count: int = 300) -> list[Planned]:
    return list(itertools.islice(planned(seed, per_hour), count))


@given(seeds, rates)
@settings(max_examples=30)
def test_the_same_seed_draws_the_same_list(seed: int, per_hour: float) -> None:
    assert first(seed, per_hour) == first(seed, per_hour)
    assert first(seed, per_hour) != first(seed + 1, per_hour)


@given(seeds, rates)
@settings(max_examples=30)
def test_it_draws_what_an_account_comes_back_from_and_never_two_that_stop_a_venue(seed: int, per_hour: float) -> None:
    until: dict[tuple[str, str], float] = {}
    stopped_until = -math.inf
    last = 0.0
    for one in first(seed, per_hour):
        fault = one.fault
        assert one.at_s >= last
        assert CATALOGUE[fault.fault].scheduled
        # Moments are rounded to milliseconds where they are told.
        assert one.at_s > until.get((fault.fault, fault.venue), -math.inf) - 0.001
        if fault.fault in STOPPING:
            assert one.at_s > stopped_until - 0.001
            stopped_until = one.at_s + fault.lasts_s
        until[fault.fault, fault.venue] = one.at_s + fault.lasts_s
        last = one.at_s


@given(seeds)
@settings(max_examples=20)
def test_what_it_tells_is_the_order_itself(seed: int) -> None:
    for one in first(seed, 120, 50):
        told = json.loads(json.dumps(one.as_json()))
        assert told.pop("at_s") == one.at_s
        assert fault_from_json(told) == one.fault


def test_gaps_are_exponential_with_the_given_mean() -> None:
    times = [one.at_s for one in first(1, 120, 4_000)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    mean = sum(gaps) / len(gaps)
    assert 28.5 < mean < 31.5
    # An exponential gap is longer than its mean with the probability 1/e; evenly spread ones would be in half of cases.
    assert abs(sum(gap > mean for gap in gaps) / len(gaps) - math.exp(-1)) < 0.03


def test_every_kind_that_may_be_drawn_is() -> None:
    drawn = {one.fault.fault for one in first(1, 120, 2_000)}
    assert drawn == {kind for kind, info in CATALOGUE.items() if info.scheduled}


def test_no_rate_draws_nothing_and_only_chaos_has_one() -> None:
    assert first(1, 0.0) == []
    assert {name for name, scenario in SCENARIOS.items() if scenario.faults_per_hour} == {"chaos"}


def test_each_is_ordered_at_its_time_until_it_is_stopped() -> None:
    clock = VirtualClock(5 * S)
    faults = FaultDesk(clock)
    schedule = Schedule(faults, clock, 7, 120)
    clock.advance_to(9 * S)  # the server takes a while to listen
    schedule.start()
    begun: list[tuple[float, object]] = []
    seen = 0
    for _ in range(10 * 60 * 10):
        clock.advance_to(clock.now_ns() + S // 10)
        for ordered in faults.orders[seen:]:
            begun.append(((clock.now_ns() - 9 * S) / S, ordered.fault))
        seen = len(faults.orders)
    wanted = [one for one in first(7, 120) if one.at_s <= 600]
    assert len(wanted) > 10
    assert [fault for _, fault in begun] == [one.fault for one in wanted]
    assert all(0 <= at_s - one.at_s <= 0.11 for (at_s, _), one in zip(begun, wanted, strict=True))
    schedule.stop()
    clock.advance_to(clock.now_ns() + 3600 * S)
    assert len(faults.orders) == seen


def test_it_tells_the_last_hour_and_the_coming_one() -> None:
    clock = VirtualClock()
    schedule = Schedule(FaultDesk(clock), clock, 3, 60)
    schedule.start()
    clock.advance_to(5 * 3600 * S)
    told = list(schedule.around_now())
    everything = first(3, 60, 1_000)
    must = [one for one in everything if 4 * HOUR_S <= one.at_s <= 6 * HOUR_S]
    assert told[: len(must)] == must
    assert len(told) <= len(must) + 1
    assert Schedule(FaultDesk(clock), clock, 3, 0).around_now() == []
