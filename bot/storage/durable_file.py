"""SQLite files of a data directory: one process writes, and what it committed is on the disk; any number read."""

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from bot.errors import StorageError

_BUSY_S = 5.0
_T = TypeVar("_T")


def open_file(
    path: Path, prepare: Callable[[sqlite3.Connection, Path], _T], way_out: str = ""
) -> tuple[sqlite3.Connection, _T]:
    """A connection for any thread, one at a time, that commits every statement; and what `prepare` answered.

    Args:
        path: Made (0600) if it is missing.
        prepare: Looks whether the file is ours, makes it durable and gives it its tables.
        way_out: What a person can do about a file that is damaged.

    Raises:
        StorageError: If it cannot be used; also what `prepare` raises.
    """
    try:
        path.touch(mode=0o600)  # before SQLite makes it under the umask; its -wal and -shm take the same mode
        connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"{path} cannot be opened: {error}") from error
    with ExitStack() as undo:
        undo.callback(connection.close)
        try:
            prepared = prepare(connection, path)
        except sqlite3.Error as error:
            raise StorageError(f"{path} cannot be used: {error}{way_out and '; ' + way_out}") from error
        undo.pop_all()
    return connection, prepared


def open_to_read(path: Path) -> sqlite3.Connection:
    """A connection for any thread, one at a time, that changes nothing.

    A log beside the file needs SQLite's shared memory; without one a directory that cannot be written to will do too.

    Raises:
        sqlite3.Error: If the file cannot be read.
    """
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    try:
        return _read(address)
    except sqlite3.OperationalError:
        if path.with_name(path.name + "-wal").exists():
            raise
        return _read(address + "&immutable=1")


def _read(address: str) -> sqlite3.Connection:
    connection = sqlite3.connect(address, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    with ExitStack() as undo:
        undo.callback(connection.close)
        connection.execute("SELECT count(*) FROM sqlite_master")
        undo.pop_all()
    return connection


def version_of(
    connection: sqlite3.Connection, path: Path, newest: int, ours: str, way_out: str = "use another --data-dir"
) -> int:
    """Which version of its tables the file has; 0: it is empty, and wants them.

    Args:
        connection: To the file.
        path: For messages.
        newest: What this program knows.
        ours: What the file would be: `a journal`.
        way_out: What a person can do who does not update.

    Raises:
        StorageError: If it was written by a newer program, or is somebody else's.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > newest:
        raise StorageError(
            f"{path} was written by a newer version (schema {version}, this program knows {newest}): "
            f"update the program, or {way_out}"
        )
    if version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise StorageError(f"{path} is a database, but not {ours} of this program: use another --data-dir")
    return version


def make_durable(connection: sqlite3.Connection, path: Path) -> None:
    """Let a commit wait for the disk; of a file that is known to be ours, for it stands in the file.

    Raises:
        StorageError: If the file system cannot keep a write-ahead log.
    """
    if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise StorageError(f"{path}: this file system cannot keep a write-ahead log; use a local --data-dir")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone stops at the drive's cache


def in_one_step(connection: sqlite3.Connection, statements: Iterable[str]) -> None:
    """All of them, or none."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in statements:
        connection.execute(statement)
    connection.execute("COMMIT")
