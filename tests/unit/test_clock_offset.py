import pytest

from bot.market.clock_offset import FUTURE_NS, HALF_NS, ClockOffset, FeedDelay

MS = 1_000_000
S = 1_000_000_000
START_NS = 1_723_161_254 * S
BEHIND_NS = 1_270 * MS
"""Our clock behind the venue's, as in the recordings."""


def frame(at_ns: int, way_ns: int, behind_ns: int = BEHIND_NS) -> tuple[int, int]:
    """Event and receive time of a frame that leaves at `at_ns` (our clock) and takes `way_ns`."""
    return at_ns + behind_ns, at_ns + way_ns


def test_nothing_is_old_while_nothing_is_known() -> None:
    clock = ClockOffset()
    assert clock.offset_ns is None
    assert clock.age_ns(START_NS, START_NS + 10 * S) == 0


@pytest.mark.parametrize("behind_ns", [BEHIND_NS, -BEHIND_NS, 0, 3_600 * S])
def test_age_is_how_much_slower_than_the_fastest_frame(behind_ns: int) -> None:
    clock = ClockOffset()
    assert clock.observe(*frame(START_NS, 8 * MS, behind_ns)) == 0
    assert clock.observe(*frame(START_NS + S, 5 * MS, behind_ns)) == 0
    assert clock.observe(*frame(START_NS + 2 * S, 30 * MS, behind_ns)) == 25 * MS
    assert clock.age_ns(*frame(START_NS + 3 * S, 3_005 * MS, behind_ns)) == 3_000 * MS
    assert clock.offset_ns == behind_ns - 5 * MS


def test_a_late_first_frame_is_corrected_by_the_first_fast_one() -> None:
    clock = ClockOffset()
    assert clock.observe(*frame(START_NS, 4 * S)) == 0
    assert clock.observe(*frame(START_NS + 4 * S, 5 * MS)) == 0
    assert clock.observe(*frame(START_NS + S, 4 * S)) == 4 * S - 5 * MS


def test_the_fastest_frame_expires_so_that_drift_is_followed() -> None:
    clock = ClockOffset()
    clock.observe(*frame(START_NS, 5 * MS))
    slower_ns = 25 * MS
    ages = [clock.observe(*frame(at_ns, slower_ns)) for at_ns in range(START_NS + S, START_NS + 2 * HALF_NS + 2 * S, S)]
    assert ages[0] == 20 * MS
    assert ages[HALF_NS // S + 100] == 20 * MS, "it counts for one half at least"
    assert ages[-1] == 0, "and for two at most"


def test_a_clock_set_back_is_followed_at_the_second_frame() -> None:
    clock = ClockOffset()
    clock.observe(*frame(START_NS, 5 * MS))
    for i in (1, 2):
        event_ns, recv_ns = frame(START_NS + i * S, 5 * MS)
        assert clock.observe(event_ns, recv_ns - 3_600 * S) == 0
    event_ns, recv_ns = frame(START_NS + 3 * S, 3 * S + 5 * MS)
    assert clock.observe(event_ns, recv_ns - 3_600 * S) == 3 * S


def test_drift_is_followed_after_the_clock_was_set_back() -> None:
    clock, back_ns = ClockOffset(), 3_600 * S
    clock.observe(*frame(START_NS, 5 * MS))
    for at_ns in range(START_NS + S, START_NS + 20 * S, S):
        clock.observe(at_ns + BEHIND_NS, at_ns + 5 * MS - back_ns)
    for at_ns in range(START_NS + 20 * S, START_NS + 2 * HALF_NS + 40 * S, S):
        age_ns = clock.observe(at_ns + BEHIND_NS, at_ns + 25 * MS - back_ns)
    assert age_ns == 0


@pytest.mark.parametrize("step_ns", [3_600 * S, -3_600 * S])
@pytest.mark.parametrize("taught", [0, 1, 3])
def test_a_step_that_is_told_leaves_what_was_measured_and_nothing_that_frames_taught(step_ns: int, taught: int) -> None:
    clock = ClockOffset()
    clock.observe(*frame(START_NS, 5 * MS))
    clock.measured(BEHIND_NS, 10 * MS)
    for i in range(taught):  # the step is noticed a little later than it happens
        event_ns, recv_ns = frame(START_NS + i * S, 5 * MS)
        clock.observe(event_ns, recv_ns + step_ns)
    clock.stepped(step_ns)
    assert clock.offset_ns == BEHIND_NS - step_ns
    event_ns, recv_ns = frame(START_NS + 9 * S, 45 * MS)
    assert clock.observe(event_ns, recv_ns + step_ns) == 40 * MS, "a slow frame is known to be one"
    fresh = ClockOffset()
    fresh.stepped(step_ns)
    assert fresh.offset_ns is None  # nothing known, nothing to move


def test_one_frame_from_a_far_future_does_not_make_all_others_old() -> None:
    clock = ClockOffset()
    clock.observe(*frame(START_NS, 5 * MS))
    assert clock.observe(START_NS * 1_000, START_NS + S) == 0
    assert clock.observe(*frame(START_NS + 2 * S, 6 * MS)) == 1 * MS
    assert clock.observe(START_NS + 2 * FUTURE_NS, START_NS + 3 * S) == 0
    assert clock.observe(*frame(START_NS + 4 * S, 6 * MS)) == 1 * MS


def test_a_measurement_bounds_what_frames_say() -> None:
    clock = ClockOffset()
    clock.observe(*frame(START_NS, 4 * S))  # every frame so far was late
    clock.measured(BEHIND_NS, 40 * MS)
    assert clock.observe(*frame(START_NS + S, 4 * S)) == pytest.approx(4 * S, abs=20 * MS)
    assert clock.observe(*frame(START_NS + 5 * S, 30 * MS)) == 10 * MS
    clock.observe(*frame(START_NS + 6 * S, 12 * MS))
    assert clock.offset_ns == BEHIND_NS - 12 * MS, "within the bounds the fastest frame counts"
    clock.observe(*frame(START_NS + 7 * S, -500 * MS))
    assert clock.offset_ns == BEHIND_NS + 20 * MS, "no frame is faster than light"


def test_a_measurement_alone_is_an_estimate() -> None:
    clock = ClockOffset()
    clock.measured(BEHIND_NS, 40 * MS)
    assert clock.offset_ns == BEHIND_NS
    assert clock.observe(*frame(START_NS, 4 * S)) == pytest.approx(4 * S, abs=20 * MS)


def test_a_measurement_expires() -> None:
    clock = ClockOffset()
    clock.measured(BEHIND_NS, 40 * MS)
    drifted_ns = BEHIND_NS - 2 * S
    for at_ns in range(START_NS, START_NS + 3 * HALF_NS, S):
        clock.observe(*frame(at_ns, 5 * MS, drifted_ns))
    assert clock.offset_ns == drifted_ns - 5 * MS


def test_quotes_without_a_time_are_as_old_as_their_feed() -> None:
    clock = ClockOffset()
    delay = FeedDelay(clock)
    assert delay.age_ns(START_NS) is None
    delay.observe(*frame(START_NS, 5 * MS))
    assert delay.age_ns(START_NS + 900 * MS) == 0
    assert delay.age_ns(START_NS + 1_005 * MS + 1) is None, "the frame is too long ago to tell"
    delay.observe(*frame(START_NS + 2 * S, 3_005 * MS))
    assert delay.age_ns(START_NS + 5_006 * MS) == 3_000 * MS


def test_a_feed_is_measured_by_the_fastest_frame_of_its_venue() -> None:
    clock = ClockOffset()
    late, prompt = FeedDelay(clock), FeedDelay(clock)
    late.observe(*frame(START_NS, 2 * S))
    assert late.age_ns(START_NS + 2 * S) == 0
    prompt.observe(*frame(START_NS + 2 * S, 5 * MS))
    assert late.age_ns(START_NS + 2 * S) == 1_995 * MS
    assert prompt.age_ns(START_NS + 2 * S + 5 * MS) == 0


def test_asked_after_the_batch_the_first_quote_after_a_stall_is_known_to_be_old() -> None:
    clock = ClockOffset()
    delay = FeedDelay(clock)
    delay.observe(*frame(START_NS, 5 * MS))
    quote_recv_ns = START_NS + 4 * S
    assert delay.age_ns(quote_recv_ns) is None
    delay.observe(*frame(START_NS + S, 3 * S + MS))
    assert delay.age_ns(quote_recv_ns) == 2_996 * MS
