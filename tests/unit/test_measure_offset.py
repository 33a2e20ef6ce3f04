"""The offset of a venue's clock from requests of known length."""

from hypothesis import given
from hypothesis import strategies as st

from bot.clock import VirtualClock
from exchanges.common.requests.clock_offset import measure_offset

MS = 1_000_000
trips = st.tuples(st.integers(0, 500 * MS), st.integers(0, 500 * MS))


@given(offset_ns=st.integers(-(10**12), 10**12), rounds=st.lists(trips, min_size=1, max_size=6))
async def test_the_true_offset_lies_within_half_the_round_trip(offset_ns: int, rounds: list[tuple[int, int]]) -> None:
    clock = VirtualClock(1_700_000_000 * 10**9)
    remaining = iter(rounds)

    async def request() -> int:
        there_ns, back_ns = next(remaining)
        clock.advance_to(clock.now_ns() + there_ns)
        venue_ms = (clock.now_ns() + offset_ns) // MS
        clock.advance_to(clock.now_ns() + back_ns)
        return venue_ms

    measured_ns, round_trip_ns = await measure_offset(request, clock, len(rounds))
    assert round_trip_ns == min(sum(trip) for trip in rounds) + MS
    assert abs(measured_ns - offset_ns) <= round_trip_ns / 2 + 1
