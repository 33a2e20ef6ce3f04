"""What tasks beside the market data share: waiting, talking to a person, and failing loudly."""

import asyncio
from collections.abc import Callable

from bot.clock import pause

__all__ = ["Log", "pause", "report_failure"]

Log = Callable[[str, str], None]
"""Takes a level (`info`, `warning`, `error`) and one line for a person."""


def report_failure(task: asyncio.Task[None]) -> None:
    """A done-callback: what a background task raises is a bug of ours, and goes to the loop's exception handler."""
    if not task.cancelled() and (error := task.exception()) is not None:
        context = {"message": "the account could not be followed", "exception": error, "task": task}
        task.get_loop().call_exception_handler(context)
