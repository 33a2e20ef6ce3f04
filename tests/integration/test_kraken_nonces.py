"""Kraken takes no number (`nonce`) that is lower than one it has had of a key: requests may overtake one another."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from bot.clock import SystemClock
from bot.domain.order import OrderStatus
from bot.errors import ClockSkew
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.kraken.endpoints import VENUE
from exchanges.kraken.request_costs import COUNTER, rates
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
