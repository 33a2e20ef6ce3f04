"""One account, one process, across machines: a document for each account in MongoDB, held for a while and renewed.

The lock file (`bot.storage.account_lock`) is what one machine knows. Where a database is configured, a bot on another
machine finds the account taken there too. A database that is away takes nothing and gives nothing back: trading does
not depend on it, and what it cannot tell is said.
"""

import asyncio
from collections.abc import Callable, Iterable

from pymongo.errors import DuplicateKeyError, PyMongoError

from bot.clock import Clock, pause
from bot.errors import PreflightFailed
from bot.storage.mongo.uri import Client, MongoTarget, connect, told

LEASES = "account_leases"
HELD_S = 30.0
"""Clocks of two machines may be seconds apart; a bot that was killed keeps others away for no longer than this."""
_RENEW_S = 10.0
_LOOK_S = 1.0
"""How often a start looks whether who holds an account lives."""
_S = 1_000_000_000


class AccountLease:
    """Holds every account of a run in one database, from `take` to `release`."""

    def __init__(
        self,
        target: MongoTarget,
        accounts: Iterable[tuple[str, str]],
        holder: str,
        clock: Clock,
        log: Callable[[str, str], None],
        client: Callable[[MongoTarget], Client] = connect,
    ) -> None:
        """Nothing is taken before `take`.

        Args:
            target: Which database.
            accounts: Venue and fingerprint of the key of each.
            holder: Unique to this run; a person should know by it which bot that is.
            clock: Of the wall.
            log: Takes a level and a line.
            client: Connects.
        """
        self._target = target
        self._ids = [f"{venue}:{fingerprint}" for venue, fingerprint in sorted(set(accounts))]
        self._holder = holder
        self._clock = clock
        self._log = log
        self._client = client(target)
        self._leases = self._client[target.database][LEASES]
        self._renewing: asyncio.Task[None] | None = None
        self._is_away = False
        self._held_until: dict[str, int] = {}
        """By account: until when another bot had it at the last look, UTC ns of that bot's clock."""
        self.on_lost: Callable[[str], None] = lambda why: None
        """Called when another bot holds an account that this one trades on."""

    async def take(self) -> None:
        """Hold every account from now on; a database that is away is said, and does not stop the start.

        An account that is held is waited for until its holder shows that it lives: a bot that was killed and started
        again finds its own lease of a moment ago, and pairs may be open.

        Raises:
            PreflightFailed: If another bot holds one of them.
        """
        for account in self._ids:
            held_by = await self._hold(account)
            if held_by is not None:
                held_by = await self._outlast(account, held_by)
            if held_by is not None:
                await self.release()
                venue = account.partition(":")[0]
                raise PreflightFailed(
                    f"the account at {venue} is traded on by {held_by}, says MongoDB ({self._target.name}): stop that "
                    f"bot first"
                )
        self._renewing = asyncio.get_running_loop().create_task(self._renew())

    async def _outlast(self, account: str, held_by: str) -> str | None:
        """Who holds it still, and has renewed it meanwhile; None: it has run out, and is ours.

        A database that goes away meanwhile does not say that it has.
        """
        venue = account.partition(":")[0]
        words = f"{held_by} held the account at {venue} a moment ago, says MongoDB: waiting whether it lives"
        self._log("warning", f"{words}, {HELD_S:g} s at most")
        clock, known = self._clock, self._held_until.get(account)
        give_up_ns = clock.monotonic_ns() + round((HELD_S + _RENEW_S) * _S)
        still: str | None = held_by
        while still is not None and self._held_until.get(account) == known and clock.monotonic_ns() < give_up_ns:
            await pause(clock, _LOOK_S)
            found = await self._hold(account)
            still = held_by if self._is_away else found
        return still

    async def release(self) -> None:
        """Let another bot have them; calling it twice does nothing."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait({self._renewing})
            self._renewing = None
        try:
            await self._leases.delete_many({"_id": {"$in": self._ids}, "holder": self._holder})
        except PyMongoError as error:
            self._log("warning", f"the accounts stay taken for {HELD_S:g} s: {told(error, self._target)}")
        await self._client.close()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_S)
            for account in self._ids:
                held_by = await self._hold(account)
                if held_by is not None:
                    venue = account.partition(":")[0]
                    self.on_lost(f"{held_by} trades on our account at {venue} as well, says MongoDB")
                    return

    async def _hold(self, account: str) -> str | None:
        """Take or renew; who holds it instead, None where it is ours, or nobody can tell."""
        now_ns = self._clock.now_ns()
        free = {"_id": account, "$or": [{"holder": self._holder}, {"until_ns": {"$lt": now_ns}}]}
        ours = {"$set": {"holder": self._holder, "until_ns": now_ns + round(HELD_S * _S)}}
        try:
            try:
                await self._leases.update_one(free, ours, upsert=True)
            except DuplicateKeyError:
                held_by = await self._holder_of(account)
                self._is_away = False
                return held_by
        except PyMongoError as error:
            if not self._is_away:
                why = told(error, self._target)
                self._log("warning", f"whether another machine trades on our accounts is not known: {why}")
            self._is_away = True
            return None
        self._is_away = False
        return None

    async def _holder_of(self, account: str) -> str:
        other = await self._leases.find_one({"_id": account})
        if other is None:
            return "another bot"
        self._held_until[account] = int(other["until_ns"])
        return str(other["holder"])
