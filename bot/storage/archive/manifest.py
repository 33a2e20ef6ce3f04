"""Which files are the archive: SQLite in `<data_dir>/archive.db`. What it names is there, whole and durable."""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from bot.domain.instrument import Instrument
from bot.errors import StorageError
from bot.storage.archive.channels import Channel
from bot.storage.archive.files import Block, EncodedFile
from bot.storage.archive.manifest_file import to_read, to_write, told
from bot.storage.archive.ports import SegmentInfo, Span

FILE_NAME = "archive.db"
_INFO = "number, channel, scope, start_ns, stop_ns, rows, size_bytes, sha256, path, merged_from"
_BLOCK = "offset, length, sha256, rows, first_instrument, last_instrument, min_ns, max_ns, carry"
_UNWRITTEN = "unwritten"
_LIVE = "merged_into IS NULL AND removed = 0"


class Manifest:
    """Tables of segments, blocks, instruments and litter. Every method raises `StorageError` where the file fails.

    One thread at a time writes (a lock sees to it); any number read.
    """

    def __init__(self, path: Path, writer: sqlite3.Connection | None, reader: sqlite3.Connection) -> None:
        self._path = path
        self._writer = writer
        self._reader = reader
        self._writing = threading.Lock()
        self._reading = threading.Lock()

    @classmethod
    def open(cls, data_dir: Path, *, read_only: bool) -> "Manifest":
        """The manifest of a data directory; read-only, one that is not there is empty.

        Raises:
            StorageError: If it cannot be used, or was written by a newer version.
        """
        path = data_dir / FILE_NAME
        with told(path), ExitStack() as undo:
            writer = None if read_only else to_write(path)
            if writer is not None:
                undo.callback(writer.close)
            manifest = cls(path, writer, to_read(path))
            undo.pop_all()
        return manifest

    def close(self) -> None:
        """Let go of the file; calling it twice does nothing."""
        with self._reading, self._writing:
            self._reader.close()
            if self._writer is not None:
                self._writer.close()

    # Writing.

    def reserve(self, name: str) -> tuple[int, str]:
        """A token, and a path that nothing has: `name` and the token. It is litter until `add` makes it a segment."""
        with self._transaction() as connection:
            token = connection.execute("INSERT INTO litter (path) VALUES ('')").lastrowid
            path = f"{name}-{token:07d}.arrow"
            connection.execute("UPDATE litter SET path = ? WHERE token = ?", (path, token))
        assert token is not None
        return token, path

    def add(
        self,
        token: int,
        path: str,
        channel: Channel,
        scope: str,
        file: EncodedFile,
        replaces: Sequence[SegmentInfo] = (),
        instruments: Mapping[str, Instrument] | None = None,
        newest: Mapping[str, int] | None = None,
        unwritten: Span | None = None,
    ) -> SegmentInfo:
        """Name a file that is durable. What it replaces is litter from the same moment on."""
        merged_from = sorted({number for one in replaces for number in (one.number, *one.merged_from)})
        bounds = [(block.min_ns, block.max_ns) for block in file.blocks]
        start_ns, stop_ns = min(low for low, _ in bounds), max(high for _, high in bounds) + 1
        rows = sum(block.rows for block in file.blocks)
        facts = (channel.value, scope, start_ns, stop_ns, rows, len(file.data), file.sha256, path)
        with self._transaction() as connection:
            number = connection.execute(
                f"INSERT INTO segments ({_INFO}) VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own words
                (*facts, json.dumps(merged_from)),
            ).lastrowid
            assert number is not None
            rows_of_blocks = [(number, *_block_row(block)) for block in (file.header, *file.blocks)]
            connection.executemany(
                f"INSERT INTO blocks (segment, {_BLOCK}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own words
                rows_of_blocks,
            )
            connection.execute("DELETE FROM litter WHERE token = ?", (token,))
            self._retire(connection, replaces, f"merged_into = {number:d}")
            self._meet(connection, channel, instruments or {}, newest or {})
            if unwritten is not None:
                self._set(connection, _UNWRITTEN, json.dumps(unwritten))
        return _info((number, *facts, json.dumps(merged_from)))

    def remove(self, segments: Sequence[SegmentInfo]) -> None:
        """Retention: their files are litter; what they were is kept, so that numbers stay what they are."""
        with self._transaction() as connection:
            self._retire(connection, segments, "removed = 1")

    def forget(self, token: int) -> None:
        """A piece of litter is gone."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM litter WHERE token = ?", (token,))

    def set_fact(self, name: str, value: str) -> None:
        """Keep a text under a name."""
        with self._transaction() as connection:
            self._set(connection, name, value)

    # Reading.

    def fact(self, name: str) -> str | None:
        """What was kept under a name."""
        rows = self._select("SELECT value FROM facts WHERE name = ?", (name,))
        return rows[0][0] if rows else None

    def unwritten(self) -> Span | None:
        """See `ports.SegmentStore.unwritten`."""
        kept = self.fact(_UNWRITTEN)
        return None if kept is None else tuple(json.loads(kept))

    def litter(self) -> list[tuple[int, str]]:
        """Tokens and paths of files that are to be removed."""
        return self._select("SELECT token, path FROM litter ORDER BY token", ())

    def segments(
        self, channel: Channel | None, after: int, start_ns: int | None, stop_ns: int | None, *, written: bool
    ) -> list[SegmentInfo]:
        """See `ports.SegmentStore.segments`."""
        where = ["number > ?", "merged_from = '[]'" if written else _LIVE]
        values: list[int | str] = [after]
        conditions = (("channel = ?", channel), ("stop_ns > ?", start_ns), ("start_ns < ?", stop_ns))
        for condition, value in conditions:
            if value is not None:
                where.append(condition)
                values.append(value)
        sql = f"SELECT {_INFO} FROM segments WHERE {' AND '.join(where)} ORDER BY number"  # noqa: S608 - our own words
        return [_info(row) for row in self._select(sql, values)]

    def whereabouts(self, number: int) -> tuple[SegmentInfo, int | None, bool] | None:
        """A segment, what it was merged into, and whether retention took it; None: there never was one."""
        rows = self._select(f"SELECT {_INFO}, merged_into, removed FROM segments WHERE number = ?", (number,))  # noqa: S608 - our own words
        return (_info(rows[0][:10]), rows[0][10], bool(rows[0][11])) if rows else None

    def header(self, number: int) -> Block | None:
        """Of a segment's file; None where it has none any more."""
        rows = self._select(f"SELECT {_BLOCK} FROM blocks WHERE segment = ? AND rows = 0", (number,))  # noqa: S608 - our own words
        return _block(rows[0]) if rows else None

    def blocks(self, number: int) -> list[Block]:
        """Of a segment's file, in file order."""
        sql = f"SELECT {_BLOCK} FROM blocks WHERE segment = ? AND rows > 0 ORDER BY offset"  # noqa: S608 - our own words
        return [_block(row) for row in self._select(sql, (number,))]

    def live_blocks(
        self, channel: Channel, instrument: str, start_ns: int, stop_ns: int
    ) -> list[tuple[SegmentInfo, Block]]:
        """Blocks that may hold rows of an instrument in a span, by segment and place in it."""
        info = ", ".join(f"s.{name}" for name in _INFO.split(", "))
        block = ", ".join(f"b.{name}" for name in _BLOCK.split(", "))
        sql = (
            f"SELECT {info}, {block} FROM segments s JOIN blocks b ON b.segment = s.number "  # noqa: S608 - our own words
            "WHERE s.channel = ? AND s.merged_into IS NULL AND s.removed = 0 AND s.start_ns < ? AND s.stop_ns > ? "
            "AND b.rows > 0 AND b.first_instrument <= ? AND b.last_instrument >= ? AND b.min_ns < ? AND b.max_ns >= ? "
            "ORDER BY s.number, b.offset"
        )
        values = (channel.value, stop_ns, start_ns, instrument, instrument, stop_ns, start_ns)
        return [(_info(row[:10]), _block(row[10:])) for row in self._select(sql, values)]

    def instrument(self, instrument_id: str) -> Instrument | None:
        """The newest metadata of it."""
        rows = self._select("SELECT body FROM instruments WHERE id = ?", (instrument_id,))
        return Instrument.model_validate_json(rows[0][0]) if rows else None

    def newest(self, channel: Channel) -> dict[str, int]:
        """Receive time by id, in order, of those whose newest row is not older than the oldest segment that is left."""
        sql = (
            "SELECT instrument, last_ns FROM seen WHERE channel = ? AND last_ns >= "  # noqa: S608 - our own words
            f"(SELECT min(start_ns) FROM segments WHERE channel = ? AND {_LIVE}) ORDER BY instrument"
        )
        return dict(self._select(sql, (channel.value, channel.value)))

    # Within.

    def _select(self, sql: str, values: Sequence[Any]) -> list[Any]:
        with self._reading, told(self._path):
            return self._reader.execute(sql, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._writing, told(self._path):
            if self._writer is None:
                raise StorageError(f"{self._path} is open for reading only")
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:  # whatever ends it, an interrupt too: nothing half done may stay
                if self._writer.in_transaction:
                    with suppress(sqlite3.Error):  # the first error is the one to tell
                        self._writer.execute("ROLLBACK")
                raise

    @staticmethod
    def _set(connection: sqlite3.Connection, name: str, value: str) -> None:
        connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    @staticmethod
    def _retire(connection: sqlite3.Connection, segments: Sequence[SegmentInfo], how: str) -> None:
        numbers = [(segment.number,) for segment in segments]
        connection.executemany(f"UPDATE segments SET {how} WHERE number = ?", numbers)  # noqa: S608 - our own words
        connection.executemany("DELETE FROM blocks WHERE segment = ?", numbers)
        connection.executemany("INSERT INTO litter (path) VALUES (?)", [(segment.path,) for segment in segments])

    @staticmethod
    def _meet(
        connection: sqlite3.Connection, channel: Channel, known: Mapping[str, Instrument], newest: Mapping[str, int]
    ) -> None:
        connection.executemany(
            "INSERT INTO seen VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET last_ns = excluded.last_ns WHERE excluded.last_ns > last_ns",
            [(channel.value, instrument, last_ns) for instrument, last_ns in newest.items()],
        )
        connection.executemany(
            "INSERT INTO instruments VALUES (?, ?) "
            "ON CONFLICT DO UPDATE SET body = excluded.body WHERE excluded.body <> body",
            [(one, known[one].model_dump_json()) for one in newest if one in known],
        )


def _info(row: Sequence[Any]) -> SegmentInfo:
    number, channel, scope, start_ns, stop_ns, rows, size, sha256, path, merged_from = row
    numbers = tuple(json.loads(merged_from))
    return SegmentInfo(number, Channel(channel), scope, start_ns, stop_ns, rows, size, sha256.hex(), path, numbers)


def _block_row(block: Block) -> tuple[Any, ...]:
    names = (block.first_instrument, block.last_instrument)
    facts = (block.offset, block.length, block.sha256, block.rows)
    return (*facts, *names, block.min_ns, block.max_ns, json.dumps(dict(block.carry)))


def _block(row: Sequence[Any]) -> Block:
    offset, length, sha256, rows, first, last, min_ns, max_ns, carry = row
    return Block(offset, length, sha256, rows, first, last, min_ns, max_ns, json.loads(carry))
