"""How far each target has been filled from each source: a small SQLite file, every step of it fsynced.

The server keeps the same cursors beside the data (`outbox_cursors`). One that knows less than this file was restored
from a backup, or swapped; it is filled again from where it stands.
"""

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.errors import StorageError

FILE_NAME = "outbox.db"
VERSION = 1

_CREATE = (
    "CREATE TABLE origin (id TEXT NOT NULL)",
    "CREATE TABLE cursors (target TEXT, source TEXT, position INTEGER NOT NULL, part INTEGER NOT NULL, "
    "mark TEXT NOT NULL, PRIMARY KEY (target, source)) WITHOUT ROWID",
    "CREATE TABLE aside (target TEXT, source TEXT, position INTEGER, reason TEXT NOT NULL, "
    "PRIMARY KEY (target, source, position)) WITHOUT ROWID",
    f"PRAGMA user_version = {VERSION}",
)
_BUSY_S = 5.0


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """Everything up to `position` was acknowledged, and of what follows it the first `part` rows."""

    position: int = 0
    """A record's `seq`, or a segment's `number`."""
    part: int = 0
    mark: str = ""
    """What stands at `position`, so that another journal or archive under the same numbers is noticed."""


class CursorFile:
    """`<data_dir>/outbox.db`. Every method raises `StorageError` where the file cannot be used."""

    def __init__(self, connection: sqlite3.Connection, path: Path, origin: str) -> None:
        self._connection = connection
        self._path = path
        self.origin = origin
        """This data directory's own name at every server."""

    @classmethod
    def open(cls, data_dir: Path) -> "CursorFile":
        """The file, made (0600) where it is missing.

        Raises:
            StorageError: If it cannot be used, is somebody else's, or was written by a newer version.
        """
        path = data_dir / FILE_NAME
        try:
            path.touch(mode=0o600)
            # Commands come from the shipper's worker thread, one at a time.
            connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StorageError(f"{path} cannot be opened: {error}") from error
        try:
            return cls(connection, path, _prepare(connection, path))
        except sqlite3.Error as error:
            connection.close()
            raise StorageError(f"{path} cannot be used: {error}; move it away to fill MongoDB again") from error
        except StorageError:
            connection.close()
            raise

    def close(self) -> None:
        """Let go of the file; calling it twice does nothing."""
        self._connection.close()

    def get(self, target: str, source: str) -> Cursor | None:
        """How far the target was filled; None: nothing is known of it."""
        found = self._run("SELECT position, part, mark FROM cursors WHERE target = ? AND source = ?", (target, source))
        return Cursor(*found[0]) if found else None

    def put(self, target: str, source: str, cursor: Cursor) -> None:
        """Remember; durable when this returns."""
        values = (target, source, cursor.position, cursor.part, cursor.mark)
        self._run("INSERT OR REPLACE INTO cursors VALUES (?, ?, ?, ?, ?)", values)

    def aside(self, target: str, source: str) -> Sequence[tuple[int, str]]:
        """Positions that could not be read when their turn came, and why; they are tried again."""
        select = "SELECT position, reason FROM aside WHERE target = ? AND source = ? ORDER BY position"
        return self._run(select, (target, source))

    def put_aside(self, target: str, source: str, position: int, reason: str) -> None:
        """Try this one again later."""
        self._run("INSERT OR REPLACE INTO aside VALUES (?, ?, ?, ?)", (target, source, position, reason))

    def drop_aside(self, target: str, source: str, position: int) -> None:
        """It was delivered, or is gone for good."""
        self._run("DELETE FROM aside WHERE target = ? AND source = ? AND position = ?", (target, source, position))

    def _run(self, statement: str, values: tuple[object, ...]) -> list[Any]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise StorageError(f"{self._path} cannot be used: {error}") from error


def _prepare(connection: sqlite3.Connection, path: Path) -> str:
    """The origin's name."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise StorageError(
            f"{path} was written by a newer version (schema {version}, this program knows {VERSION}): "
            "update the program, or move the file away to fill MongoDB again"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone stops at the drive's cache
    if version < VERSION:
        _create(connection, path)
    return str(connection.execute("SELECT id FROM origin").fetchone()[0])


def _create(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise StorageError(f"{path} is a database, but not an outbox of this program: use another --data-dir")
    connection.execute("BEGIN IMMEDIATE")
    for statement in _CREATE:
        connection.execute(statement)
    connection.execute("INSERT INTO origin VALUES (?)", (os.urandom(8).hex(),))
    connection.execute("COMMIT")
