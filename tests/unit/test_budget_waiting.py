"""Requests that wait for room in a budget, and bans that several requests hear of, by a clock that the test moves."""

import asyncio

import pytest

from bot.clock import VirtualClock
from bot.errors import Banned, RateLimited
from exchanges.common.requests.ban_clock import BanClock
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.common.requests.request_pool import Lane, Rate


async def test_who_is_stopped_in_the_moment_of_being_turned_away_stops() -> None:
    clock = VirtualClock()
    budget = RequestBudget("binance", [Rate("weight", 10, 1.0)], clock)
    tickets = [budget.take({"weight": 1}, Lane.REDUCE) for _ in range(10)]
    went_on = False

    async def work() -> None:
        nonlocal went_on
        try:
            await budget.acquire({"weight": 1}, Lane.REDUCE)
        except RateLimited:
            went_on = True

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    clock.advance_to(clock.now_ns() + 1_000_000_000)  # its patience is over; the task has not run since
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert not went_on
    for ticket in tickets:
        ticket.settle()


async def test_who_stops_waiting_lets_go_who_stood_behind() -> None:
    clock = VirtualClock()
    budget = RequestBudget("binance", [Rate("weight", 10, 60.0)], clock)
    budget.take({"weight": 2}, Lane.REDUCE).settle()
    clock.advance_to(clock.now_ns() + 59_500_000_000)
    budget.take({"weight": 1}, Lane.REDUCE).settle()
    large = asyncio.create_task(budget.acquire({"weight": 9}, Lane.REDUCE))
    await asyncio.sleep(0)
    small = asyncio.create_task(budget.acquire({"weight": 1}, Lane.REDUCE))
    await asyncio.sleep(0)
    assert not small.done(), "nobody passes who waits for the same"
    large.cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    assert small.done(), "there is room, and nobody stands before it"
    (await small).settle()


def test_requests_that_were_on_their_way_when_a_ban_began_hear_of_one_ban() -> None:
    clock = VirtualClock()
    bans = BanClock("bybit", clock)
    for _ in range(8):
        bans.sit_out(Banned("bybit", "403"))
    assert bans.left_s == pytest.approx(10.0)
    clock.advance_to(clock.now_ns() + 10_000_000_000)
    bans.sit_out(Banned("bybit", "403"))
    assert bans.left_s == pytest.approx(20.0), "it was not over: the next question comes later"


def test_a_ban_that_names_a_later_end_counts_while_another_goes_on() -> None:
    bans = BanClock("bybit", VirtualClock())
    bans.sit_out(Banned("bybit", "403"))
    bans.sit_out(Banned("bybit", "403", retry_after_s=120.0))
    assert bans.left_s == pytest.approx(120.0)


async def test_who_takes_nothing_of_a_limit_stands_in_no_line_for_it() -> None:
    """A new order weighs nothing at USDⓈ-M: a hedge must not wait for who asks after an order."""
    clock = VirtualClock()
    budget = RequestBudget("binance", [Rate("weight", 10, 60.0), Rate("orders", 10, 10.0)], clock)
    budget.take({"weight": 10}, Lane.REDUCE).settle()
    clock.advance_to(clock.now_ns() + 59_500_000_000)
    asking = asyncio.create_task(budget.acquire({"weight": 1}, Lane.REDUCE))
    await asyncio.sleep(0)
    hedge = {"weight": 0, "orders": 1}
    budget.take(hedge, Lane.REDUCE).settle()
    budget.hold(["weight"], 0.2)
    with pytest.raises(RateLimited):
        budget.take(hedge, Lane.REDUCE)
    asking.cancel()
