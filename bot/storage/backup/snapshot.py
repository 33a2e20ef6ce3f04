"""The databases of a data directory as of one moment, while a bot goes on writing to them."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from bot.errors import StorageError

ARCHIVE = "archive.db"
JOURNAL = "journal.db"
SCRATCH = ".backup"
_BUSY_S = 5.0
_ORDER = {ARCHIVE: 1, JOURNAL: 2}
"""Copied after all others: what notes how far journal or archive were used must not be ahead of them."""


@dataclass(frozen=True, slots=True)
class Database:
    """A database of a data directory."""

    home: str
    """Directory below the data directory, empty for itself: each market has its own archive."""
    name: str

    @property
    def path(self) -> str:
        """Below the data directory."""
        return f"{self.home}/{self.name}" if self.home else self.name


def databases(data_dir: Path) -> list[Database]:
    """In the order in which they are to be copied."""
    found = [Database("", path.name) for path in data_dir.glob("*.db")]
    found += [Database(path.parent.name, path.name) for path in data_dir.glob("[!.]*/*.db")]
    return sorted(found, key=lambda one: (_ORDER.get(one.name, 0), one.path))


@contextmanager
def scratch_in(data_dir: Path) -> Iterator[Path]:
    """A directory for copies, on the disk that has room for the originals; empty, and removed afterwards.

    Raises:
        StorageError: If it cannot be made.
    """
    directory = data_dir / SCRATCH
    try:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700)
    except OSError as error:
        raise StorageError(f"{directory} cannot be made: {error.strerror}") from error
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def copy_of(data_dir: Path, database: Database, scratch: Path) -> Path:
    """A consistent copy in `scratch`, checked; a file alone, without a log beside it.

    Raises:
        StorageError: If it cannot be copied, or the original is damaged.
    """
    source, target = data_dir / database.path, scratch / database.path
    try:
        target.parent.mkdir(mode=0o700, exist_ok=True)
        target.unlink(missing_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o600))
        _copy(source, target)
    except (sqlite3.Error, OSError) as error:
        raise StorageError(f"{source} cannot be backed up: {error}") from error
    return target


def _copy(source: Path, target: Path) -> None:
    origin = sqlite3.connect(f"file:{quote(str(source.absolute()))}?mode=ro", uri=True, timeout=_BUSY_S)
    copy = sqlite3.connect(target, isolation_level=None)
    try:
        # All pages in one step, which is one read transaction: a writer is not held up, and does not make it begin
        # anew. Page for page, so that what did not change is the same block as in the backup before.
        origin.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
        verdict = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
    finally:
        copy.close()
        origin.close()
    if verdict != "ok":
        raise StorageError(f"{source} is damaged, and was not backed up: {verdict}")
