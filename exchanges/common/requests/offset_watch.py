"""The offset of a venue's clock, measured at the start of a reader and again every ten minutes."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from bot.clock import Clock, Timer
from bot.errors import VenueError
from exchanges.common.requests.clock_offset import measure_offset

_EVERY_S = 600.0

AskTime = Callable[[], Awaitable[int]]
"""One request; answers the venue's time, UTC ms."""


class OffsetWatch:
    """One reader's watch. What cannot be measured is told and tried again: frames tell the offset too, only later."""

    def __init__(
        self,
        opened: Callable[[], AbstractAsyncContextManager[AskTime]],
        clock: Clock,
        *,
        on_offset: Callable[[int, int], None],
        on_trouble: Callable[[str], None],
    ) -> None:
        """Nothing is asked before `begin`.

        Args:
            opened: Connects to what tells the venue's time, for the length of a block.
            clock: Ours; it drives the timer as well.
            on_offset: Takes the venue's clock minus ours and the round trip, both ns.
            on_trouble: Takes a line for a person.
        """
        self._opened = opened
        self._clock = clock
        self._on_offset = on_offset
        self._on_trouble = on_trouble
        self._timer: Timer | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> asyncio.Task[None]:
        """Measure now, and from then on regularly; the task ends with this measurement, and raises nothing.

        Once it has begun: measure now instead of later, unless that is being done.
        """
        if self._task is not None and not self._task.done():
            return self._task
        if self._timer is not None:
            self._timer.cancel()
        self._task = asyncio.get_running_loop().create_task(self._measure())
        self._timer = self._clock.call_later(_EVERY_S, self._again)
        return self._task

    async def stop(self) -> None:
        """Measure nothing more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _again(self) -> None:
        self.begin()

    async def _measure(self) -> None:
        try:
            async with self._opened() as ask:
                offset_ns, round_trip_ns = await measure_offset(ask, self._clock)
        except VenueError as error:
            self._on_trouble(f"the clock offset could not be measured: {error}")
            return
        self._on_offset(offset_ns, round_trip_ns)
