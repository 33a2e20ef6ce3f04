"""The accounts of a run, held in MongoDB too where one is configured: bots on other machines look there."""

import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bot.clock import SystemClock
from bot.settings import Settings
from bot.storage.account_lock import key_fingerprint

if TYPE_CHECKING:
    from bot.storage.mongo.lease import AccountLease
    from exchanges.markets import OpenMarket


@asynccontextmanager
async def leased(
    opened: "OpenMarket", settings: Settings, run_id: str, log: Callable[[str, str], None]
) -> AsyncIterator["AccountLease | None"]:
    """Held for the length of the block; None where no MongoDB is configured, or the accounts are nobody else's.

    Raises:
        PreflightFailed: If a bot on another machine trades on one of them.
    """
    from modes.memory import mongo_uri

    uri = mongo_uri(settings, os.environ)
    if uri is None or opened.dies_with_run or not opened.accounts:
        yield None
        return
    # Imported here: the client library takes its time to load.
    from bot.storage.mongo.lease import AccountLease
    from bot.storage.mongo.uri import MongoTarget

    held = [(one.venue, key_fingerprint(one.key)) for one in opened.accounts]
    holder = f"run {run_id} on {socket.gethostname()}"
    lease = AccountLease(MongoTarget.of(uri), held, holder, SystemClock(), log)
    await lease.take()
    try:
        yield lease
    finally:
        await lease.release()
