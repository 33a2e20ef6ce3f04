"""One thread that does what would hold the event loop up: reading, encoding, fsync."""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

_T = TypeVar("_T")


class _Job(Generic[_T]):
    def __init__(self, work: Callable[[], _T], loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self.loop = loop
        self.future: asyncio.Future[_T] = loop.create_future()

    def run(self) -> None:
        try:
            result = self.work()
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits for the result
            self._bring(partial(self._set_exception, error))
        else:
            self._bring(partial(self._set_result, result))

    def _bring(self, done: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.loop.call_soon_threadsafe(done)

    def _set_result(self, result: _T) -> None:
        if not self.future.done():
            self.future.set_result(result)

    def _set_exception(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Worker:
    """Runs one thing after the other in a daemon thread: a disk or a share that hangs delays no end of the process."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def do(self, work: Callable[[], _T]) -> "asyncio.Future[_T]":
        """What `work` gives, once its turn has come."""
        job = _Job(work, asyncio.get_running_loop())
        self._jobs.put(job.run)
        return job.future

    def close(self) -> None:
        """End the thread behind what was asked for; does not wait."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
