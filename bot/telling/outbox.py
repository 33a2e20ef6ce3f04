"""A thread that does slow things one after another, and a queue with an end before it."""

import queue
import threading
from collections.abc import Callable

Work = Callable[[], None]


class Outbox:
    """Work for a thread of its own; `put` never waits. What `work` raises is its own business to handle."""

    def __init__(self, name: str, limit: int) -> None:
        """Begin; at most `limit` things wait, more are dropped and counted."""
        self._queue: queue.Queue[Work | None] = queue.Queue(limit)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self.dropped = 0
        """How many found no room."""
        self._done = 0
        self._given = 0

    def put(self, work: Work) -> bool:
        """Do it soon; False where there was no room."""
        try:
            self._queue.put_nowait(work)
        except queue.Full:
            self.dropped += 1
            return False
        self._given += 1
        return True

    @property
    def is_busy(self) -> bool:
        """Whether something of it is not done; for the thread that puts."""
        return self._done < self._given

    def close(self, wait_s: float) -> bool:
        """Do what waits, for no longer than `wait_s`; whether all of it was done."""
        try:
            self._queue.put(None, timeout=wait_s)
        except queue.Full:
            return False
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            work()
            self._done += 1
