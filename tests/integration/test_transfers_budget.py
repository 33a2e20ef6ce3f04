"""Requests that move money, and questions about them, are paid for in the budget of whoever trades at the venue."""

from decimal import Decimal

import pytest

from bot.clock import SystemClock
from bot.errors import Banned, RateLimited
from bot.ports.transfers import Withdrawal
from exchanges.binance import request_costs as binance
from exchanges.bybit import request_costs as bybit
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.transfers import account_operations
from tests.integration.actions_rig import VENUES, Rig, rig

RATES = {"binance": binance.rates, "bybit": bybit.rates}
EVERY_VENUE = pytest.mark.parametrize("venue", VENUES)
POOLS = {"binance": "spot requests 5M", "bybit": bybit.ADDRESS}


def used(budget: RequestBudget, name: str) -> int:
    return next(line.used for line in budget.lines() if line.name == name)


def asked(here: Rig) -> int:
    return len(here.requests.seen)


@EVERY_VENUE
async def test_every_request_of_a_library_is_counted_where_orders_are(venue: str) -> None:
    async with rig() as here:
        budget = RequestBudget(venue, RATES[venue](), SystemClock())
        keys, budgets = {venue: here.keys(venue)}, {venue: budget}
        async with account_operations([venue], here.settings(), keys, SystemClock(), budgets) as operations:
            before, sent = used(budget, POOLS[venue]), asked(here)
            await operations[venue].networks("USDT")
            assert used(budget, POOLS[venue]) - before == asked(here) - sent == 1


@EVERY_VENUE
async def test_fault_27_a_ban_that_orders_ran_into_holds_for_transfers(venue: str) -> None:
    async with rig() as here:
        budget = RequestBudget(venue, RATES[venue](), SystemClock())
        keys, budgets = {venue: here.keys(venue)}, {venue: budget}
        async with account_operations([venue], here.settings(), keys, SystemClock(), budgets) as operations:
            sent = asked(here)
            budget.bans.sit_out(Banned(venue, "418", retry_after_s=600.0))
            with pytest.raises(Banned, match="not asked"):
                await operations[venue].networks("USDT")
            assert asked(here) == sent


async def test_fault_26_a_429_that_a_transfer_ran_into_holds_for_orders() -> None:
    async with rig() as here:
        budget = RequestBudget("binance", RATES["binance"](), SystemClock())
        keys, budgets = {"binance": here.keys("binance")}, {"binance": budget}
        async with account_operations(["binance"], here.settings(), keys, SystemClock(), budgets) as operations:
            here.requests.fail.append(("GET /sapi/v1/capital/config/getall", 429))
            with pytest.raises(RateLimited):
                await operations["binance"].networks("USDT")
            assert any(line.held_s > 0 for line in budget.lines() if line.name == "spot weight 1M")


async def test_fault_26_a_429_to_a_look_at_withdrawals_holds_no_order() -> None:
    async with rig() as here:
        budget = RequestBudget("binance", RATES["binance"](), SystemClock())
        keys, budgets = {"binance": here.keys("binance")}, {"binance": budget}
        async with account_operations(["binance"], here.settings(), keys, SystemClock(), budgets) as operations:
            here.requests.fail.append(("GET /sapi/v1/capital/withdraw/history", 429))
            sent = Withdrawal("w1", "USDT", "TRX", Decimal(50), "T" * 34, "", SystemClock().now_ns())
            with pytest.raises(RateLimited):
                await operations["binance"].withdrawn(sent)
            assert [line.name for line in budget.lines() if line.held_s > 0] == [binance.WITHDRAWALS]


async def test_a_look_at_withdrawals_that_has_no_room_keeps_nobody_else_waiting() -> None:
    async with rig() as here:
        budget = RequestBudget("binance", RATES["binance"](), SystemClock())
        keys, budgets = {"binance": here.keys("binance")}, {"binance": budget}
        async with account_operations(["binance"], here.settings(), keys, SystemClock(), budgets) as operations:
            budget.hold([binance.WITHDRAWALS], 9.0)
            sent = Withdrawal("w1", "USDT", "TRX", Decimal(50), "T" * 34, "", SystemClock().now_ns())
            with pytest.raises(RateLimited, match="not asked"):
                await operations["binance"].withdrawn(sent)
            await operations["binance"].networks("USDT")
            assert [line.waiting for line in budget.lines() if line.waiting] == []
            assert any(line.held_s > 0 for line in budget.lines()), "it was asked while the look had no room"
