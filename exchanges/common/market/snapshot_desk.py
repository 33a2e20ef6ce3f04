"""Fetches the order books that builders want: one at a time and so many a minute, for the venue counts them, until one
fits."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial

from bot.clock import Clock
from bot.errors import VenueError
from bot.settings import ConnectionSettings
from exchanges.common.market.connection import backoff_s
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.common.requests.request_pool import Lane, Rate

_BOOKS = "books"
_PATIENCE_S = 3600.0
"""Nobody waits longer than two minutes: one at a time has its turn."""


class SnapshotDesk:
    """One feed's desk. Everything runs on the loop's thread."""

    def __init__(
        self,
        fetch: Callable[[str], Awaitable[bytes]],
        deliver: Callable[[str, bytes], None],
        *,
        settings: ConnectionSettings,
        clock: Clock,
        rng: random.Random,
        on_trouble: Callable[[str], None],
        per_minute: int,
    ) -> None:
        """Nothing is fetched before it is wanted.

        Args:
            fetch: Asks the venue for a symbol's book.
            deliver: Takes the symbol and the answer; what it raises is a bug.
            settings: Waits between tries.
            clock: Drives them.
            rng: Their jitter.
            on_trouble: Hears, in a line for a person, why a book could not be fetched.
            per_minute: So many are asked for at most: orders of ours are counted at the same address.
        """
        self._fetch = fetch
        self._deliver = deliver
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self._on_trouble = on_trouble
        self._attempts: dict[str, int] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()
        self._pace = RequestBudget("", [Rate(_BOOKS, per_minute, 60.0)], clock)

    def want(self, symbol: str) -> None:
        """Fetch its book; a symbol that has been wanted and has not become right since waits longer every time."""
        if symbol not in self._tasks:
            task = asyncio.get_running_loop().create_task(self._bring(symbol))
            self._tasks[symbol] = task
            task.add_done_callback(partial(self._done, symbol))

    def settled(self, symbol: str) -> None:
        """The book is right: the next time it is fetched at once."""
        self._attempts.pop(symbol, None)

    async def close(self) -> None:
        """Fetch nothing more; nothing is delivered afterwards."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _bring(self, symbol: str) -> None:
        retry_after_s = 0.0
        while True:
            await self._pause(symbol, retry_after_s)
            try:
                raw = await self._fetched(symbol)
            except VenueError as error:
                self._on_trouble(f"the order book of {symbol}: {error}")
                retry_after_s = error.retry_after_s or 0.0
                continue
            # Before it is delivered: a snapshot that does not fit is wanted again from within.
            self._tasks.pop(symbol)
            self._deliver(symbol, raw)
            return

    async def _fetched(self, symbol: str) -> bytes:
        async with self._turn:
            leave = await self._pace.acquire({_BOOKS: 1}, Lane.REDUCE, _PATIENCE_S)
            try:
                return await self._fetch(symbol)
            finally:
                leave.settle()

    async def _pause(self, symbol: str, at_least_s: float) -> None:
        attempt = self._attempts.get(symbol, 0)
        self._attempts[symbol] = attempt + 1
        wait_s = max(at_least_s, backoff_s(attempt - 1, self._settings, self._rng) if attempt else 0.0)
        if wait_s > 0.0:
            over = asyncio.Event()
            timer = self._clock.call_later(wait_s, over.set)
            try:
                await over.wait()
            finally:
                timer.cancel()

    def _done(self, symbol: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(symbol) is task:
            del self._tasks[symbol]
        if not task.cancelled() and (error := task.exception()) is not None:
            context = {"message": f"the order book of {symbol} could not be processed", "exception": error}
            task.get_loop().call_exception_handler(context)
