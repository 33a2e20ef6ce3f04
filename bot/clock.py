"""The only place that knows the time and the timers: a system clock, and a virtual one that moves everything.

Durations come from `monotonic_ns`; `now_ns` is wall time (UTC ns since the epoch) and may step.
"""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable, Collection
from typing import Protocol


class Timer(Protocol):
    """A callback that waits for its time."""

    def cancel(self) -> None:
        """Forget it; nothing happens if it has fired."""


class Clock(Protocol):
    """Time and timers."""

    def now_ns(self) -> int:
        """UTC ns since the epoch."""

    def monotonic_ns(self) -> int:
        """For durations; never goes back."""

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` once, in `delay_s` seconds, on the engine's thread."""


class SystemClock:
    """Real time; timers on the running asyncio loop."""

    def now_ns(self) -> int:
        """UTC ns since the epoch."""
        return time.time_ns()  # noqa: TID251 - this is the one place

    def monotonic_ns(self) -> int:
        """For durations; never goes back."""
        return time.monotonic_ns()

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` once, in `delay_s` seconds, on the running loop."""
        return asyncio.get_running_loop().call_later(delay_s, callback)


class _VirtualTimer:
    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class VirtualClock:
    """Time that stands still until it is advanced; due timers fire in order, each at its own time."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns
        self._timers: list[tuple[int, int, _VirtualTimer]] = []
        self._order = itertools.count()

    def now_ns(self) -> int:
        """The virtual time, UTC ns since the epoch."""
        return self._now_ns

    def monotonic_ns(self) -> int:
        """The same: virtual time never goes back."""
        return self._now_ns

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` when the clock is advanced past now + `delay_s`."""
        timer = _VirtualTimer(callback)
        heapq.heappush(self._timers, (self._now_ns + round(delay_s * 1e9), next(self._order), timer))
        return timer

    def next_due_ns(self, leaving_out: Collection[Timer] = ()) -> int | None:
        """When the next timer fires, some left out; None where none waits."""
        timers = self._timers
        while timers and timers[0][2].callback is None:
            heapq.heappop(timers)
        if not leaving_out:
            return timers[0][0] if timers else None
        waiting = (due_ns for due_ns, _, one in timers if one.callback is not None and one not in leaving_out)
        return min(waiting, default=None)

    def advance_to(self, ts_ns: int) -> None:
        """Move to `ts_ns`, firing every timer due on the way; an earlier time leaves the clock where it is."""
        timers = self._timers
        while timers and timers[0][0] <= ts_ns:
            due_ns, _, timer = heapq.heappop(timers)
            self._now_ns = max(self._now_ns, due_ns)
            if timer.callback is not None:
                timer.callback()
        if ts_ns > self._now_ns:
            self._now_ns = ts_ns


async def pause(clock: Clock, delay_s: float) -> None:
    """Return in `delay_s` seconds of `clock`."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    timer = clock.call_later(delay_s, lambda: None if future.done() else future.set_result(None))
    try:
        await future
    finally:
        timer.cancel()
