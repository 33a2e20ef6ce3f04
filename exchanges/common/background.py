"""What tasks beside the market data share: waiting, talking to a person, and failing loudly."""

import asyncio
from collections.abc import Callable

from bot.clock import Clock

Log = Callable[[str, str], None]
"""Takes a level (`info`, `warning`, `error`) and one line for a person."""


async def pause(clock: Clock, delay_s: float) -> None:
    """Return in `delay_s` seconds of `clock`."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    timer = clock.call_later(delay_s, lambda: None if future.done() else future.set_result(None))
    try:
        await future
    finally:
        timer.cancel()


def report_failure(task: asyncio.Task[None]) -> None:
    """A done-callback: what a background task raises is a bug of ours, and goes to the loop's exception handler."""
    if not task.cancelled() and (error := task.exception()) is not None:
        context = {"message": "the account could not be followed", "exception": error, "task": task}
        task.get_loop().call_exception_handler(context)
