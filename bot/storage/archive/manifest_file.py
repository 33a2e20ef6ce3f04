"""The manifest's file: one writer, any number of readers, opened and locked."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bot.errors import StorageError
from bot.single_writer import SingleWriter
from bot.storage.archive import manifest_schema
from bot.storage.durable_file import make_durable, open_file, open_to_read

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
    return open_file(path, _prepare)[0]


def to_read(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing; where there is no file, to an empty manifest."""
    if not path.exists():
        return _current_or_copy(_in_memory(), path)
    return _current_or_copy(open_to_read(path), path)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    ready = manifest_schema.is_current(connection, path)
    make_durable(connection, path)
    if not ready:
        manifest_schema.create(connection)


def _current_or_copy(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """An older file may not be changed by who only reads: a copy in memory is."""
    with ExitStack() as undo:
        undo.callback(connection.close)
        if manifest_schema.is_current(connection, path):
            undo.pop_all()
            return connection
        copy = _in_memory()
        connection.backup(copy)
    manifest_schema.create(copy)
    return copy


def _in_memory() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
