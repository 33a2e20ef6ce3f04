"""MongoDB as a source of answers: the same as of the archive and journal that it was filled from.

Reading waits for the server, so it is done with the plain client, in a thread or a process of its own, and never in
the loop that trades.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from bson.datetime_ms import DatetimeMS
from pymongo import DESCENDING, MongoClient
from pymongo.errors import PyMongoError
from pymongo.synchronous.database import Database

from bot.errors import StorageError
from bot.ports import RecordKind
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.book_replay import DepthRules
from bot.storage.market_queries import MarketQueries
from bot.storage.mongo.collections import META, VERSION
from bot.storage.mongo.journal_documents import COLLECTIONS as JOURNAL
from bot.storage.mongo.journal_documents import record_of
from bot.storage.mongo.market_documents import COLLECTIONS as MARKET
from bot.storage.mongo.segment_rows import MINUTE_NS, Form
from bot.storage.mongo.tables import filter_of, table_of
from bot.storage.mongo.uri import MongoTarget, told
from bot.storage.queries import Record, Run, runs_of
from bot.storage.stored_queries import LIVELY, StoredQueries

Document = dict[str, Any]
_T = TypeVar("_T")


@contextmanager
def mongo_queries(
    target: MongoTarget, depth_rules: Mapping[str, DepthRules] | None = None, *, answer_within_s: float = 60.0
) -> Iterator[MarketQueries]:
    """Answers out of a database, until the block ends.

    Args:
        target: Which.
        depth_rules: By venue, as its live books are built.
        answer_within_s: What the server has not answered by then has failed.

    Raises:
        StorageError: If the server cannot be reached, or the database was written by a newer version. So does every
            question that is not answered; no message has the password in it.
    """
    server = _Server(target, answer_within_s)
    try:
        form = server.ask(_form_of)
        yield StoredQueries(MongoRows(server, form), MongoRecords(server), depth_rules)
    finally:
        server.close()


class _Server:
    """Asks, and says in one safe line what went wrong."""

    def __init__(self, target: MongoTarget, answer_within_s: float) -> None:
        limit_ms = int(answer_within_s * 1000)
        self._target = target
        self._client: MongoClient[Document] = MongoClient(
            target.uri.get_secret_value(),
            appname="crypto-pipe queries",
            socketTimeoutMS=limit_ms,
            serverSelectionTimeoutMS=min(limit_ms, 5_000),
            connect=False,
            compressors=[],  # as the shipper: CVE-2025-14847 is in the server's zlib
        )
        self._database = self._client[target.database]

    def ask(self, question: Callable[[Database[Document]], _T]) -> _T:
        try:
            return question(self._database)
        except PyMongoError as error:
            raise StorageError(told(error, self._target)) from error

    def close(self) -> None:
        self._client.close()


def _form_of(database: Database[Document]) -> Form:
    schema = database[META].find_one({"_id": "schema"})
    if schema is None:
        return Form.ROW  # nothing was ever delivered
    if int(schema["version"]) > VERSION:
        raise StorageError(
            f"the MongoDB database {database.name} was written by a newer version (schema {schema['version']}, this "
            f"program knows {VERSION}): update the program"
        )
    return Form(schema["quotes"])


class MongoRows:
    """`MarketRows` of a database; `quotes` tells how its quotes stand there."""

    def __init__(self, server: _Server, quotes: Form) -> None:
        """`server` stays the caller's to close."""
        self._server = server
        self._quotes = quotes

    def rows(self, channel: Channel, name: str, start_ns: int, stop_ns: int) -> pa.Table:
        """Rows of a span."""
        wanted = filter_of(channel, self._quotes, name, start_ns, stop_ns)
        table = table_of(channel, self._server.ask(lambda database: list(database[MARKET[channel]].find(wanted))))
        received = table.column("ts_recv_ns")
        return table.filter(pc.and_(pc.greater_equal(received, start_ns), pc.less(received, stop_ns)))

    def newest(self, channel: Channel, name: str, ts_ns: int) -> pa.Table:
        """The newest row at or before `ts_ns`."""
        before_ns = ts_ns + 1
        while (start_ns := self._newest_start(channel, name, before_ns)) is not None:
            rows = self.rows(channel, name, start_ns, ts_ns + 1)
            if rows.num_rows:
                return rows.slice(rows.num_rows - 1)
            before_ns = start_ns  # a minute whose rows are all newer
        return SCHEMAS[channel].empty_table()

    def _newest_start(self, channel: Channel, name: str, before_ns: int) -> int | None:
        """The time that the newest document before `before_ns` goes by."""
        key = "minute_ns" if channel is Channel.QUOTES and self._quotes is Form.MINUTE else "ts_recv_ns"
        wanted = {"instrument": {"$eq": name}, key: {"$lt": before_ns}}
        return self._newest_time(channel, wanted, key)

    def _newest_time(self, channel: Channel, wanted: Document, key: str) -> int | None:
        found = self._server.ask(lambda database: database[MARKET[channel]].find_one(wanted, sort=[(key, DESCENDING)]))
        return None if found is None else int(found[key])

    def depth(self, instrument: str, ts_ns: int) -> pa.Table:
        """Messages from the newest snapshot on."""
        wanted = {"instrument": {"$eq": instrument}, "ts_recv_ns": {"$lte": ts_ns}, "kind": {"$ne": "delta"}}
        start_ns = self._newest_time(Channel.DEPTH, wanted, "ts_recv_ns")
        if start_ns is None:
            return SCHEMAS[Channel.DEPTH].empty_table()
        return self.rows(Channel.DEPTH, instrument, start_ns, ts_ns + 1)

    def has_later(self, instrument: str, ts_ns: int) -> bool:
        """Whether there is a newer document: first of the instrument, which has an index, then of any."""
        since = {"time": {"$gte": DatetimeMS(ts_ns // MINUTE_NS * MINUTE_NS // 1_000_000)}}
        # Of quotes by the minute the times are a list; one that is newer is enough.
        newer = {"ts_recv_ns": {"$gt": ts_ns}}
        own = {"instrument": {"$eq": instrument}}
        return any(
            self._server.ask(lambda database: database[MARKET[channel]].find_one(wanted, {"_id": 1})) is not None  # noqa: B023 - asked at once
            for wanted in (own | since | newer, since | newer)
            for channel in LIVELY
        )

    def unwritten(self) -> None:
        """The outbox sends one segment after the other, and does not tell which belong together."""


class MongoRecords:
    """`RunRecords` of a database."""

    def __init__(self, server: _Server) -> None:
        """`server` stays the caller's to close."""
        self._server = server

    def runs(self, since_ns: int | None = None) -> list[Run]:
        """Runs in the order in which they started."""
        return runs_of(self._find(RecordKind.RUN, {}), self._newest_ns, since_ns)

    def records(self, run_id: str, kind: RecordKind, since_ns: int | None, until_ns: int | None) -> Sequence[Record]:
        """Records of one kind in a span."""
        bounds = {sign: bound for sign, bound in (("$gte", since_ns), ("$lt", until_ns)) if bound is not None}
        return self._find(kind, {"run_id": {"$eq": run_id}} | ({"ts_ns": bounds} if bounds else {}))

    def _find(self, kind: RecordKind, wanted: Document) -> list[Record]:
        found = self._server.ask(lambda database: list(database[JOURNAL[kind]].find(wanted).sort("seq")))
        return [record_of(document) for document in found]

    def _newest_ns(self, run_id: str) -> int:
        wanted = {"run_id": {"$eq": run_id}}
        newest = (
            self._server.ask(lambda database: database[name].find_one(wanted, sort=[("ts_ns", DESCENDING)]))  # noqa: B023 - asked at once
            for name in JOURNAL.values()
        )
        return max(int(document["ts_ns"]) for document in newest if document is not None)
