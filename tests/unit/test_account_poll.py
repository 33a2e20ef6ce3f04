"""Balances at a venue without a private stream: asked for after fills, and else rarely, whatever rests there."""

import asyncio
from typing import Any

from bot.clock import VirtualClock
from bot.errors import VenueUnavailable
from exchanges.common.account.account_poll import AFTER_FILL_S, IDLE_S, AccountPoll
from exchanges.common.account.venue_state import VenueState
from exchanges.common.requests.request_budget import RequestBudget

S = 1_000_000_000


class Account:
    def __init__(self) -> None:
        self.asked = 0
        self.is_away = False

    async def load_account(self) -> None:
        self.asked += 1
        if self.is_away:
            raise VenueUnavailable("kraken", "no answer in time")


class Bench:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.account, self.looks = Account(), 0
        self.state = VenueState(RequestBudget("kraken", [], self.clock), [], self.clock, lambda *_: None)
        account: Any = self.account
        self.poll = AccountPoll(account, self.state, self.clock, lambda *_: None, self._look)
        self.task = asyncio.create_task(self.poll.run())

    def _look(self) -> None:
        self.looks += 1

    async def passes(self, seconds: float) -> None:
        await _turns()
        self.clock.advance_to(self.clock.now_ns() + round(seconds * S))
        await _turns()


async def _turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_without_fills_balances_are_asked_for_now_and_then_and_orders_are_left_to_their_carrier() -> None:
    bench = Bench()
    for _ in range(4):
        await bench.passes(IDLE_S / 4)
    assert (bench.account.asked, bench.looks) == (1, 0)
    bench.task.cancel()


async def test_a_burst_of_fills_is_one_question() -> None:
    bench = Bench()
    await bench.passes(1.0)
    for _ in range(3):
        bench.poll.on_fill()
    await bench.passes(AFTER_FILL_S)
    assert bench.account.asked == 1
    bench.task.cancel()


async def test_after_a_time_unheard_every_order_is_asked_for_once() -> None:
    bench = Bench()
    bench.account.is_away = True
    for _ in range(4):
        await bench.passes(IDLE_S)
    assert bench.state.blocked() is not None
    bench.account.is_away = False
    for _ in range(4):
        await bench.passes(IDLE_S)
    assert (bench.state.blocked(), bench.looks) == (None, 1)
    bench.task.cancel()
