"""The truth about a run, on disk: SQLite behind a writer thread with group commit.

    record()        puts a tuple on a queue: no encoding, no lock, no system call on the caller's side
    writer thread   takes the first, waits `group_commit_ms` for company, writes all in one transaction: one fsync
    when_durable()  a marker in the same queue, so that "everything recorded so far" is its place in the line; it ends
                    the wait for company, and stands aside for the moment until the writer is at the disk: what the
                    caller does next is done while the disk works, and not before it is asked

When a write fails (no space, a lock, a disk that went read-only) nothing is called durable any more. What is recorded
meanwhile (cancels, unwinding) goes to stderr, line by line, so that a person has it, and waits in memory; it is tried
again every second, and once it is in the file, in its order, the journal goes on as before. It is lost for the rest of
the run where trying again cannot help: a damaged file, a record that cannot be encoded, more waiting than is kept.
"""

import queue
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from bot.clock import SystemClock
from bot.errors import StorageError
from bot.masking import masked
from bot.ports import RecordKind, Spelled
from bot.single_writer import SingleWriter
from bot.storage import schema
from bot.storage.durable_file import in_one_step, make_durable, open_file
from bot.storage.log_room import QUIET_S, LogRoom
from bot.storage.torn_tail import examine

Body = Mapping[str, Any] | Callable[[], Mapping[str, Any]]
Callback = Callable[[], None]

_BATCH_LIMIT = 5_000
_CHUNK = 50
_ASIDE_S = 0.0005
"""How long `when_durable` gives the writer to put what waits into words and go to the disk with it. A writer that is in
the middle of its words by then keeps the interpreter until it has them, or for the switch interval."""
_FEW = 16
"""Records (and markers) that are put into words in less than that; a pair's beginning is five."""
_TAIL_CHECKED = 10_000
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_LOW_BYTE = 0xFF
"""Of an extended error code: the code proper."""
_WAY_OUT = "if it is damaged, keep it and restore a backup (docs/backup.md)"

_Entry = tuple[RecordKind, str, int, Body, str]
"""The last is the run's id."""


class _Waiter:
    """A place in the line: everything before it is durable, or never will be."""

    __slots__ = ("callback", "done", "durable")

    def __init__(self, callback: Callback, done: threading.Event | None) -> None:
        self.callback = callback
        self.durable = False
        self.done = done


_Item = _Entry | _Waiter


class SqliteJournal:
    """`bot.ports.Journal` on `<data_dir>/journal.db`. Use it from one thread.

    Args:
        data_dir: Made (0700) if it is missing; the file is 0600.
        run_id: Stands on every record.
        group_commit_ms: Records that come within this time share an fsync, unless somebody waits for one.
        deliver: Brings a callback to the engine's thread (`loop.call_soon_threadsafe`). None: `when_durable` itself
            waits and calls back, so that a run on a virtual clock is the same every time.
        on_failure: Delivered once, with the reason, when a write fails; with `deliver=None` the reason is raised by
            the next `when_durable` or `close` instead.
        on_lost: Gets every record that could not be written, as one line of JSON; default: stderr.
        queue_limit: Records that may wait in memory for a slow disk; with `deliver=None` the caller then waits too.
        retry_s: Between two tries to write what could not be written.
        keep_limit: Records that may wait for a disk that takes none.

    Raises:
        StorageError: If the directory is in use by another writer or not writable, or the file is damaged, foreign or
            written by a newer version.
    """

    def __init__(
        self,
        data_dir: Path,
        run_id: str,
        *,
        group_commit_ms: float = 2.0,
        deliver: Callable[[Callback], object] | None = None,
        on_failure: Callable[[str], None] | None = None,
        on_lost: Callable[[str], None] | None = None,
        queue_limit: int = 1_000_000,
        retry_s: float = 1.0,
        keep_limit: int = 100_000,
    ) -> None:
        self.failed: str | None = None
        """Why nothing is durable now; None while all is well."""
        self.is_lost = False
        """Whether it stays so for the rest of the run."""
        self._run_id = run_id
        self._group_commit_s = group_commit_ms / 1e3
        self._deliver = deliver
        self._on_failure = on_failure
        self._on_lost = on_lost or _to_stderr
        self._queue_limit = queue_limit
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._put = self._queue.put
        self._waiting = self._queue.qsize
        self._unhurried = threading.Lock()
        """Taken by the writer, let go of by whoever wants it to wait for no more company."""
        self._unhurried.acquire()
        self._went = threading.Lock()
        """Taken by the engine, let go of by the writer as it goes to the disk."""
        self._closed = False
        self._closing = threading.Event()
        self._retry_s = retry_s
        self._keep_limit = keep_limit
        self._kept: list[_Entry] = []
        self._failures = 0
        """Counted by the writer as it sends word of them, and by the engine's thread as it hears it."""
        self._heard = 0
        self._clock = SystemClock()
        self._writing_since_ns: int | None = None
        _make_directory(data_dir)
        self._lock = SingleWriter(data_dir)
        try:
            self.dropped = examine(data_dir / f"{schema.FILE_NAME}-wal")
            """What was dropped at the end of the file, since a crash had left half of it; None: nothing."""
            self._connection, self._seq = open_file(data_dir / schema.FILE_NAME, _prepare, _WAY_OUT)
        except BaseException:  # whatever ends it, an interrupt too: nobody else could open it
            self._lock.release()
            raise
        self._log_room = LogRoom(data_dir / f"{schema.FILE_NAME}-wal", self._connection)
        if deliver is not None:  # on a virtual clock nobody waits in real time
            self._log_room.make()
        self._writer = threading.Thread(target=self._write_until_closed, name="journal", daemon=True)
        self._writer.start()

    def record(self, kind: RecordKind, key: str, ts_ns: int, body: Body) -> None:
        """Append one record; returns at once.

        `body` is plain data, or builds it when called: that happens later, in the writer thread, so neither may change
        afterwards. After a failure the record goes to `on_lost`.

        Raises:
            StorageError: If the journal is closed, or `queue_limit` records wait for the disk.
        """
        if self._closed or self._waiting() >= self._queue_limit:
            self._make_room()
        self._put((kind, key, ts_ns, body, self._run_id))

    def beside(self, run_id: str) -> "BesideJournal":
        """The same file for another run that goes on in this process: its records bear its id."""
        return BesideJournal(self, run_id)

    def record_of(self, run_id: str, kind: RecordKind, key: str, ts_ns: int, body: Body) -> None:
        """Append one record of another run; else as `record`.

        Raises:
            StorageError: As `record`.
        """
        if self._closed or self._waiting() >= self._queue_limit:
            self._make_room()
        self._put((kind, key, ts_ns, body, run_id))

    def when_durable(self, callback: Callback) -> None:
        """Run `callback` on the engine's thread once everything recorded so far is fsynced; never if that fails.

        Raises:
            StorageError: If the journal is closed or has failed, or a failure is still on its way to the engine's
                thread; with `deliver=None` also if it fails now.
        """
        if self._closed or self.failed is not None:
            raise StorageError(self.failed or "the journal is closed")
        if self._failures != self._heard:
            # It is well again before its failure was heard of. Whoever hears of that acts for all that wait by then,
            # and must not be called as well.
            raise StorageError("it could not be written a moment ago")
        waiter = _Waiter(callback, threading.Event() if self._deliver is None else None)
        self._went.acquire(blocking=False)  # it may have gone for what came before
        self._put(waiter)
        self._hurry()  # an order waits for this: what comes meanwhile finds company in the next fsync
        if waiter.done is None:
            self._stand_aside()
        else:
            waiter.done.wait()
            if not waiter.durable:
                raise StorageError(self.failed or "the journal failed")
            callback()

    def _stand_aside(self) -> None:
        """Until the writer is at the disk: to get there it needs the interpreter, which we keep while we are busy."""
        is_idle = self._writing_since_ns is None  # else it is there for what came before, for as long as the disk likes
        if is_idle and self._waiting() <= _FEW:
            self._went.acquire(timeout=_ASIDE_S)

    def behind_s(self) -> float:
        """How long the disk has been busy with what it was given; 0 while nothing waits for it."""
        since_ns = self._writing_since_ns
        return 0.0 if since_ns is None else (self._clock.monotonic_ns() - since_ns) / 1e9

    def close(self) -> None:
        """Make everything durable and let go of the file; calling it twice does nothing.

        Raises:
            StorageError: If the journal has failed: something recorded is not in the file.
        """
        if self._closed:
            return
        self._closed = True
        self._put(None)
        self._hurry()
        self._closing.set()
        self._writer.join()
        try:
            self._connection.close()
        except sqlite3.Error as error:
            self.failed = self.failed or f"the journal cannot be closed: {error}"
        self._lock.release()
        if self.failed is not None:
            raise StorageError(self.failed)

    def _make_room(self) -> None:
        if self._closed:
            raise StorageError("the journal is closed")
        if self._deliver is not None:
            raise StorageError(f"the disk does not keep up: {self._queue_limit} records wait for it")
        self.when_durable(lambda: None)

    # From here on: the writer thread.

    def _write_until_closed(self) -> None:
        is_open = True
        while is_open:
            batch = self._next_batch() if self.failed is None or self.is_lost else self._batch_of_trouble()
            is_open = not (batch and batch[-1] is None)  # nothing is recorded after close
            self._writing_since_ns = self._clock.monotonic_ns()
            self._settle(batch)
            self._writing_since_ns = None

    def _next_batch(self) -> Sequence[_Item | None]:
        first = self._first()
        # Before the queue is emptied: a hurry that comes later belongs to the next batch.
        self._unhurried.acquire(timeout=self._group_commit_s)
        return self._fill([first])

    def _hurry(self) -> None:
        if self._unhurried.locked():
            with suppress(RuntimeError):  # another thread was in a hurry, too
                self._unhurried.release()

    def _first(self) -> _Item | None:
        if self._log_room.is_long and not self._closed:
            try:
                return self._queue.get(timeout=QUIET_S)
            except queue.Empty:
                self._writing_since_ns = self._clock.monotonic_ns()
                self._log_room.clear()
                self._writing_since_ns = None
        return self._queue.get()

    def _batch_of_trouble(self) -> Sequence[_Item | None]:
        """What came while the disk was given time; nothing may have come."""
        self._closing.wait(self._retry_s)
        return self._fill([])

    def _fill(self, batch: list[_Item | None]) -> Sequence[_Item | None]:
        while self._waiting():  # nobody else takes from it
            if len(batch) >= _BATCH_LIMIT or (batch and batch[-1] is None):
                self._hurry()  # more is there
                break
            batch.append(self._queue.get_nowait())
        return batch

    def _settle(self, batch: Sequence[_Item | None]) -> None:
        entries = [item for item in batch if isinstance(item, tuple)]
        # Whoever waits in this batch has been told of the failure, and has acted on it: a promise now would come twice.
        was_told = self.failed is not None
        if was_told:
            self._tell(entries)
        if not self.is_lost and (entries or self._kept):
            self._try_to_write(entries)
        self._let_go()  # nothing may have been written
        for item in batch:
            if isinstance(item, _Waiter):
                self._release(item, durable=self.failed is None and not was_told)

    def _try_to_write(self, entries: Sequence[_Entry]) -> None:
        was_well = self.failed is None
        kept = self._kept
        kept += entries
        try:
            while kept:
                self._write(kept[:_BATCH_LIMIT])
                del kept[:_BATCH_LIMIT]
        except sqlite3.Error as error:
            self.is_lost = getattr(error, "sqlite_errorcode", 0) & _LOW_BYTE in _DAMAGED
            self._fail(f"the journal cannot be written: {error}")
        except Exception as error:  # noqa: BLE001 - a body that cannot be built or encoded: whatever it raises, this
            # thread must live on to release those who wait, and nothing that comes after it is durable.
            self.is_lost = True
            self._fail(f"our bug: a record cannot be written: {type(error).__name__}: {error}")
        else:
            self.failed = None
        if was_well and self.failed is not None:
            self._tell(kept)
        if len(kept) > self._keep_limit:
            self.is_lost = True
            self.failed = f"{self.failed}; more than {self._keep_limit} records waited for it"
        if self.is_lost:
            kept.clear()

    def _write(self, entries: Sequence[_Entry]) -> None:
        execute = self._connection.execute
        size = 0
        known, known_after = schema.indexed(self._seq), schema.indexed(self._seq + len(entries))
        # A statement alone is a transaction of its own: the interpreter lock is let go of, and asked for, once.
        is_one = len(entries) <= _CHUNK and known == known_after
        if not is_one:
            execute("BEGIN IMMEDIATE")
        try:
            for chunk in self._chunks(entries):
                self._let_go()
                execute(schema.insert(len(chunk)), list(chain.from_iterable(chunk)))
                size += sum(schema.size_of(row) for row in chunk)
            if known != known_after:
                execute(schema.INDEX, (known, known_after))
            if not is_one:
                execute("COMMIT")
        except BaseException:  # whatever ends it: nothing half done may stay
            if self._connection.in_transaction:
                with suppress(sqlite3.Error):  # the first error is the one to tell
                    execute("ROLLBACK")
            raise
        self._seq += len(entries)
        self._log_room.grew(size)

    def _let_go(self) -> None:
        """Of the engine, which stands aside."""
        if self._went.locked():  # nobody but us lets go of it
            self._went.release()

    def _chunks(self, entries: Sequence[_Entry]) -> Iterator[list[schema.Row]]:
        """Rows in small portions.

        Each statement lets go of the interpreter lock once. With a busy engine it then takes 5 ms (the switch
        interval) to get it back, so a row a statement would be 200 rows a second; and a whole batch encoded at once
        would hold the engine up for milliseconds.
        """
        for start in range(0, len(entries), _CHUNK):
            yield [
                schema.to_row(self._seq + 1 + at, run_id, kind, ts_ns, key, _words(body))
                for at, (kind, key, ts_ns, body, run_id) in enumerate(entries[start : start + _CHUNK], start)
            ]

    def _fail(self, reason: str) -> None:
        is_news = self.failed is None
        self.failed = reason
        on_failure = self._on_failure
        if is_news and on_failure is not None and self._deliver is not None:
            self._failures += 1
            self._bring(partial(self._hear, on_failure, reason))

    def _hear(self, on_failure: Callable[[str], None], reason: str) -> None:
        """On the engine's thread."""
        try:
            on_failure(reason)
        finally:
            self._heard += 1

    def _tell(self, entries: Sequence[_Entry]) -> None:
        """Hand out what is not in the file."""
        for kind, key, ts_ns, body, run_id in entries:
            head = {"run_id": run_id, "kind": kind, "ts_ns": ts_ns, "key": key}
            try:
                line = schema.encode({**head, "body": body() if callable(body) else body})
            except Exception as error:  # noqa: BLE001 - the record that broke the journal may break here again
                line = schema.encode({**head, "error": f"{type(error).__name__}: {error}"})
            self._on_lost(line)

    def _release(self, waiter: _Waiter, *, durable: bool) -> None:
        waiter.durable = durable
        if waiter.done is not None:
            waiter.done.set()
        elif waiter.durable:
            self._bring(waiter.callback)

    def _bring(self, callback: Callback) -> None:
        assert self._deliver is not None
        with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._deliver(callback)


class BesideJournal:
    """`bot.ports.Journal` of a run beside another, in the other's file; the other closes it."""

    def __init__(self, journal: SqliteJournal, run_id: str) -> None:
        self._journal = journal
        self._run_id = run_id
        self.when_durable = journal.when_durable

    def record(self, kind: RecordKind, key: str, ts_ns: int, body: Body) -> None:
        """As `SqliteJournal.record`."""
        self._journal.record_of(self._run_id, kind, key, ts_ns, body)

    def close(self) -> None:
        """Nothing: whoever opened the file closes it."""


def _words(body: Body) -> str:
    return schema.encode(body() if callable(body) else body) if type(body) is not Spelled else masked(body.text)


def _to_stderr(line: str) -> None:
    # It may be a file on the disk that is full, or a pipe that nobody reads any more: the record waits in memory still.
    # In one write: the engine's thread says its lines on the same stream, and one of them must not get into this one.
    with suppress(OSError, ValueError):
        print(f"not in the journal: {line}\n", end="", file=sys.stderr, flush=True)


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path} cannot be made: {error.strerror}") from error


def _prepare(connection: sqlite3.Connection, path: Path) -> int:
    """The last sequence number in the file."""
    ready = schema.check_version(connection, path)
    make_durable(connection, path)
    if not ready:
        in_one_step(connection, schema.CREATE)
    schema.migrate(connection)
    last = 0
    tail = f"SELECT {schema.COLUMNS} FROM records ORDER BY seq DESC LIMIT {_TAIL_CHECKED}"  # noqa: S608 - constants
    for row in connection.execute(tail):
        last = max(last, schema.from_row(row).seq)
    return last
