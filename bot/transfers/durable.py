"""Waiting until what was written down is on the disk."""

import asyncio

from bot.errors import StorageError
from bot.ports import Journal

_WITHIN_S = 30.0


async def durable(journal: Journal) -> None:
    """Return once everything that was recorded so far is fsynced.

    Raises:
        StorageError: If it is not, or not within half a minute.
    """
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    journal.when_durable(lambda: None if done.done() else done.set_result(None))
    try:
        async with asyncio.timeout(_WITHIN_S):
            await done
    except TimeoutError:
        raise StorageError("the journal cannot be written: nothing becomes durable") from None
