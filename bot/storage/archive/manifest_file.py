"""The manifest's file: one writer, any number of readers, opened and locked."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from bot.errors import StorageError
from bot.storage.archive import manifest_schema
from bot.storage.single_writer import SingleWriter

_BUSY_S = 5.0
_LOCK = "archive.lock"
_IN_USE = "the archive in {data_dir} is being written by another process ({holder}): stop it, or use another --data-dir"


class WriterLock(SingleWriter):
    """One data directory, one process that writes its archive."""

    def __init__(self, data_dir: Path) -> None:
        """Take the lock; see `SingleWriter`.

        Raises:
            StorageError: If another process, or another store of this one, holds it.
        """
        super().__init__(data_dir, _LOCK, _IN_USE)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Say of what file an error is."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StorageError(f"{path}: {error}") from error


def to_write(path: Path) -> sqlite3.Connection:
    """A connection that writes durably; the file is made, or brought up to date."""
    path.touch(mode=0o600)  # before SQLite makes it under the umask; its -wal and -shm take the same mode
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def to_read(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing; where there is no file, to an empty manifest."""
    return _current_or_copy(_read_only(path), path)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    ready = manifest_schema.is_current(connection, path)
    if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise StorageError(f"{path}: this file system cannot keep a write-ahead log; use a local --data-dir")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone stops at the drive's cache
    if not ready:
        manifest_schema.create(connection)


def _read_only(path: Path) -> sqlite3.Connection:
    """A log beside the file needs SQLite's shared memory; without one a read-only directory will do too."""
    if not path.exists():
        return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    connection = sqlite3.connect(address, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.OperationalError:
        connection.close()
        if path.with_name(path.name + "-wal").exists():
            raise
        connection = sqlite3.connect(address + "&immutable=1", uri=True, isolation_level=None, check_same_thread=False)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _current_or_copy(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """An older file may not be changed by who only reads: a copy in memory is."""
    try:
        if manifest_schema.is_current(connection, path):
            return connection
    except BaseException:
        connection.close()
        raise
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.backup(copy)
    connection.close()
    manifest_schema.create(copy)
    return copy
