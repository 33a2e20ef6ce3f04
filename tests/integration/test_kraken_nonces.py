"""Kraken takes no number (`nonce`) that is lower than one it has had of a key: requests may overtake one another."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from bot.clock import SystemClock, VirtualClock
from bot.domain.order import OrderStatus
from bot.errors import ClockSkew
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.common.requests.request_pool import Lane
from exchanges.kraken.endpoints import VENUE
from exchanges.kraken.request_costs import COUNTER, rates
from exchanges.kraken.turns import Turns
from tests.integration.actions_rig import an_order, until
from tests.integration.kraken_rig import BTC, PRIVATE, Kraken, kraken, trading

pytest.importorskip("ccxt", reason="ccxt is not installed")

WRONG = "EAPI:Invalid nonce"


def watched(here: Kraken) -> list[str]:
    """The requests that are turned away for their number from now on."""
    wrong: list[str] = []
    inner = here.requests.handle

    async def handle(request: web.Request, handler: Any) -> web.StreamResponse:
        response = await inner(request, handler)
        if isinstance(response, web.Response) and WRONG in (response.text or ""):
            wrong.append(request.path)
        return response

    here.requests.handle = handle  # type: ignore[method-assign]
    return wrong


async def test_who_waits_for_the_counter_is_signed_after_those_who_pass() -> None:
    budget = RequestBudget(VENUE, rates(), SystemClock())
    async with kraken() as here, trading(here, budget=budget) as actions:
        wrong = watched(here)
        budget.hold([COUNTER], 0.3)
        waiting = asyncio.create_task(actions.questions.holdings())
        await asyncio.sleep(0)  # it stands in the queue of the counter, which new orders do not need
        actions.submit(an_order("passes", BTC))
        await until(lambda: bool(here.heard.finals("passes")))
        assert here.heard.finals("passes")[-1].status is OrderStatus.FILLED
        await waiting
        assert wrong == []


def counted(here: Kraken) -> list[int]:
    """How many requests there are at Kraken at a time, each with all the time it takes others to overtake it."""
    inner, at_once, there = here.requests.handle, list[int](), [0]

    async def handle(request: web.Request, handler: Any) -> web.StreamResponse:
        there[0] += 1
        at_once.append(there[0])
        for _ in range(100):
            await asyncio.sleep(0)
        there[0] -= 1
        return await inner(request, handler)

    here.requests.handle = handle  # type: ignore[method-assign]
    return at_once


async def test_orders_that_are_sent_at_once_come_one_after_another() -> None:
    """Over connections of their own the second would be there first, and the first refused for its number."""
    async with kraken() as here, trading(here) as actions:
        at_once = counted(here)
        names = [f"order-{number}" for number in range(4)]
        for name in names:
            actions.submit(an_order(name, BTC, quantity="0.1"))
        await actions.questions.holdings()
        await until(lambda: all(here.heard.finals(name) for name in names))
        assert {here.heard.finals(name)[-1].status for name in names} == {OrderStatus.FILLED}
        assert set(at_once) == {1}


async def test_an_order_waits_for_no_answer_that_does_not_come() -> None:
    async with kraken() as here, trading(here) as actions:
        here.requests.hold["BalanceEx"] = asyncio.Event()
        asked = here.requests.count("POST", "BalanceEx")
        question = asyncio.create_task(actions.questions.holdings())
        await until(lambda: here.requests.count("POST", "BalanceEx") > asked)
        actions.submit(an_order("goes", BTC))
        await until(lambda: bool(here.heard.finals("goes")))
        assert here.heard.finals("goes")[-1].status is OrderStatus.FILLED
        here.requests.hold.pop("BalanceEx").set()
        await question


class Passing:
    """Those who go, one after another, each staying until it is let go."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.turns = Turns(self.clock)
        self.gone: list[Lane] = []
        self.stay = asyncio.Event()

    def go(self, lane: Lane) -> "asyncio.Task[None]":
        async def take() -> None:
            async with self.turns.turn(lane):
                self.gone.append(lane)
                await self.stay.wait()

        return asyncio.create_task(take())

    async def settled(self) -> list[Lane]:
        for _ in range(10):
            await asyncio.sleep(0)
        return self.gone


async def test_what_reduces_risk_goes_first_and_who_gives_up_keeps_nobody() -> None:
    passing = Passing()
    tasks = [passing.go(lane) for lane in (Lane.READ, Lane.IDLE, Lane.READ, Lane.ORDER, Lane.REDUCE)]
    assert await passing.settled() == [Lane.READ]
    tasks[3].cancel()
    await asyncio.sleep(0)
    passing.stay.set()
    await asyncio.sleep(0)
    tasks[4].cancel()  # it has been called, and has not gone yet
    await asyncio.gather(*tasks, return_exceptions=True)
    assert passing.gone == [Lane.READ, Lane.READ, Lane.IDLE]


async def test_a_turn_is_over_once_the_request_must_have_arrived() -> None:
    passing = Passing()
    tasks = [passing.go(lane) for lane in (Lane.READ, Lane.READ, Lane.ORDER)]
    assert await passing.settled() == [Lane.READ]
    passing.clock.advance_to(passing.clock.monotonic_ns() + 250_000_000)
    assert await passing.settled() == [Lane.READ, Lane.ORDER]
    passing.clock.advance_to(passing.clock.monotonic_ns() + 250_000_000)
    assert await passing.settled() == [Lane.READ, Lane.ORDER, Lane.READ]
    passing.stay.set()
    await asyncio.gather(*tasks)


async def test_no_order_waits_long_however_many_are_before_it() -> None:
    passing = Passing()
    tasks = [passing.go(Lane.REDUCE) for _ in range(5)]
    await passing.settled()
    passing.clock.advance_to(passing.clock.monotonic_ns() + 500_000_000)
    assert len(await passing.settled()) == 5
    passing.stay.set()
    await asyncio.gather(*tasks)


async def test_a_question_whose_number_came_too_late_is_asked_again() -> None:
    async with kraken() as here, trading(here) as actions:

        def once() -> web.Response:
            del here.requests.answer[f"{PRIVATE}BalanceEx"]
            return web.json_response({"error": [WRONG]})

        asked = here.requests.count("POST", "BalanceEx")
        here.requests.answer[f"{PRIVATE}BalanceEx"] = once
        assert (await actions.questions.holdings()).balances
        assert here.requests.count("POST", "BalanceEx") == asked + 2


async def test_a_number_that_is_always_too_low_is_not_tried_for_ever() -> None:
    """Another program counts far ahead with the same key."""
    async with kraken() as here, trading(here) as actions:
        asked = here.requests.count("POST", "BalanceEx")
        here.requests.answer[f"{PRIVATE}BalanceEx"] = lambda: web.json_response({"error": [WRONG]})
        with pytest.raises(ClockSkew):
            await actions.questions.holdings()
        assert here.requests.count("POST", "BalanceEx") == asked + 2


async def test_fault_21_an_order_that_kraken_refuses_for_its_number_is_over_and_never_sent_again() -> None:
    async with kraken() as here, trading(here) as actions:
        here.requests.answer[f"{PRIVATE}AddOrder"] = lambda: web.json_response({"error": [WRONG]})
        actions.submit(an_order("low", BTC))
        await until(lambda: bool(here.heard.finals("low")))
        assert here.heard.finals("low")[-1].status is OrderStatus.REJECTED
        assert here.requests.count("POST", "AddOrder") == 1
