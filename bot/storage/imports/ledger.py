"""What has been imported, in `imports.db`: a row a file, by the SHA-256 of its bytes.

While a file's rows are written, its row says how far that is: how many segments are in the archive, and the number
above which the next one will be. A process that dies between a segment and the note of it finds the segment there.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.errors import StorageError
from bot.storage.durable_file import in_one_step, make_durable, open_file, version_of
from bot.storage.imports.ports import SourceFile

FILE_NAME = "imports.db"
VERSION = 1
_CREATE = (
    """
    CREATE TABLE files (
        sha256 TEXT PRIMARY KEY,
        source TEXT NOT NULL,
        instrument TEXT NOT NULL,
        channel TEXT NOT NULL,
        start_ns INTEGER NOT NULL,
        stop_ns INTEGER NOT NULL,
        plan TEXT NOT NULL,
        written INTEGER NOT NULL,
        after INTEGER NOT NULL,
        rows INTEGER NOT NULL,
        is_done INTEGER NOT NULL,
        noted_ns INTEGER NOT NULL
    )
    """,
    f"PRAGMA user_version = {VERSION}",
)


@dataclass(frozen=True, slots=True)
class Begun:
    """How far a file is."""

    plan: str
    """Digest of the segments that it is to become."""
    written: int
    """Segments known to be in the archive."""
    after: int
    """The next one has a higher number."""
    is_done: bool


class ImportLedger:
    """Use it from one thread. Every method raises `StorageError` where the file cannot be used."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    @classmethod
    def open(cls, data_dir: Path) -> "ImportLedger":
        """The ledger beside an archive's manifest; made if it is missing.

        Raises:
            StorageError: If it cannot be used, or was written by a newer version.
        """
        path = data_dir / FILE_NAME
        connection, _ = open_file(path, _prepare)
        return cls(connection, path)

    def close(self) -> None:
        """Let go of the file; calling it twice does nothing."""
        self._connection.close()

    def __enter__(self) -> "ImportLedger":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begun(self, sha256: str) -> Begun | None:
        """How far the file with these bytes is; None if it was never begun."""
        with self._told():
            sql = "SELECT plan, written, after, is_done FROM files WHERE sha256 = ?"
            row = self._connection.execute(sql, (sha256,)).fetchone()
        return None if row is None else Begun(row[0], row[1], row[2], bool(row[3]))

    def is_done(self, source: str) -> bool:
        """Whether a file of this name was imported, whatever its bytes were."""
        with self._told():
            sql = "SELECT 1 FROM files WHERE source = ? AND is_done = 1"
            return self._connection.execute(sql, (source,)).fetchone() is not None

    def unfinished(self) -> list[str]:
        """Sources of which only a part, or nothing yet, is in the archive."""
        with self._told():
            sql = "SELECT source FROM files WHERE is_done = 0 ORDER BY source"
            return [row[0] for row in self._connection.execute(sql)]

    def others(self, file: SourceFile, sha256: str) -> list[str]:
        """Sources of other files that have rows of the same instrument, channel and time."""
        sql = (
            "SELECT source FROM files WHERE instrument = ? AND channel = ? AND start_ns < ? AND stop_ns > ? "
            "AND sha256 <> ? ORDER BY source"
        )
        values = (file.instrument.id, file.channel, file.stop_ns, file.start_ns, sha256)
        with self._told():
            return [row[0] for row in self._connection.execute(sql, values)]

    def spans(self, instrument: str, channel: str) -> list[tuple[int, int]]:
        """From when to when files were imported whole, UTC ns."""
        sql = (
            "SELECT start_ns, stop_ns FROM files WHERE instrument = ? AND channel = ? AND is_done = 1 "
            "ORDER BY start_ns, stop_ns"
        )
        with self._told():
            return [(row[0], row[1]) for row in self._connection.execute(sql, (instrument, channel))]

    def begin(self, file: SourceFile, sha256: str, plan: str, after: int, now_ns: int) -> Begun:
        """Note, before the first segment is written, that it will be."""
        values = (
            sha256, file.source, file.instrument.id, file.channel, file.start_ns, file.stop_ns, plan, after, now_ns
        )  # fmt: skip
        with self._told():
            sql = "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, 0, 0, ?)"
            self._connection.execute(sql, values)
        return Begun(plan, 0, after, is_done=False)

    def wrote(self, sha256: str, written: int, after: int) -> None:
        """So many segments are in the archive; the next one will have a higher number than `after`."""
        with self._told():
            self._connection.execute(
                "UPDATE files SET written = ?, after = ? WHERE sha256 = ?", (written, after, sha256)
            )

    def finish(self, sha256: str, rows: int) -> None:
        """All its rows are in the archive."""
        with self._told():
            self._connection.execute("UPDATE files SET is_done = 1, rows = ? WHERE sha256 = ?", (rows, sha256))

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StorageError(f"{self._path}: {error}") from error


def imported_spans(data_dir: Path, instrument: str, channel: str) -> Sequence[tuple[int, int]]:
    """What the ledger in a directory says of an instrument's channel; nothing where nobody has imported anything.

    Raises:
        StorageError: If the ledger cannot be read.
    """
    if not (data_dir / FILE_NAME).exists():
        return ()
    with ImportLedger.open(data_dir) as ledger:
        return ledger.spans(instrument, channel)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    version = version_of(connection, path, VERSION, "a ledger of imports")
    make_durable(connection, path)
    if version < VERSION:
        in_one_step(connection, _CREATE)
