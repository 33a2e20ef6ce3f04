"""One thread that makes batches durable, and a queue before it that has an end.

Nothing that comes in waits for the disk. While the disk is slow, full or gone, batches stay in memory up to a bound;
then the oldest are given up, and whoever hands over a batch is told which, so that a gap can be recorded. A batch that
could not be written is tried again until it can.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from bot.domain.instrument import Instrument
from bot.errors import StorageError
from bot.recording.batch import Batch
from bot.storage.archive.channels import Channel
from bot.storage.archive.ports import SegmentStore

Instruments = Callable[[Batch], Mapping[str, Instrument]]


@dataclass(frozen=True, slots=True)
class WriterStatus:
    """How the writing goes."""

    waiting_rows: int
    """Gaps not counted."""
    oldest_ns: int | None
    """Receive time of the oldest row that is not durable yet; None while nothing waits."""
    rows: int
    """Durable rows, all channels."""
    size_bytes: int
    """Of the segments written."""
    dropped_rows: int
    """Given up because the disk did not take them, or no archive could."""
    trouble: str | None
    """Why the batch in turn is not written; None while all is well."""


class ArchiveWriter:
    """Writes batches in the order in which they came, gaps first. All but the writing is called on one thread."""

    def __init__(
        self, store: SegmentStore, instruments: Instruments, *, max_waiting_rows: int, retry_s: float = 1.0
    ) -> None:
        """Nothing is written before `start`.

        Args:
            store: Where to; used by the thread alone.
            instruments: Which instruments a batch has rows of, with their grids; called by the thread.
            max_waiting_rows: Rows that may wait; gaps do not count, and are never given up.
            retry_s: Wait between two tries of a batch.
        """
        self._store = store
        self._instruments = instruments
        self._max_rows = max_waiting_rows
        self._retry_s = retry_s
        self._changed = threading.Condition()
        self._queue: deque[Batch] = deque()
        self._is_writing = False
        self._is_closing = False
        self._gives_up = False
        self._unusable: list[tuple[Batch, str]] = []
        self._accounted: list[int] = []
        """From when on rows are missing whose gap has not been handed over yet."""
        self._handed_ns = self._complete_ns = self._reach_ns = 0
        self._waiting_rows = self._rows = self._bytes = self._dropped = 0
        self._trouble: str | None = None
        self._bytes_of: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run, name="archive-writer", daemon=True)

    def start(self, now_ns: int) -> None:
        """Begin to write what is received from `now_ns` on.

        Raises:
            StorageError: If the archive cannot be read.
        """
        since_ns, until_ns = self._store.unwritten() or (0, 0)
        if since_ns < until_ns:  # a recorder was killed over it, and the gaps that say so are not handed over yet
            self._accounted.append(since_ns)
            self._reach_ns = until_ns
        self._handed_ns = now_ns
        self._complete_ns = self._complete(())
        self._thread.start()

    @contextmanager
    def handing_over(self, now_ns: int) -> Iterator[None]:
        """Around every `put` of what was received before `now_ns`, its gaps included: nothing is written meanwhile."""
        with self._changed:
            self._complete_ns = self._complete(self._queue)
            yield
            self._accounted.clear()
            self._handed_ns = now_ns
            self._reach_ns = max(self._reach_ns, now_ns)

    def durable_ns(self) -> int:
        """Up to when the archive has all that was received, or knows of the gap, UTC ns; may be asked on any thread."""
        with self._changed:
            return self._complete(self._queue)

    def _complete(self, waiting: Iterable[Batch]) -> int:
        """The same when nothing but these batches waits."""
        # What a gap tells of lies before its own time.
        starts = (batch.start_ns if _weight(batch) else self._complete_ns for batch in waiting)
        return min((self._handed_ns, *self._accounted, *(one.start_ns for one, _ in self._unusable), *starts))

    def put(self, batch: Batch) -> list[Batch]:
        """Take a batch over; returns at once, with older batches that had to be given up for it.

        Gaps go before all rows that wait: a process that is killed in between must not leave rows behind a gap that
        nobody knows of.
        """
        with self._changed:
            self._queue.insert(self._place(batch), batch)
            self._waiting_rows += _weight(batch)
            self._reach_ns = max(self._reach_ns, batch.stop_ns)
            dropped = self._make_room()
            self._changed.notify_all()
        return dropped

    def _place(self, batch: Batch) -> int:
        if _weight(batch):
            return len(self._queue)
        first = 1 if self._is_writing else 0
        waiting = list(self._queue)[first:]
        return first + next((at for at, one in enumerate(waiting) if _weight(one)), len(waiting))

    def _make_room(self) -> list[Batch]:
        dropped: list[Batch] = []
        excess = self._waiting_rows - self._max_rows
        for batch in list(self._queue)[1 if self._is_writing else 0 :]:
            if excess <= 0:
                break
            if _weight(batch):
                self._queue.remove(batch)
                dropped.append(batch)
                excess -= batch.rows
        rows = sum(batch.rows for batch in dropped)
        self._waiting_rows -= rows
        self._dropped += rows
        return dropped

    def unusable(self) -> list[tuple[Batch, str]]:
        """Batches that no archive could take, and why, since this was asked last: mistakes of ours."""
        with self._changed:
            found, self._unusable = self._unusable, []
            self._accounted += [batch.start_ns for batch, _ in found]
        return found

    def status(self) -> WriterStatus:
        """How it goes now."""
        with self._changed:
            oldest_ns = min((batch.start_ns for batch in self._queue), default=None)
            return WriterStatus(self._waiting_rows, oldest_ns, self._rows, self._bytes, self._dropped, self._trouble)

    def size_bytes(self, scope: str) -> int:
        """Of the segments written of one scope."""
        with self._changed:
            return self._bytes_of.get(scope, 0)

    def drain(self, patience_s: float) -> bool:
        """Wait until everything is durable, for `patience_s` at most; whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue, patience_s if self._thread.is_alive() else 0.0)

    def close(self, patience_s: float) -> int:
        """Write what waits, and end; the rows that could not be written within `patience_s` are lost and counted."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(patience_s)
        with self._changed:
            self._gives_up = True
            self._changed.notify_all()
            return self._waiting_rows

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            try:
                written = self._write(batch)
            except StorageError as error:
                self._wait(str(error))
            except Exception as error:  # noqa: BLE001 - a batch that cannot be encoded must not hold up all that follow
                # Before it leaves the queue: whoever finds that empty asks next what could not be written.
                with self._changed:
                    self._unusable.append((batch, f"{type(error).__name__}: {error}"))
                self._done(batch, None)
            else:
                self._done(batch, written)

    def _next(self) -> Batch | None:
        with self._changed:
            while not self._queue and not self._is_closing:
                self._changed.wait()
            if not self._queue or self._gives_up:
                return None
            self._is_writing = True
            return self._queue[0]

    def _write(self, batch: Batch) -> int:
        table, instruments = batch.table(), self._instruments(batch)
        with self._changed:
            waiting = list(self._queue)[1:]
            complete_ns, until_ns = self._complete(waiting), self._reach_ns
            is_last = not (waiting or self._unusable or self._accounted)
        unwritten = until_ns if is_last else complete_ns, until_ns
        segment = self._store.write(batch.channel, batch.scope, table, instruments, unwritten)
        with self._changed:
            self._complete_ns = complete_ns
        return 0 if segment is None else segment.size_bytes

    def _wait(self, reason: str) -> None:
        with self._changed:
            self._trouble = reason
            self._is_writing = False
            self._changed.wait_for(lambda: self._gives_up, self._retry_s)

    def _done(self, batch: Batch, size_bytes: int | None) -> None:
        """The batch leaves the queue; without a size it is not in the archive, and never will be."""
        with self._changed:
            self._queue.popleft()
            self._is_writing = False
            self._trouble = None
            self._waiting_rows -= _weight(batch)
            if size_bytes is None:
                self._dropped += batch.rows
            else:
                self._rows += batch.rows
                self._bytes += size_bytes
                self._bytes_of[batch.scope] = self._bytes_of.get(batch.scope, 0) + size_bytes
            self._changed.notify_all()


def _weight(batch: Batch) -> int:
    """Rows that count for the bound: a gap that says what is missing must not go missing."""
    return 0 if batch.channel is Channel.GAPS else batch.rows
