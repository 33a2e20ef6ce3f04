"""Sends batches so that sending them twice changes nothing, and knows what counts as delivered."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo import ReplaceOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from bot.storage.mongo.batches import Batch, Growing

Database = AsyncDatabase[dict[str, Any]]
Collection = AsyncCollection[dict[str, Any]]

_DUPLICATE = 11000
# A duplicate of one of these is the same document; of any other unique index it is another one that was refused.
_OUR_KEYS = ({"_id": 1}, {"run_id": 1, "seq": 1})


@dataclass(slots=True)
class Delivered:
    """What became of documents."""

    documents: int = 0
    duplicates: int = 0
    """Of them: those that were there already."""


async def deliver(
    database: Database, batch: Batch, time_series: frozenset[str], at_once: int, most_bytes: int
) -> Delivered:
    """Send the batch; when this returns, a majority of the servers has every document of it in its journal.

    Args:
        database: Where.
        batch: What.
        time_series: Collections without unique `_id`s: what they hold already is looked up first.
        at_once: Documents of one request, at most.
        most_bytes: Size of one request, unless one document is larger.

    Raises:
        PyMongoError: If it was not acknowledged, or a document was refused for another reason than being there.
    """
    done = Delivered()
    for name, documents in batch.inserts.items():
        for portion in _portions(documents, at_once, most_bytes):
            missing = await _missing(database[name], portion) if name in time_series else portion
            duplicates = len(portion) - len(missing)
            done.duplicates += duplicates + (await _insert(database[name], missing) if missing else 0)
            done.documents += len(portion)
    for name, growing in batch.replaces.items():
        done.duplicates += await _replace(database[name], growing)
        done.documents += len(growing)
    return done


async def _insert(collection: Collection, documents: Sequence[RawBSONDocument]) -> int:
    """How many were there already."""
    try:
        await collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        return _duplicates(error)
    return 0


async def _replace(collection: Collection, growing: Sequence[Growing]) -> int:
    """How many were not newer than what was there.

    The filter finds an older state alone. Where there is a newer one it finds nothing, and the upsert meets the `_id`.
    """
    requests: list[ReplaceOne[dict[str, Any]]] = [
        ReplaceOne({**one.keys, one.by: {"$lt": one.at}}, one.document, upsert=True) for one in growing
    ]
    try:
        await collection.bulk_write(requests, ordered=False)
    except BulkWriteError as error:
        return _duplicates(error)
    return 0


async def _missing(collection: Collection, documents: Sequence[RawBSONDocument]) -> list[RawBSONDocument]:
    ids = [document["_id"] for document in documents]
    there = {found["_id"] async for found in collection.find({"_id": {"$in": ids}}, {"_id": 1})}
    return [document for document in documents if document["_id"] not in there]


def _duplicates(error: BulkWriteError) -> int:
    refused = error.details.get("writeErrors", [])
    if error.details.get("writeConcernErrors") or not all(_is_there(one) for one in refused):
        raise error
    return len(refused)


def _is_there(refused: dict[str, Any]) -> bool:
    pattern = refused.get("keyPattern")
    return refused.get("code") == _DUPLICATE and (pattern is None or dict(pattern) in _OUR_KEYS)


def _portions(
    documents: Sequence[RawBSONDocument], at_once: int, most_bytes: int
) -> Iterator[Sequence[RawBSONDocument]]:
    start = size = 0
    for at, document in enumerate(documents):
        length = len(document.raw)
        if at > start and (at - start >= at_once or size + length > most_bytes):
            yield documents[start:at]
            start, size = at, 0
        size += length
    if start < len(documents):
        yield documents[start:]
