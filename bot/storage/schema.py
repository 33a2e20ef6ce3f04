"""How a record lies in the journal file: one append-only table, a schema version, a checksum for every row.

What finds the records of a run and kind is brought up to date for many of them at once: an order waits for the
transaction of its intent, which so writes half as many pages. The newest, fewer than `STRIDE`, are looked through.

SQLite drops a torn last transaction by itself (the WAL's frames carry checksums). The row checksum finds what SQLite
cannot: bytes that changed after they were durable.
"""

import json
import math
import sqlite3
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

from bot.errors import StorageError
from bot.masking import masked
from bot.ports import RecordKind
from bot.storage.durable_file import version_of

FILE_NAME = "journal.db"
VERSION = 4
"""2: records of kind `job`. 3: of kind `shadow`. 4: `record_index` instead of an index that every record changes."""
OLDEST = 1
_FIRST_WITH_INDEX = 4
STRIDE = 256
"""Every so many records `record_index` is brought up to date."""

_CREATE_INDEX = """
    CREATE TABLE record_index (
        kind TEXT NOT NULL,
        run_id TEXT NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (kind, run_id, seq)
    ) WITHOUT ROWID
    """
INDEX = "INSERT INTO record_index SELECT kind, run_id, seq FROM records WHERE seq > ? AND seq <= ?"
"""What brings it up to date, from one `indexed` number to another: in one transaction with the records."""
_KINDS = ", ".join(f"'{kind.value}'" for kind in RecordKind)
_SUMS = f"SELECT count(*), coalesce(sum(seq), 0) FROM record_index WHERE kind IN ({_KINDS})"  # noqa: S608 - our own words

CREATE = (
    """
    CREATE TABLE records (
        seq INTEGER PRIMARY KEY,
        run_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        ts_ns INTEGER NOT NULL,
        key TEXT NOT NULL,
        body TEXT NOT NULL,
        checksum INTEGER NOT NULL
    )
    """,
    _CREATE_INDEX,
    "CREATE TRIGGER records_stay BEFORE UPDATE ON records BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END",
    "CREATE TRIGGER records_keep BEFORE DELETE ON records BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END",
    f"PRAGMA user_version = {VERSION}",
)
COLUMNS = "seq, run_id, kind, ts_ns, key, body, checksum"

Row = tuple[int, str, str, int, str, str, int]


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it was appended."""

    seq: int
    """Grows by one through the whole file, across runs."""
    run_id: str
    kind: RecordKind
    ts_ns: int
    """UTC ns on the run's clock: virtual in a recorded market."""
    key: str
    body: Mapping[str, Any]
    """Plain data; a `Decimal` comes back as the string of its digits."""


def to_row(seq: int, run_id: str, kind: RecordKind, ts_ns: int, key: str, text: str) -> Row:
    """A row ready to insert; `text` is its body as `encode` gives it."""
    return seq, run_id, kind.value, ts_ns, key, text, _checksum(seq, run_id, kind.value, ts_ns, key, text)


def size_of(row: Row) -> int:
    """About how many bytes it takes in the file."""
    return len(row[5]) + 150


@lru_cache(maxsize=64)
def insert(rows: int) -> str:
    """The statement that appends that many rows; their fields follow one another as its parameters."""
    return f"INSERT INTO records ({COLUMNS}) VALUES " + ", ".join(["(?, ?, ?, ?, ?, ?, ?)"] * rows)  # noqa: S608 - our own words


def indexed(last_seq: int) -> int:
    """Up to which record `record_index` knows a journal whose last record is this one."""
    return last_seq - last_seq % STRIDE


def from_row(row: Row) -> Record:
    """The record of a row.

    Raises:
        StorageError: If the row is not what was written.
    """
    seq, run_id, kind, ts_ns, key, body, checksum = row
    try:
        intact = _checksum(seq, run_id, kind, ts_ns, key, body) == checksum
        if intact:
            return Record(seq, run_id, RecordKind(kind), ts_ns, key, json.loads(body))
    except ValueError as error:
        raise StorageError(f"journal record {seq} cannot be read: {error}") from error
    raise StorageError(
        f"journal record {seq} is damaged (checksum); move {FILE_NAME} away and keep it, or use another --data-dir"
    )


def encode(body: Mapping[str, Any]) -> str:
    """JSON; `Decimal` as a string with its digits, a number that is not finite as null (JSON has none), no secret."""
    try:
        text = _ENCODER.encode(body)
    except ValueError:
        text = _ENCODER.encode(_finite(body))
    return masked(text)


def check_version(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is ready for use; False: it is empty and wants its schema.

    Raises:
        StorageError: If it was written by a newer program, or is somebody else's.
    """
    return version_of(connection, path, VERSION, "a journal") >= OLDEST


def has_index(connection: sqlite3.Connection) -> bool:
    """Whether a file that `check_version` calls ready has `record_index`."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0]) >= _FIRST_WITH_INDEX


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a file that `check_version` calls ready to this version: a program that knows less must not read on.

    An index that does not name every record it should is made anew: to SQLite it is a table like any other, and a byte
    that changed in it would hide a run, and the pair that it left open, without a word.
    """
    known = indexed(connection.execute("SELECT coalesce(max(seq), 0) FROM records").fetchone()[0])
    if has_index(connection) and connection.execute(_SUMS).fetchone() == (known, known * (known + 1) // 2):
        return
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DROP TABLE IF EXISTS record_index")
    connection.execute(_CREATE_INDEX)
    connection.execute(INDEX, (0, known))
    connection.execute("DROP INDEX IF EXISTS records_by_run")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _checksum(seq: int, run_id: str, kind: str, ts_ns: int, key: str, body: str) -> int:
    return zlib.crc32(f"{seq}\x1f{run_id}\x1f{kind}\x1f{ts_ns}\x1f{key}\x1f{body}".encode())


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not plain data")


_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_plain)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
