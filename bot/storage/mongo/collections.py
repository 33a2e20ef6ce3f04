"""The database's collections, their indexes and its schema version: made where missing, the same every time."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pymongo import ASCENDING, IndexModel
from pymongo.errors import CollectionInvalid, OperationFailure

from bot.errors import StorageError
from bot.storage.archive.channels import Channel
from bot.storage.mongo.delivery import Database
from bot.storage.mongo.journal_documents import COLLECTIONS as JOURNAL
from bot.storage.mongo.market_documents import COLLECTIONS as MARKET
from bot.storage.mongo.market_documents import RAW
from bot.storage.mongo.segment_rows import Form

VERSION = 1
META = "meta"
"""Holds one document, `schema`."""
CURSORS = "outbox_cursors"
"""How far each data directory has been delivered: what tells a server that was restored or swapped."""

_EXISTS = 48
_TTL = "time_1"


@dataclass(frozen=True, slots=True)
class Layout:
    """How a database is laid out.

    `quotes` cannot be changed once there are some: a row would stand there in both forms.
    """

    quotes: Form = Form.ROW
    raw_ttl_s: int | None = 30 * 86_400
    """Raw market data is removed at this age, which is counted from its receipt; None: never."""
    time_series: bool = False
    """Ticks in a time-series collection where the server has them. It saves space and has no unique `_id`, so every
    batch is looked up before it is sent."""


async def prepare(database: Database, layout: Layout) -> frozenset[str]:
    """Make everything that is not there yet.

    Returns:
        The names of the time-series collections.

    Raises:
        StorageError: If a newer program wrote the database, or its quotes have the other form.
        PyMongoError: If the server is away, or refuses.
    """
    await _check_version(database, layout)
    time_series = await _make_time_series(database, layout) if layout.time_series else frozenset[str]()
    for channel, name in MARKET.items():
        ttl_s = layout.raw_ttl_s if channel in RAW else None
        await _make_indexes(database, name, [_market_index(channel, layout.quotes)])
        if name not in time_series:
            await _keep_for(database, name, ttl_s)
    for name in JOURNAL.values():
        await _make_indexes(database, name, _JOURNAL_INDEXES)
    return time_series


async def _check_version(database: Database, layout: Layout) -> None:
    schema = await database[META].find_one({"_id": "schema"})
    version = await _version(database, schema)
    if version > VERSION:
        raise StorageError(
            f"the MongoDB database {database.name} was written by a newer version (schema {version}, this program "
            f"knows {VERSION}): update the program, or use another database"
        )
    facts = dict(schema or {}) | ({"quotes": layout.quotes.value} if version == VERSION and not schema else {})
    for step in range(version, VERSION):
        facts |= await _MIGRATIONS[step](database, layout)
    if facts.get("quotes") != layout.quotes.value:
        raise StorageError(
            f"the MongoDB database {database.name} keeps quotes by the {facts.get('quotes')}, not by the "
            f"{layout.quotes.value}: set it so, or use another database"
        )
    await database[META].replace_one({"_id": "schema"}, {"version": VERSION, "quotes": facts["quotes"]}, upsert=True)


async def _version(database: Database, schema: Mapping[str, Any] | None) -> int:
    """0 for a database that has data of ours and does not say."""
    if schema is not None:
        return int(schema["version"])
    has_data = any([await database[name].find_one({}, {"_id": 1}) for name in (*MARKET.values(), *JOURNAL.values())])
    return 0 if has_data else VERSION


async def _name_form(database: Database, layout: Layout) -> dict[str, Any]:
    """Version 0 did not say in which form its quotes stand."""
    quote = await database["quotes"].find_one({}, {"minute_rows": 1})
    if quote is None:
        return {"quotes": layout.quotes.value}
    return {"quotes": (Form.MINUTE if "minute_rows" in quote else Form.ROW).value}


_MIGRATIONS: Mapping[int, Callable[[Database, Layout], Awaitable[dict[str, Any]]]] = {0: _name_form}
"""By the version they start from, each to the next."""

_JOURNAL_INDEXES = [
    IndexModel([("run_id", ASCENDING), ("seq", ASCENDING)], unique=True),
    IndexModel([("ts_ns", ASCENDING)]),
]


def _market_index(channel: Channel, quotes: Form) -> IndexModel:
    by_minute = channel is Channel.QUOTES and quotes is Form.MINUTE
    return IndexModel([("instrument", ASCENDING), ("minute_ns" if by_minute else "ts_recv_ns", ASCENDING)])


async def _make_indexes(database: Database, name: str, indexes: list[IndexModel]) -> None:
    await database[name].create_indexes(indexes)


async def _keep_for(database: Database, name: str, ttl_s: int | None) -> None:
    """Give the collection its time to live, or take it away."""
    known = (await database[name].index_information()).get(_TTL)
    if known is not None and known.get("expireAfterSeconds") == ttl_s:
        return
    if known is not None:
        # Not `collMod`: it is another right than those of a user who may read and write.
        await database[name].drop_index(_TTL)
    if ttl_s is not None:
        await database[name].create_index([("time", ASCENDING)], name=_TTL, expireAfterSeconds=ttl_s)


async def _make_time_series(database: Database, layout: Layout) -> frozenset[str]:
    """Quotes and trades as time series; none where the server has no such thing."""
    names = (["quotes"] if layout.quotes is Form.ROW else []) + ["trades"]
    made = set()
    for name in names:
        if await _is_time_series(database, name) or await _made_time_series(database, name, layout.raw_ttl_s):
            made.add(name)
    return frozenset(made)


async def _is_time_series(database: Database, name: str) -> bool:
    found = await (await database.list_collections(filter={"name": name})).to_list()
    return bool(found) and found[0].get("type") == "timeseries"


async def _made_time_series(database: Database, name: str, ttl_s: int | None) -> bool:
    options: dict[str, Any] = {"timeseries": {"timeField": "time", "metaField": "instrument", "granularity": "seconds"}}
    if ttl_s is not None:
        options["expireAfterSeconds"] = ttl_s
    try:
        await database.create_collection(name, **options)
    except CollectionInvalid:
        return False  # it is there already, as an ordinary one
    except OperationFailure as error:
        if error.code is not None and error.code in _NO_RIGHT:
            raise
        return False
    return True


_NO_RIGHT = frozenset({13, 18})
