"""Connections started at once: all of them, or the first failure."""

import asyncio
from collections.abc import Sequence

from exchanges.common.market.connection import SupervisedConnection


async def start_together(connections: Sequence[SupervisedConnection]) -> None:
    """Start every connection; returns when each has delivered market data.

    Raises:
        VenueError: The first failure: one that is final is told before the others have timed out.
    """
    starting = [asyncio.create_task(connection.start()) for connection in connections]
    try:
        if starting:
            await asyncio.wait(starting, return_when=asyncio.FIRST_EXCEPTION)
        for task in starting:
            if task.done():
                task.result()
    finally:
        for task in starting:
            task.cancel()
        await asyncio.gather(*starting, return_exceptions=True)
