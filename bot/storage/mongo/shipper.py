"""Keeps a MongoDB filled with what the journal and the archive hold, whenever it is there.

The sources are durable, so nothing waits in memory: however long the server is away, this holds two batches at most. An
acknowledged batch moves the cursor; what was sent and not acknowledged is sent again and found there.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from pymongo.errors import PyMongoError

from bot.clock import Clock
from bot.errors import BotError, StorageError
from bot.storage.mongo.batches import Source
from bot.storage.mongo.collections import Layout, prepare
from bot.storage.mongo.cursors import CursorFile
from bot.storage.mongo.delivery import Database
from bot.storage.mongo.outlet import Limits, Log, Outlet, SourceStatus
from bot.storage.mongo.uri import Client, MongoTarget, connect, told
from bot.storage.mongo.worker import Worker
from bot.text import inert


class State(StrEnum):
    """What the shipper does."""

    STARTING = "starting"
    CONNECTED = "connected"
    AWAY = "away"
    """The server does not answer or refuses, or our own file cannot be written; tried again."""
    REFUSED = "refused"
    """Its database must not be written to; final."""
    FAILED = "failed"
    """A bug of ours ended it; the rest of the bot goes on, and what waits is delivered by the next start."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Pace:
    """When to look and how long to wait, in seconds."""

    poll_s: float = 1.0
    """Between two looks at the sources, while nothing waits."""
    backoff_first_s: float = 0.25
    backoff_cap_s: float = 30.0
    refresh_s: float = 5.0
    """Between two measurements of what waits."""
    aside_s: float = 600.0
    """Between two tries of what could not be read."""


@dataclass(frozen=True, slots=True)
class ShipperStatus:
    """For dashboards and reports; holds no secret."""

    target: str
    state: State
    message: str
    """Why it is away or refused."""
    sources: tuple[SourceStatus, ...]


class MongoShipper:
    """Delivers sources to a target, exactly once, from its `start` to its `stop`.

    Args:
        target: Where to.
        sources: In this order; each gets its turn, so that none waits for the backlog of another.
        cursors: How far they are.
        clock: For waiting, and for the age of what waits.
        layout: Of the database.
        pace: How often it looks, how long it waits.
        limits: Of one request.
        log: Gets level and text when something changes.
        client: Makes the connection.
        jitter: A number from 0 to 1; spreads the tries of many bots.
    """

    def __init__(
        self,
        target: MongoTarget,
        sources: Sequence[Source],
        cursors: CursorFile,
        clock: Clock,
        *,
        layout: Layout | None = None,
        pace: Pace | None = None,
        limits: Limits | None = None,
        log: Log = lambda level, text: None,
        client: Callable[[MongoTarget], Client] = connect,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._target = target
        self._clock = clock
        self._layout = layout or Layout()
        self._pace = pace or Pace()
        self._log = log
        self._connect = client
        self._jitter = jitter
        self._worker = Worker("mongo")
        self._outlets = [
            Outlet(source, target.name, cursors, self._worker, clock, log, limits or Limits()) for source in sources
        ]
        self._state = State.STARTING
        self._message = ""
        self._failures = 0
        self._stopping = False
        self._is_stopped = False
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._refreshed_ns = self._retried_ns = 0

    async def check(self, within_s: float = 5.0) -> bool:
        """Look at the database before the start; False where it cannot be reached, which is no reason not to start.

        Nor is one that answers slowly: what is wrong with it is told when it has answered.

        Raises:
            StorageError: If it must not be written to: a newer program wrote it, or its quotes have the other form.
        """
        client = self._connect(self._target)
        try:
            async with asyncio.timeout(within_s):
                await prepare(client[self._target.database], self._layout)
        except PyMongoError as error:
            self._be(State.AWAY, told(error, self._target))
            return False
        except TimeoutError:
            self._be(State.AWAY, f"it was not ready within {within_s:g} s")
            return False
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await client.close()
        return True

    def start(self) -> None:
        """Begin; returns at once."""
        self._task = asyncio.create_task(self._run(), name="mongo")
        self._task.add_done_callback(self._ended)

    async def stop(self, within_s: float = 5.0) -> None:
        """Deliver what waits, for `within_s` seconds at most; what remains is delivered at the next start."""
        if self._is_stopped:
            return
        self._is_stopped = self._stopping = True
        self._woken.set()
        if self._task is not None:
            done, _ = await asyncio.wait({self._task}, timeout=within_s)
            if not done:
                self._task.cancel()
                await asyncio.wait({self._task}, timeout=1.0)
        with suppress(TimeoutError, BotError):
            # What is told to wait for the next start is what waits now, and not when it was looked at last.
            await asyncio.wait_for(self._refresh(), within_s)
        for outlet in self._outlets:
            outlet.close()
        self._worker.close()
        if self._state is not State.FAILED:
            self._state = State.STOPPED

    def wake(self) -> None:
        """There is something new: do not wait for the next look."""
        self._woken.set()

    def status(self) -> ShipperStatus:
        """How it stands now; cheap."""
        return ShipperStatus(
            self._target.name, self._state, self._message, tuple(outlet.status() for outlet in self._outlets)
        )

    async def _run(self) -> None:
        client = self._connect(self._target)
        try:
            while not self._stopping and self._state is not State.REFUSED:
                await self._visit(client[self._target.database])
        finally:
            for outlet in self._outlets:
                await outlet.drop()
            await client.close()

    async def _visit(self, database: Database) -> None:
        """Ship until the server is away, or until the stop."""
        try:
            time_series = await self._prepared(database)
            if time_series is not None:
                await self._ship(database, time_series)
        except PyMongoError as error:
            self._be(State.AWAY, told(error, self._target))
        except StorageError as error:
            self._be(State.AWAY, str(error))
        if self._state is State.AWAY:
            await self._refresh()
            self._woken.clear()
            await self._pause(self._backoff_s())

    async def _prepared(self, database: Database) -> frozenset[str] | None:
        """The time-series collections; None where the database must not be written to."""
        try:
            return await prepare(database, self._layout)
        except StorageError as error:
            self._be(State.REFUSED, str(error))
            return None

    async def _ship(self, database: Database, time_series: frozenset[str]) -> None:
        for outlet in self._outlets:
            await outlet.resume(database)
        self._be(State.CONNECTED, "")
        self._retried_ns = 0
        while True:
            is_last = self._stopping  # what came until the stop is seen by a look that begins after it
            is_busy = False
            for outlet in self._outlets:
                is_busy |= await outlet.ship(database, time_series)
            self._failures = 0
            await self._now_and_then(database, time_series)
            if is_last and not is_busy:
                return
            if not is_busy:
                await self._pause(self._pace.poll_s)

    async def _now_and_then(self, database: Database, time_series: frozenset[str]) -> None:
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._refreshed_ns >= self._pace.refresh_s * 1e9:
            await self._refresh()
        if not self._retried_ns or now_ns - self._retried_ns >= self._pace.aside_s * 1e9:
            self._retried_ns = now_ns
            for outlet in self._outlets:
                await outlet.retry_aside(database, time_series)

    async def _refresh(self) -> None:
        self._refreshed_ns = self._clock.monotonic_ns()
        for outlet in self._outlets:
            await outlet.refresh()

    async def _pause(self, seconds: float) -> None:
        """Wait, on the clock; `wake` and `stop` end it."""
        if self._stopping:
            return
        timer = self._clock.call_later(seconds, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            timer.cancel()
            self._woken.clear()  # and not later: who wakes during the look that follows may have what it has missed

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._be(State.FAILED, f"{type(error).__name__}: {inert(str(error))}")

    def _backoff_s(self) -> float:
        self._failures += 1
        longest = min(self._pace.backoff_cap_s, self._pace.backoff_first_s * 2.0 ** min(self._failures - 1, 30))
        return longest * (0.5 + self._jitter() / 2)

    def _be(self, state: State, message: str) -> None:
        if (state, message) != (self._state, self._message):
            level = {State.AWAY: "warning", State.REFUSED: "error", State.FAILED: "error"}.get(state, "info")
            self._log(level, f"MongoDB {state.value}: {message or self._target.name}")
        self._state, self._message = state, message
