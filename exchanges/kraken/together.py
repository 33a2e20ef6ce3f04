"""Questions that Kraken answers many of at once: those that are asked in one moment are one request.

Its counter has little room, and fills are heard of by asking alone: orders that rest would else wait for one another.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Generic, TypeVar

from bot.clock import Clock, pause
from exchanges.ccxt.errors import NOT_UNDERSTOOD
from exchanges.common.requests.refusals import Refusal

T = TypeVar("T")
Question = Callable[[Collection[str]], Awaitable[Mapping[str, T]]]
"""Asks about any number of things, named; what is not known is left out."""
_GATHERED_S = 0.02
"""Timers that are set for one moment end within less."""


class Together(Generic[T]):
    """Questions of one kind. All calls come on the loop's thread."""

    def __init__(self, clock: Clock, most: int) -> None:
        """One request is about so many things at most."""
        self._clock = clock
        self._most = most
        self._next: _Request[T] | None = None

    async def ask(self, about: Collection[str], question: Question[T]) -> Mapping[str, T]:
        """The answers about these, by what each is about.

        Of all that ask in one moment, the first one's question is put, for all of them. Where that is refused, or one
        of the answers cannot be read, each asks for itself: nobody is blind for another's sake.

        Args:
            about: No more than one request may be about.
            question: Raises what this then raises.
        """
        request = self._next
        if request is None or request.is_closed or len({*request.about, *about}) > self._most:
            request = self._next = _Request()
        request.about |= dict.fromkeys(about)
        try:
            answers = await request.answered(self._clock, question)
        except (Refusal, *NOT_UNDERSTOOD):
            if request.about.keys() == set(about):
                raise
            answers = await question(about)
        return {one: answers[one] for one in about if one in answers}


class _Request(Generic[T]):
    """One of them; it ends when nobody waits for it any more."""

    def __init__(self) -> None:
        self.about: dict[str, None] = {}
        self.is_closed = False
        self._waiting = 0
        self._task: asyncio.Task[Mapping[str, T]] | None = None

    async def answered(self, clock: Clock, question: Question[T]) -> Mapping[str, T]:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._ask(clock, question))
            self._task.add_done_callback(_heard)
        self._waiting += 1
        try:
            return await asyncio.shield(self._task)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self.is_closed = True
                self._task.cancel()

    async def _ask(self, clock: Clock, question: Question[T]) -> Mapping[str, T]:
        await pause(clock, _GATHERED_S)
        self.is_closed = True
        return await question(list(self.about))


def _heard(task: "asyncio.Task[Mapping[str, T]]") -> None:
    if not task.cancelled():
        task.exception()  # where all who asked have gone nobody else looks at it
