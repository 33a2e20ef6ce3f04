"""The manifest's file: one writer, any number of readers, opened and locked."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from bot.errors import StorageError
from bot.storage.archive import manifest_schema

_BUSY_S = 5.0


class WriterLock:
    """One data directory, one process that writes its archive; the kernel lets go of it when the process dies."""

    def __init__(self, data_dir: Path) -> None:
        """Take the lock; the directory is made (0700) if it is missing.

        Raises:
            StorageError: If another process, or another store of this one, holds it.
        """
        path = data_dir / "archive.lock"
        try:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(f"{path} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.release()
            raise StorageError(
                f"the archive in {data_dir} is being written by another process: stop it, or use another --data-dir"
            ) from error

    def release(self) -> None:
        """Let another process in; calling it twice does nothing."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


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
