"""A budget against a venue that counts by itself: never one request too many, and the reserve for what reduces."""

import asyncio
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.clock import VirtualClock
from bot.errors import Banned, RateLimited, VenueError
from exchanges.common.requests.request_budget import RequestBudget, Ticket
from exchanges.common.requests.request_pool import Lane, Rate

S = 1_000_000_000
MS = 1_000_000
LANES = list(Lane)
REQUESTS = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 0, 100, 500, 900, 1700]),  # ms since the one before
        st.sampled_from(LANES),
        st.integers(0, 4),  # weight
        st.sampled_from([0, 10, 200, 400]),  # ms until it arrives
        st.sampled_from([0, 0, 10, 400]),  # ms until its answer is here
    ),
    max_size=80,
)


def most_in_any_window(arrived: list[tuple[int, int]], window_ns: int) -> int:
    """The most weight that arrived within any window, wherever it begins: by a count of its own."""
    most, total = 0, 0
    inside: deque[tuple[int, int]] = deque()
    for ts_ns, weight in sorted(arrived):
        inside.append((ts_ns, weight))
        total += weight
        while inside[0][0] <= ts_ns - window_ns:
            total -= inside.popleft()[1]
        most = max(most, total)
    return most


class Venue:
    """What arrived, when and of which lane."""

    def __init__(self, limit: int = 10, window_s: float = 2.0) -> None:
        self.clock = VirtualClock()
        self.limit = limit
        self.window_ns = round(window_s * S)
        self.budget = RequestBudget("venue", [Rate("weight", limit, window_s)], self.clock)
        self.arrived: list[tuple[int, int, Lane]] = []
        self.refused: list[RateLimited] = []

    def sent(self, ticket: Ticket, weight: int, lane: Lane, travel_ms: int, back_ms: int) -> None:
        self.arrived.append((self.clock.now_ns() + travel_ms * MS, weight, lane))
        self.clock.call_later((travel_ms + back_ms) / 1e3, ticket.settle)

    def assert_kept(self) -> None:
        everything = [(ts_ns, weight) for ts_ns, weight, _ in self.arrived]
        assert most_in_any_window(everything, self.window_ns) <= self.limit
        for lane in LANES[1:]:
            ceiling = max(1, self.limit * {Lane.ORDER: 8, Lane.READ: 6, Lane.IDLE: 4}[lane] // 10)
            ours = [(ts_ns, weight) for ts_ns, weight, its in self.arrived if its >= lane]
            assert most_in_any_window(ours, self.window_ns) <= ceiling


@given(REQUESTS, st.integers(1, 30))
def test_no_window_ever_holds_more_than_the_limit_and_the_reserve_is_left_to_what_reduces(
    requests: list[tuple[int, Lane, int, int, int]], limit: int
) -> None:
    venue = Venue(limit)
    for wait_ms, lane, weight, travel_ms, back_ms in requests:
        venue.clock.advance_to(venue.clock.now_ns() + wait_ms * MS)
        try:
            ticket = venue.budget.take({"weight": weight}, lane)
        except RateLimited as refused:
            venue.refused.append(refused)
            continue
        venue.sent(ticket, weight, lane, travel_ms, back_ms)
    venue.assert_kept()
    assert all("weight" in str(refused) for refused in venue.refused)


@given(REQUESTS)
def test_what_waits_keeps_the_limit_too_and_everybody_hears_an_end(
    requests: list[tuple[int, Lane, int, int, int]],
) -> None:
    async def play() -> None:
        venue = Venue()

        async def one(lane: Lane, weight: int, travel_ms: int, back_ms: int) -> None:
            try:
                ticket = await venue.budget.acquire({"weight": weight}, lane)
            except RateLimited as refused:
                venue.refused.append(refused)
                return
            venue.sent(ticket, weight, lane, travel_ms, back_ms)

        tasks = []
        for wait_ms, lane, weight, travel_ms, back_ms in requests:
            await pass_time(venue.clock, wait_ms)
            tasks.append(asyncio.create_task(one(lane, weight, travel_ms, back_ms)))
        await pass_time(venue.clock, 120_000)
        assert all(task.done() for task in tasks)
        assert len(venue.arrived) + len(venue.refused) == len(requests)
        assert venue.budget.lines()[0].waiting == 0
        venue.assert_kept()

    asyncio.run(play())


def test_a_request_counts_for_a_window_after_its_answer_and_not_after_its_sending() -> None:
    venue = Venue(limit=1, window_s=2.0)
    ticket = venue.budget.take({"weight": 1}, Lane.REDUCE)
    venue.clock.advance_to(10 * S)  # no answer yet: it may arrive at any moment
    with pytest.raises(RateLimited):
        venue.budget.take({"weight": 1}, Lane.REDUCE)
    ticket.settle()
    ticket.settle()
    venue.clock.advance_to(12 * S - 1)
    with pytest.raises(RateLimited):
        venue.budget.take({"weight": 1}, Lane.REDUCE)
    venue.clock.advance_to(12 * S)
    venue.budget.take({"weight": 1}, Lane.REDUCE)


async def pass_time(clock: VirtualClock, ms: int) -> None:
    end_ns = clock.now_ns() + ms * MS
    await settle()
    while (due_ns := clock.next_due_ns()) is not None and due_ns <= end_ns:
        clock.advance_to(due_ns)
        await settle()
    clock.advance_to(end_ns)


async def settle() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


async def test_who_reduces_goes_first_and_within_a_lane_who_came_first() -> None:
    venue = Venue(limit=10)
    for _ in range(10):
        venue.budget.take({"weight": 1}, Lane.REDUCE).settle()
    order: list[str] = []

    async def one(name: str, lane: Lane) -> None:
        ticket = await venue.budget.acquire({"weight": 1}, lane, patience_s=60.0)
        order.append(name)
        ticket.settle()

    wanted = [("idle", Lane.IDLE), ("read 1", Lane.READ), ("read 2", Lane.READ), ("order", Lane.ORDER)]
    tasks = [asyncio.create_task(one(name, lane)) for name, lane in [*wanted, ("cancel", Lane.REDUCE)]]
    await pass_time(venue.clock, 60_000)
    await asyncio.gather(*tasks)
    assert order == ["cancel", "order", "read 1", "read 2", "idle"]


async def test_nobody_overtakes_who_waits_for_the_same_but_others_are_not_held_up() -> None:
    clock = VirtualClock()
    budget = RequestBudget("venue", [Rate("a", 10, 1.0), Rate("b", 10, 1.0)], clock)
    budget.take({"a": 5}, Lane.READ).settle()
    large = asyncio.create_task(budget.acquire({"a": 4}, Lane.READ))
    await settle()
    with pytest.raises(RateLimited, match="of a "):
        budget.take({"a": 1}, Lane.READ)
    budget.take({"b": 1}, Lane.READ)
    budget.take({"a": 1}, Lane.ORDER)
    await pass_time(clock, 1_000)
    await large


async def test_one_that_is_given_up_while_it_waits_takes_nothing() -> None:
    venue = Venue()
    venue.budget.take({"weight": 6}, Lane.READ).settle()
    waiting = asyncio.create_task(venue.budget.acquire({"weight": 6}, Lane.READ))
    await settle()
    assert venue.budget.lines()[0].waiting == 1
    waiting.cancel()
    await asyncio.wait({waiting})
    await pass_time(venue.clock, 2_000)
    assert (venue.budget.lines()[0].used, venue.budget.lines()[0].waiting) == (0, 0)


async def test_what_the_venue_counts_more_than_we_do_is_somebody_elses_and_counts_too() -> None:
    venue = Venue(limit=100)
    venue.budget.take({"weight": 10}, Lane.READ).settle()
    venue.budget.told("weight", used=55)
    venue.budget.told("weight", used=55)
    assert venue.budget.lines()[0].used == 55
    with pytest.raises(RateLimited, match="55 of 60 are used"):
        venue.budget.take({"weight": 6}, Lane.READ)
    venue.budget.told("weight", limit=1000)
    venue.budget.take({"weight": 6}, Lane.READ)
    venue.budget.told("nobody knows this", used=3)


async def test_what_was_answered_429_is_held_for_every_lane_and_a_request_that_weighs_nothing() -> None:
    clock = VirtualClock()
    budget = RequestBudget("venue", [Rate("weight", 10, 60.0), Rate("orders", 10, 10.0)], clock)
    budget.hold(["weight"], 7.0)
    assert budget.lines()[0].held_s == 7.0
    for lane in LANES:
        for weight in (0, 1):
            with pytest.raises(RateLimited, match=r"weight .* is held") as refused:
                budget.take({"weight": weight, "orders": 1}, lane)
            assert refused.value.retry_after_s == pytest.approx(7.0)
    budget.take({"orders": 1}, Lane.ORDER)
    clock.advance_to(7 * S)
    budget.take({"weight": 1}, Lane.ORDER)


async def test_what_could_never_go_is_refused_at_once() -> None:
    venue = Venue(limit=10)
    with pytest.raises(RateLimited) as refused:
        await venue.budget.acquire({"weight": 11}, Lane.REDUCE)
    assert refused.value.retry_after_s is None


async def test_a_ban_refuses_everything_until_it_is_over_and_one_without_an_end_grows() -> None:
    venue = Venue()
    for seconds in (10, 20, 40):
        venue.budget.bans.sit_out(Banned("venue", "firewall"))
        with pytest.raises(VenueError) as refused:
            await venue.budget.acquire({"weight": 1}, Lane.REDUCE)
        assert type(refused.value) is Banned
        assert refused.value.retry_after_s == seconds
        assert venue.budget.lines()[0].held_s == seconds
        venue.clock.advance_to(venue.clock.now_ns() + seconds * S)
        venue.budget.take({"weight": 1}, Lane.REDUCE).settle()
    venue.budget.bans.answered()
    venue.budget.bans.sit_out(Banned("venue", "firewall"))
    assert venue.budget.bans.left_s == 10
