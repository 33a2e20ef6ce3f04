"""What sources hand to the shipper: documents ready to send, and where they end."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import bson
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

from bot.errors import StorageError
from bot.storage.mongo.cursors import Cursor

_PAUSE_S = 0.0001
_AT_ONCE = 64 << 10
_WORK = 1 << 10
"""What a document costs before its first byte, in bytes."""
_LARGEST = (16 << 20) - 64

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Growing:
    """A document that takes the place of an earlier state of itself: of one whose `by` is smaller."""

    keys: Mapping[str, Any]
    """`_id`, and what a sharded collection is divided by: an upsert has to name it."""
    by: str
    at: int
    document: RawBSONDocument


@dataclass(slots=True)
class Batch:
    """Some rows of a source, as documents by collection."""

    after: Cursor
    """The cursor once all of it was acknowledged."""
    rows: int
    inserts: dict[str, list[RawBSONDocument]] = field(default_factory=dict)
    replaces: dict[str, list[Growing]] = field(default_factory=dict)
    aside: str | None = None
    """Why what stands at `after` could not be read; it has to be tried again."""
    missing: int = 0
    """Rows that were removed at the source before they were delivered."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a source holds behind a cursor."""

    rows: int
    oldest_ns: int | None
    """UTC ns of the oldest of it; None where nothing waits."""


class Source(Protocol):
    """Something durable that is delivered in order. Called from the shipper's worker thread alone."""

    name: str

    def batch(self, cursor: Cursor) -> Batch | None:
        """The next rows behind the cursor; None where there are none.

        The same rows give the same documents under the same `_id`s, however often they are asked for.

        Raises:
            StorageError: If it cannot be read at all.
        """

    def holds(self, cursor: Cursor) -> bool:
        """Whether the cursor's mark stands at its position."""

    def backlog(self, cursor: Cursor) -> Backlog:
        """What waits behind the cursor."""

    def close(self) -> None:
        """Let go of files of its own; calling it twice does nothing."""


class Encoder:
    """Makes bytes of documents, so that the thread of the event loop only copies them.

    A thread that computes keeps the interpreter for 5 ms after another one has asked for it, so this one lets go of it
    after a fraction of that.
    """

    def __init__(self) -> None:
        self._size = 0

    def __call__(self, document: Document) -> RawBSONDocument:
        """The document's bytes.

        Raises:
            StorageError: If it is larger than MongoDB takes, or cannot be written as BSON.
        """
        try:
            data = bson.encode(document)
        except (BSONError, ValueError, TypeError, OverflowError) as error:
            raise StorageError(f"{document['_id']} cannot be written as BSON: {type(error).__name__}") from error
        if len(data) > _LARGEST:
            raise StorageError(f"{document['_id']} has {len(data):,} bytes, more than a document of MongoDB may have")
        self._give_way(_WORK + len(data))
        return RawBSONDocument(data)

    def _give_way(self, size: int) -> None:
        self._size += size
        if self._size >= _AT_ONCE:
            time.sleep(_PAUSE_S)
            self._size = 0
