"""Why a run is to end, and how it hears of it: a signal, a person, a bug of ours, a market that has gone."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from bot.errors import BotError, InvariantError, VenueError
from bot.signals import ending_signals

_T = TypeVar("_T")


class StoppedEarlyError(Exception):
    """A person, or a bug that was found, ends the run before it has begun."""


class Ending:
    """Set once something ends the run; who runs it waits for `stop`."""

    def __init__(self, on_bug: Callable[[BotError], None], log: Callable[[str, str], None]) -> None:
        """Nothing ends it yet. `on_bug` hears of the first failure on the loop; `log` takes a level and a line."""
        self._on_bug = on_bug
        self._log = log
        self._loop: asyncio.AbstractEventLoop | None = None
        self.stop = asyncio.Event()
        self.interrupted = False
        """By a person or the system: `bot.signals`."""
        self.failure: BotError | None = None
        """What was raised where nobody could catch it: a bug of ours, or the journal is lost."""
        self.lost: VenueError | None = None
        """Why the market was gone before its end."""

    def listen(self) -> None:
        """From now on signals end the run, and so does what a callback of the loop raises."""
        self._loop = loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._on_failure)
        for number in ending_signals():
            loop.add_signal_handler(number, self._on_signal)

    def lose(self, why: VenueError) -> None:
        """The market has gone for good."""
        self.lost = why
        self.stop.set()

    async def unless_stopped(self, beginning: Coroutine[Any, Any, _T]) -> _T:
        """What `beginning` comes to; a venue that is away may take minutes, and a person need not wait for it.

        Raises:
            StoppedEarlyError: If the run is to end.
        """
        task, stopped = asyncio.create_task(beginning), asyncio.create_task(self.stop.wait())
        try:
            await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise StoppedEarlyError
        finally:
            for one in (task, stopped):
                one.cancel()
            await asyncio.gather(task, stopped, return_exceptions=True)

    def deliver(self, callback: Callable[[], None]) -> None:
        """Run a callback on the engine's thread; one that is told when the loop has ended has nobody left to tell."""
        assert self._loop is not None, "nothing is told before the run"
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback)

    def _on_failure(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if self.failure is None:
            error, message = context.get("exception"), context.get("message", "")
            self.failure = error if isinstance(error, BotError) else InvariantError(f"{message}: {error!r}")
            self.stop.set()  # first: a journal that takes nothing more fails whoever tells of it
            self._on_bug(self.failure)

    def _on_signal(self) -> None:
        if self.interrupted:
            self._log("warning", "stopping already; the journal is being closed")
        self.interrupted = True
        self.stop.set()
