"""Runs one change of an archive again and again, each time killed one step later, until it lives to the end.

A step is whatever the disk sees: an fsync, a rename, a removal, a statement of the manifest. Every run is a fork of
this process with an archive of its own: `DIRECTORY/<step>`, and `DIRECTORY/<step>.acknowledged` with the numbers of
the segments whose write returned. Prints the number of runs.

    python -m tests.integration.archive_killer DIRECTORY write|merge|retain|open
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bot.storage.archive.channels import Channel
from bot.storage.archive.manifest import Manifest
from bot.storage.archive.store import ArchiveStore
from tests.unit.archive_rows import DAY_NS, KNOWN, MINUTE_NS, START_NS, quotes

MINUTES = 3
NOW_NS = START_NS + 3 * DAY_NS


def prepare(data_dir: Path) -> None:
    """Minutes that wait to be merged, and one of another feed."""
    with ArchiveStore.open(data_dir) as store:
        for minute in range(MINUTES):
            store.write(Channel.QUOTES, "binance.spot", quotes(START_NS + minute * MINUTE_NS), KNOWN)
        store.write(Channel.QUOTES, "bybit.spot", quotes(START_NS + DAY_NS), KNOWN)


def change(store: ArchiveStore, what: str, acknowledge: Callable[[int], object]) -> None:
    if what == "write":
        segment = store.write(Channel.QUOTES, "binance.spot", quotes(START_NS + MINUTES * MINUTE_NS), KNOWN)
        assert segment is not None
        acknowledge(segment.number)
    elif what == "merge":
        store.merge(NOW_NS)
    else:
        store.retain(NOW_NS, {Channel.QUOTES: 2 * DAY_NS}, None)


class Killer:
    """Ends this process at its `last` step, as a power cut would: nothing is flushed, nothing is cleaned up."""

    def __init__(self, last: int) -> None:
        self._left = last

    def step(self, *_: object) -> None:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1

    def watch(self, store: ArchiveStore) -> None:
        manifest: Any = store._manifest
        manifest._writer.set_trace_callback(self.step)
        for name in ("fsync", "replace", "unlink", "rmdir", "open"):
            setattr(os, name, self._before(getattr(os, name)))

    def _before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*arguments: Any, **named: Any) -> Any:
            self.step()
            return function(*arguments, **named)

        return stepped


def run(data_dir: Path, what: str, last: int) -> None:
    acknowledged = os.open(data_dir.with_suffix(".acknowledged"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    killer = Killer(last)
    if what == "open":
        # What an opening has to do: a crash before it left a file that is no part of the archive.
        original = Manifest.fact
        Manifest.fact = lambda manifest, name: (_watch(manifest, killer), original(manifest, name))[1]  # type: ignore[method-assign]
        ArchiveStore.open(data_dir)
        return
    store = ArchiveStore.open(data_dir)
    killer.watch(store)
    change(store, what, lambda number: os.write(acknowledged, b"%d\n" % number))


def _watch(manifest: Manifest, killer: Killer) -> None:
    holder: Any = type("Holder", (), {"_manifest": manifest})()
    killer.watch(holder)


def killed_at(directory: Path, what: str, step: int) -> bool:
    data_dir = directory / str(step)
    shutil.copytree(directory / "prepared", data_dir)
    child = os.fork()
    if child == 0:
        run(data_dir, what, step)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def main(directory: Path, what: str) -> None:
    quotes(START_NS)  # imports what pyarrow puts off, once and not in every fork
    # In a fork, since this process must stay without threads to be forked safely.
    child = os.fork()
    if child == 0:
        prepare(directory / "prepared")
        if what == "open":
            store = ArchiveStore.open(directory / "prepared")
            _, path = store._manifest.reserve("quotes/binance.spot/2026-01-05/0009")
            store._root.put(path, memoryview(b"half"))
        os._exit(0)
    os.waitpid(child, 0)
    runs = 0
    while killed_at(directory, what, runs):
        runs += 1
    print(runs)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
