"""How far each target has been filled from each source: a small SQLite file, every step of it fsynced.

The server keeps the same cursors beside the data (`outbox_cursors`). One that knows less than this file was restored
from a backup, or swapped; it is filled again from where it stands.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.errors import StorageError
from bot.storage.durable_file import in_one_step, make_durable, open_file, version_of

FILE_NAME = "outbox.db"
VERSION = 1

_CREATE = (
    "CREATE TABLE origin (id TEXT NOT NULL)",
    "INSERT INTO origin VALUES (lower(hex(randomblob(8))))",
    "CREATE TABLE cursors (target TEXT, source TEXT, position INTEGER NOT NULL, part INTEGER NOT NULL, "
    "mark TEXT NOT NULL, PRIMARY KEY (target, source)) WITHOUT ROWID",
    "CREATE TABLE aside (target TEXT, source TEXT, position INTEGER, reason TEXT NOT NULL, "
    "PRIMARY KEY (target, source, position)) WITHOUT ROWID",
    f"PRAGMA user_version = {VERSION}",
)


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
        connection, origin = open_file(path, _prepare, "move it away to fill MongoDB again")
        return cls(connection, path, origin)

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
    version = version_of(connection, path, VERSION, "an outbox", "move the file away to fill MongoDB again")
    make_durable(connection, path)
    if version < VERSION:
        in_one_step(connection, _CREATE)
    return str(connection.execute("SELECT id FROM origin").fetchone()[0])
