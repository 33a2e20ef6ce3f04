"""Requests of one key, sent one after another: Kraken takes no number lower than one it has had of the key.

Over connections of their own, one of them new, two requests that are sent at once overtake one another, and of a new
order that came second nothing is left. So each waits until the one before it was answered, or must have arrived; what
reduces risk goes first.
"""

import heapq
from asyncio import CancelledError, Future, get_running_loop
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import count

from bot.clock import Clock
from exchanges.common.requests.request_pool import Lane

_ARRIVED_S = 0.25
"""A request that was sent so long ago has come before whatever is sent now."""
LONGEST_S = 0.5
"""No order waits longer, whatever is before it: its deadline is counted from then."""


class Turns:
    """Of one key; all calls come on the loop's thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._holder: object | None = None
        self._waiting: list[tuple[Lane, int, Future[None]]] = []
        self._numbers = count()

    @asynccontextmanager
    async def turn(self, lane: Lane) -> AsyncIterator[None]:
        """Sign and send within the block."""
        if self._holder is not None:
            await self._wait(lane)
        mine = self._holder = object()
        timer = self._clock.call_later(_ARRIVED_S, lambda: self._pass_on(mine))
        try:
            yield
        finally:
            timer.cancel()
            self._pass_on(mine)

    async def _wait(self, lane: Lane) -> None:
        called: Future[None] = get_running_loop().create_future()
        heapq.heappush(self._waiting, (lane, next(self._numbers), called))
        timer = self._clock.call_later(LONGEST_S, partial(_call, called)) if lane <= Lane.ORDER else None
        try:
            await called
        except CancelledError:
            if called.done() and not called.cancelled():
                self._pass_on(called)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _pass_on(self, holder: object | None) -> None:
        """The turn is over, unless it has been another's for long."""
        if holder is not self._holder:
            return
        self._holder = None
        while self._waiting:
            _, _, called = heapq.heappop(self._waiting)
            if not called.done():
                _call(called)
                self._holder = called  # it is taken before anybody else begins
                return


def _call(waiting: "Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)
