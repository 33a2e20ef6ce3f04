"""Questions asked of the journal: read-only, also while a bot writes to it."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bot.errors import StorageError
from bot.ports import RecordKind
from bot.storage import schema
from bot.storage.durable_file import open_to_read
from bot.storage.schema import Record

_Parameters = tuple[str | int, ...]
_LAST = "SELECT coalesce(max(seq), 0) FROM records"

__all__ = ["JournalReader", "Record", "Run", "runs_of"]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a bot, from its first record and its last."""

    run_id: str
    start: Mapping[str, Any]
    """Body of the RUN record written at the start."""
    end: Mapping[str, Any] | None
    """Body of the RUN record written at the end; None: it runs still, or was killed."""
    started_ns: int
    """UTC ns, wall time: also of a run on a virtual clock."""
    last_ns: int
    """UTC ns of the end, or of the newest record of a run without one."""
    market_started_ns: int
    """UTC ns on the market's clock, which is the recording's in a recorded market."""
    market_ended_ns: int | None
    """None: no end was recorded."""


class JournalReader:
    """Reads `<data_dir>/journal.db`. Every method raises `StorageError` where the file is damaged.

    Close it, or use it as a context manager.
    """

    def __init__(self, connection: sqlite3.Connection | None, path: Path) -> None:
        """Read through `connection`; None: nothing has been recorded, and every answer is empty."""
        self._connection = connection
        self._path = path
        self._has_index = connection is not None and schema.has_index(connection)

    @classmethod
    def open(cls, data_dir: Path) -> Self:
        """A reader; where nothing has been recorded yet, one whose answers are empty.

        Raises:
            StorageError: If the file cannot be read, is not a journal, or was written by a newer version.
        """
        path = data_dir / schema.FILE_NAME
        if not path.exists():
            return cls(None, path)
        connection = _connect(path)
        try:
            if schema.check_version(connection, path):
                return cls(connection, path)
        except sqlite3.Error as error:
            connection.close()
            raise StorageError(f"{path} cannot be read: {error}") from error
        except StorageError:
            connection.close()
            raise
        connection.close()
        return cls(None, path)

    def close(self) -> None:
        """Let go of the file; calling it twice does nothing."""
        if self._connection is not None:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def runs(self, since_ns: int | None = None) -> list[Run]:
        """Runs in the order in which they started; with `since_ns`, those that were still active then."""
        return runs_of(self._records("kind = ?", (RecordKind.RUN.value,)), self._newest_ns, since_ns)

    def records(self, run_id: str, *kinds: RecordKind) -> Iterator[Record]:
        """A run's records of these kinds (of all, if none is named), in the order in which they were appended."""
        return self._records(*_of_run(run_id, kinds or RecordKind))

    def _newest_ns(self, run_id: str) -> int:
        found = self._found("max(ts_ns)", *_of_run(run_id, RecordKind))
        return max(int(newest) for (newest,) in found if newest is not None)

    def _records(self, where: str, parameters: _Parameters) -> Iterator[Record]:
        for row in self._found(schema.COLUMNS, where, parameters):
            yield schema.from_row(row)

    def _found(self, what: str, where: str, parameters: _Parameters) -> Iterator[Any]:
        """By the index as far as that goes, and the rest looked through; a writer may go on meanwhile."""
        known = max((schema.indexed(last) for (last,) in self._rows(_LAST, ()) if self._has_index), default=0)
        if known:
            by_index = f"seq IN (SELECT seq FROM record_index WHERE {where} AND seq <= ?)"  # noqa: S608 - our own words
            yield from self._select(what, by_index, (*parameters, known))
        yield from self._select(what, f"{where} AND seq > ?", (*parameters, known))

    def _select(self, what: str, where: str, parameters: _Parameters) -> Iterator[Any]:
        return self._rows(f"SELECT {what} FROM records WHERE {where} ORDER BY seq", parameters)  # noqa: S608 - our own words

    def _rows(self, select: str, parameters: _Parameters) -> Iterator[Any]:
        if self._connection is None:
            return
        try:
            with closing(self._connection.execute(select, parameters)) as cursor:
                yield from cursor
        except sqlite3.Error as error:
            raise StorageError(f"{self._path} cannot be read: {error}") from error


def _of_run(run_id: str, kinds: Iterable[RecordKind]) -> tuple[str, _Parameters]:
    wanted = [kind.value for kind in kinds]
    return f"kind IN ({', '.join('?' * len(wanted))}) AND run_id = ?", (*wanted, run_id)


def runs_of(records: Iterable[Record], newest_ns: Callable[[str], int], since_ns: int | None = None) -> list[Run]:
    """Runs out of their RUN records, in the order in which they started.

    Args:
        records: By `seq`.
        newest_ns: The time of a run's newest record, of whatever kind; asked for runs without an end.
        since_ns: Leave out the runs that had ended by then.
    """
    ends: dict[str, Record] = {}
    starts: dict[str, Record] = {}
    for record in records:
        (ends if record.run_id in starts else starts)[record.run_id] = record
    runs = [_run(start, ends.get(run_id), newest_ns) for run_id, start in starts.items()]
    return [run for run in runs if since_ns is None or max(run.started_ns, run.last_ns) >= since_ns]


def _run(start: Record, end: Record | None, newest_ns: Callable[[str], int]) -> Run:
    return Run(
        start.run_id,
        start.body,
        end.body if end else None,
        start.body.get("started_ns", start.ts_ns),
        newest_ns(start.run_id) if end is None else end.body.get("finished_ns", end.ts_ns),
        start.ts_ns,
        end.ts_ns if end else None,
    )


def _connect(path: Path) -> sqlite3.Connection:
    try:
        return open_to_read(path)
    except sqlite3.Error as error:
        raise StorageError(f"{path} cannot be read: {error}") from error
