"""The journal as a source: records behind a `seq`, read while the bot writes."""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from bot.errors import StorageError
from bot.storage import schema
from bot.storage.durable_file import open_to_read
from bot.storage.mongo.batches import Backlog, Batch, Encoder
from bot.storage.mongo.cursors import Cursor
from bot.storage.mongo.journal_documents import COLLECTIONS, journal_document


class JournalSource:
    """`bot.storage.mongo.batches.Source` over `<data_dir>/journal.db`; one that is not there yet is empty."""

    name = "journal"

    def __init__(self, data_dir: Path, *, batch_records: int = 1_000, batch_bytes: int = 4 << 20) -> None:
        self._path = data_dir / schema.FILE_NAME
        self._batch_records = batch_records
        self._batch_bytes = batch_bytes
        self._encoded = Encoder()
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        """Let go of the file; calling it twice does nothing."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def batch(self, cursor: Cursor) -> Batch | None:
        """The next records, in their order, up to the first that brings them to `batch_bytes`.

        Raises:
            StorageError: If the journal or one of its records is damaged.
        """
        select = f"SELECT {schema.COLUMNS} FROM records WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608 - constants
        try:
            connection = self._connection or self._open()
            if connection is None:
                return None
            with closing(connection.execute(select, (cursor.position, self._batch_records))) as rows:
                return self._documents(rows)
        except sqlite3.Error as error:
            raise StorageError(f"{self._path} cannot be read: {error}") from error

    def holds(self, cursor: Cursor) -> bool:
        """Whether the record that the cursor stands at is in this journal."""
        if cursor.position == 0:
            return True
        found = self._rows("SELECT run_id, checksum FROM records WHERE seq = ?", (cursor.position,))
        return bool(found) and _mark(*found[0]) == cursor.mark

    def backlog(self, cursor: Cursor) -> Backlog:
        """How many records wait, and since when the first of them."""
        newest = self._rows("SELECT max(seq) FROM records", ())
        waiting = (newest[0][0] or 0) - cursor.position if newest else 0
        if waiting <= 0:
            return Backlog(0, None)
        first = self._rows("SELECT ts_ns FROM records WHERE seq > ? ORDER BY seq LIMIT 1", (cursor.position,))
        return Backlog(waiting, first[0][0])

    def _documents(self, rows: Iterable[schema.Row]) -> Batch | None:
        batch = Batch(Cursor(), 0)
        size = 0
        for row in rows:
            record = schema.from_row(row)
            document = self._encoded(journal_document(record))
            batch.inserts.setdefault(COLLECTIONS[record.kind], []).append(document)
            batch.rows += 1
            batch.after = Cursor(row[0], 0, _mark(row[1], row[6]))
            size += len(document.raw)
            if size >= self._batch_bytes:
                break
        return batch if batch.rows else None

    def _rows(self, select: str, values: tuple[object, ...]) -> Sequence[tuple[Any, ...]]:
        try:
            connection = self._connection or self._open()
            return connection.execute(select, values).fetchall() if connection else []
        except sqlite3.Error as error:
            raise StorageError(f"{self._path} cannot be read: {error}") from error

    def _open(self) -> sqlite3.Connection | None:
        if not self._path.exists():
            return None
        with ExitStack() as undo:
            connection = open_to_read(self._path)
            undo.callback(connection.close)
            if not schema.check_version(connection, self._path):
                return None
            undo.pop_all()
        self._connection = connection
        return connection


def _mark(run_id: str, checksum: int) -> str:
    return f"{run_id}:{checksum}"
