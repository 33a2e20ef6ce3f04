"""The tables of the manifest, step by step from an empty file, and which version a file is of."""

import sqlite3
from pathlib import Path

from bot.storage.durable_file import in_one_step, version_of

_STEPS = (
    (
        """
        CREATE TABLE segments (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            channel TEXT NOT NULL,
            scope TEXT NOT NULL,
            start_ns INTEGER NOT NULL,
            stop_ns INTEGER NOT NULL,
            rows INTEGER NOT NULL,
            size_bytes INTEGER NOT NULL,
            sha256 BLOB NOT NULL,
            path TEXT NOT NULL,
            merged_from TEXT NOT NULL,
            merged_into INTEGER
        )
        """,
        "CREATE INDEX segments_by_channel ON segments (channel, start_ns) WHERE merged_into IS NULL",
        """
        CREATE TABLE blocks (
            segment INTEGER NOT NULL,
            offset INTEGER NOT NULL,
            length INTEGER NOT NULL,
            sha256 BLOB NOT NULL,
            rows INTEGER NOT NULL,
            first_instrument TEXT NOT NULL,
            last_instrument TEXT NOT NULL,
            min_ns INTEGER NOT NULL,
            max_ns INTEGER NOT NULL,
            carry TEXT NOT NULL,
            PRIMARY KEY (segment, offset)
        ) WITHOUT ROWID
        """,
        # Files that are no part of the archive: begun and not yet finished, or replaced. Written before the file is,
        # so that after a crash nothing but these has to be looked for.
        "CREATE TABLE litter (token INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL)",
        "CREATE TABLE instruments (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID",
        """
        CREATE TABLE seen (
            channel TEXT NOT NULL,
            instrument TEXT NOT NULL,
            last_ns INTEGER NOT NULL,
            PRIMARY KEY (channel, instrument)
        ) WITHOUT ROWID
        """,
    ),
    # Version 1 knew no retention, and not where its files lie.
    (
        "ALTER TABLE segments ADD COLUMN removed INTEGER NOT NULL DEFAULT 0",
        "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    ),
)
VERSION = len(_STEPS)


def create(connection: sqlite3.Connection, version: int = VERSION) -> None:
    """Bring a file of any older version, or an empty one, to `version`, in one transaction."""
    statements = [statement for step in _STEPS[_version(connection) : version] for statement in step]
    in_one_step(connection, [*statements, f"PRAGMA user_version = {version}"])


def is_current(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file has this program's tables; False: `create` makes them.

    Raises:
        StorageError: If it was written by a newer program, or is somebody else's.
    """
    return version_of(connection, path, VERSION, "an archive") == VERSION


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
