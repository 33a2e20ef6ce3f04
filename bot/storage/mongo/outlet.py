"""One source on its way to one target: its cursor, its next batch, and what was counted."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from bson.datetime_ms import DatetimeMS
from pymongo.errors import PyMongoError

from bot.clock import Clock
from bot.errors import StorageError
from bot.storage.mongo.batches import Backlog, Batch, Source
from bot.storage.mongo.collections import CURSORS
from bot.storage.mongo.cursors import Cursor, CursorFile
from bot.storage.mongo.delivery import Database, deliver
from bot.storage.mongo.worker import Worker

Log = Callable[[str, str], None]
"""Level and text of an event."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one request to the server."""

    documents: int = 1_000
    size_bytes: int = 4 << 20


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How far a source has been delivered."""

    name: str
    position: int
    """The newest `seq` or segment number of which everything was acknowledged."""
    rows_waiting: int
    lag_s: float
    """Age of the oldest row that waits; 0 where none does."""
    documents: int
    """Delivered since the start, those that were there already included."""
    duplicates: int
    rows_missing: int
    """Removed by retention before they could be delivered."""
    aside: int
    """Segments that could not be read; they are tried again."""
    message: str
    """Why it does not go on; empty while it does."""


class Outlet:
    """Delivers one source, batch after batch."""

    def __init__(
        self, source: Source, target: str, cursors: CursorFile, worker: Worker, clock: Clock, log: Log, limits: Limits
    ) -> None:
        self._source = source
        self._target = target
        self._cursors = cursors
        self._worker = worker
        self._clock = clock
        self._log = log
        self._limits = limits
        self._cursor = Cursor()
        self._next: asyncio.Future[Batch | None] | None = None
        self._saving: asyncio.Task[None] | None = None
        self._backlog = Backlog(0, None)
        self._documents = self._duplicates = self._missing = self._aside = 0
        self._message = ""

    async def resume(self, database: Database) -> None:
        """Find out where to go on: where the server and the file agree, and the source is still the same.

        Raises:
            PyMongoError: If the server is away.
            StorageError: If the cursor file or the source cannot be read.
        """
        await self.drop()
        ours = await self._worker.do(lambda: self._cursors.get(self._target, self._source.name))
        found = await database[CURSORS].find_one({"_id": self._id})
        theirs = Cursor(found["position"], found["part"], found["mark"]) if found else None
        cursor = self._agreed(ours, theirs)
        if not await self._worker.do(lambda: self._source.holds(cursor)):
            self._log("warning", f"{self._source.name} is not the one that {self._target} was filled from: all is sent")
            cursor = Cursor()
        self._cursor = cursor

    async def ship(self, database: Database, time_series: frozenset[str]) -> bool:
        """Deliver the next batch; False where there is none, or the source cannot be read now.

        Raises:
            PyMongoError: If it was not acknowledged; the same rows come again.
        """
        batch = await self._take()
        if batch is None:
            await self._saved()
            return False
        self._fetch(batch.after)  # while this one travels
        await self._deliver(database, batch, time_series)
        if batch.aside is not None:
            await self._put_aside(batch.after.position, batch.aside)
        self._lose(batch)
        await self._saved()
        self._cursor = batch.after
        self._saving = asyncio.create_task(self._save(database, batch.after))  # while the next one travels
        return True

    async def retry_aside(self, database: Database, time_series: frozenset[str]) -> None:
        """Try again what could not be read when its turn came."""
        name = self._source.name
        waiting = await self._worker.do(lambda: self._cursors.aside(self._target, name))
        for position, _ in waiting:
            if await self._again(database, time_series, position):
                await self._worker.do(partial(self._cursors.drop_aside, self._target, name, position))
        self._aside = len(await self._worker.do(lambda: self._cursors.aside(self._target, name)))

    async def refresh(self) -> None:
        """Measure what waits."""
        try:
            self._backlog = await self._worker.do(lambda: self._source.backlog(self._cursor))
        except StorageError as error:
            self._say(str(error))

    async def drop(self) -> None:
        """Forget the batch that was prepared, and let the cursor be what was saved of it."""
        self._next = None
        with suppress(PyMongoError, StorageError):  # told already, or told by the next try
            await self._saved()

    def close(self) -> None:
        """Let the source go of its files, behind whatever is still being read; does not wait."""
        self._worker.do(self._source.close)

    def status(self) -> SourceStatus:
        """As of the last batch and the last `refresh`."""
        oldest_ns = self._backlog.oldest_ns
        return SourceStatus(
            name=self._source.name,
            position=self._cursor.position,
            rows_waiting=self._backlog.rows,
            lag_s=0.0 if oldest_ns is None else max(self._clock.now_ns() - oldest_ns, 0) / 1e9,
            documents=self._documents,
            duplicates=self._duplicates,
            rows_missing=self._missing,
            aside=self._aside,
            message=self._message,
        )

    @property
    def _id(self) -> str:
        return f"{self._cursors.origin}:{self._source.name}"

    def _agreed(self, ours: Cursor | None, theirs: Cursor | None) -> Cursor:
        if ours is None or ours == Cursor():
            return theirs or Cursor()
        if theirs is None:
            self._log("warning", f"{self._target} knows nothing of this {self._source.name}: all of it is sent again")
            return Cursor()
        if theirs < ours:
            self._log(
                "warning",
                f"{self._target} stands at {theirs.position} of the {self._source.name}, before the {ours.position} it "
                "acknowledged: it was restored; the rest is sent again",
            )
        return min(ours, theirs)

    async def _take(self) -> Batch | None:
        ahead, self._next = self._next, None
        try:
            batch = None if ahead is None else await ahead
            if batch is None:  # it was looked for a while ago, before the last one travelled
                batch = await self._worker.do(lambda: self._source.batch(self._cursor))
        except StorageError as error:
            self._say(str(error))
            return None
        self._message = ""
        return batch

    def _fetch(self, cursor: Cursor) -> None:
        self._next = self._worker.do(lambda: self._source.batch(cursor))
        # Where delivery fails nobody takes it, and nobody is to be told what became of it.
        self._next.add_done_callback(lambda future: future.cancelled() or future.exception())

    async def _deliver(self, database: Database, batch: Batch, time_series: frozenset[str]) -> None:
        done = await deliver(database, batch, time_series, self._limits.documents, self._limits.size_bytes)
        self._documents += done.documents
        self._duplicates += done.duplicates

    async def _again(self, database: Database, time_series: frozenset[str], position: int) -> bool:
        """Whether there is nothing left to try."""
        cursor = Cursor(position - 1)
        while cursor.position < position:
            batch = await self._worker.do(partial(self._source.batch, cursor))
            if batch is None or batch.aside is not None:
                return batch is None
            await self._deliver(database, batch, time_series)
            self._lose(batch)
            cursor = batch.after
        return True

    def _lose(self, batch: Batch) -> None:
        if batch.missing:
            self._missing += batch.missing
            self._log("error", f"{self._source.name} {batch.after.position} was removed before it was delivered")

    async def _put_aside(self, position: int, reason: str) -> None:
        self._log("error", f"{self._source.name} {position} is delivered later: {reason}")
        name = self._source.name
        await self._worker.do(lambda: self._cursors.put_aside(self._target, name, position, reason))
        self._aside += 1

    async def _saved(self) -> None:
        """Wait for the cursor behind the batch before."""
        saving, self._saving = self._saving, None
        if saving is not None:
            await saving

    async def _save(self, database: Database, cursor: Cursor) -> None:
        await asyncio.gather(self._tell(database, cursor), self._remember(cursor))

    async def _tell(self, database: Database, cursor: Cursor) -> None:
        now = DatetimeMS(self._clock.now_ns() // 1_000_000)
        facts = {"position": cursor.position, "part": cursor.part, "mark": cursor.mark, "time": now}
        await database[CURSORS].replace_one({"_id": self._id}, facts, upsert=True)

    async def _remember(self, cursor: Cursor) -> None:
        await self._worker.do(lambda: self._cursors.put(self._target, self._source.name, cursor))

    def _say(self, message: str) -> None:
        if message != self._message:
            self._log("error", message)
        self._message = message
