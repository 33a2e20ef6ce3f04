"""Records any market as it arrives: `<receive ns> <payload>` lines, one file for each feed.

The engine's thread appends to a queue and returns. A writer thread puts the queue on disk twice a second and fsyncs
it, so that a kill loses at most the last second. Finished files are compressed in a thread of their own: the gzip
of an hour takes longer than a second and must not hold up the lines that arrive meanwhile.
"""

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue

from bot.domain.instrument import Feed, Instrument
from bot.errors import StorageError
from bot.single_writer import SingleWriter
from exchanges.common.market.raw_file import RawFile, compress, is_packed, left_by_a_kill, write_json
from exchanges.recorded.instruments import SHARED_NAME, merged_metadata

_LOCK = "recording.lock"
_IN_USE = "process {holder} records to {data_dir}: stop it, or record elsewhere"
_SYNC_S = 0.5
_LINE_OVERHEAD_BYTES = 120
"""Of a queued line beyond its payload: tuple, bytes header, stamp."""


class RawWriter:
    """A `FrameTap` that keeps every frame in `directory`, with the `instruments.json` that replaying it needs.

    Trading is never disturbed: when the disk is full or too slow, the recording stops, says so once through
    `on_message`, and what was written stays whole.

    Args:
        directory: Made if it is not there.
        instruments: By feed and venue symbol; added to an `instruments.json` that is there already.
        on_message: One line for a person; called on a thread of this writer.
        rotate_minutes: After this time a file is finished and compressed to `.raw.gz`; the last one stays `.raw`.
        max_queued_bytes: What may wait for the disk before it counts as too slow.

    Raises:
        StorageError: If the directory cannot be written, or (`AlreadyRunning`) somebody else records to it.
    """

    def __init__(
        self,
        directory: Path,
        instruments: Mapping[Feed, Mapping[str, Instrument]],
        on_message: Callable[[str], None],
        rotate_minutes: float = 60.0,
        max_queued_bytes: int = 64 << 20,
    ) -> None:
        self._directory = directory
        self._on_message = on_message
        self._rotate_ns = round(rotate_minutes * 60e9)
        self._max_queued_bytes = max_queued_bytes
        self._rows: deque[tuple[Feed, int, bytes]] = deque()
        self._queued_bytes = 0
        self._written_bytes = 0
        self._recording = True
        self._too_slow = False
        self._files: dict[Feed, RawFile] = {}
        self._finished: SimpleQueue[Path | None] = SimpleQueue()
        self._closing = threading.Event()
        self._lock, twins = _prepared(directory, instruments)
        self._writer = threading.Thread(target=self._write_until_closed, name="raw-writer", daemon=True)
        pack = self._pack_until_closed
        self._packer = threading.Thread(target=pack, args=(twins,), name="raw-packer", daemon=True)
        self._writer.start()
        self._packer.start()

    def on_raw(self, feed: Feed, raw: bytes, ts_recv_ns: int) -> None:
        """Keep it; returns at once."""
        if not self._recording:
            return
        # Two counters, each written by one thread: no lock between a frame and its decision.
        self._queued_bytes += len(raw) + _LINE_OVERHEAD_BYTES
        if self._queued_bytes - self._written_bytes > self._max_queued_bytes:
            self._too_slow = True
            self._recording = False
            return
        self._rows.append((feed, ts_recv_ns, raw))

    def close(self) -> None:
        """Put everything on disk and stop; a compression that is under way is abandoned, its `.raw` stays."""
        self._recording = False
        self._closing.set()
        self._writer.join()
        self._finished.put(None)
        self._packer.join()
        self._lock.release()

    def _write_until_closed(self) -> None:
        try:
            closing = False
            while not closing:
                closing = self._closing.wait(_SYNC_S)
                self._write_queued()
                if self._too_slow:
                    self._too_slow = False
                    self._on_message(f"raw recording stopped: the disk of {self._directory} is too slow")
        except OSError as error:
            self._on_message(f"raw recording stopped: {error.strerror} in {self._directory}; free space and restart")
        finally:
            self._recording = False
            self._rows.clear()
            self._close_files()

    def _write_queued(self) -> None:
        rows, by_feed = self._rows, dict[Feed, list[tuple[int, bytes]]]()
        taken = 0
        for _ in range(len(rows)):
            feed, ts_ns, raw = rows.popleft()
            taken += len(raw) + _LINE_OVERHEAD_BYTES
            by_feed.setdefault(feed, []).append((ts_ns, raw))
        for feed, lines in by_feed.items():
            self._append(feed, lines)
        for feed in by_feed:
            self._files[feed].sync()
        self._written_bytes += taken

    def _append(self, feed: Feed, lines: list[tuple[int, bytes]]) -> None:
        text = bytearray()
        file = self._file_for(feed, lines[0][0])
        for ts_ns, raw in lines:
            if ts_ns - file.first_ns >= self._rotate_ns:
                file.append(bytes(text))
                text.clear()
                file = self._file_for(feed, ts_ns)
            text += b"%d %b\n" % (ts_ns, raw.replace(b"\n", b" "))
        file.append(bytes(text))

    def _file_for(self, feed: Feed, ts_ns: int) -> RawFile:
        file = self._files.get(feed)
        if file is not None and ts_ns - file.first_ns < self._rotate_ns:
            return file
        if file is not None:
            file.close()
            self._finished.put(file.path)
        self._files[feed] = file = RawFile(self._directory, str(feed), ts_ns)
        return file

    def _close_files(self) -> None:
        for file in self._files.values():
            try:
                file.close()
            except OSError as error:
                self._on_message(f"raw recording: {file.path.name} may lack its end: {error.strerror}")

    def _pack_until_closed(self, twins: Sequence[Path]) -> None:
        for twin in twins:
            self._drop_packed(twin)
        while (path := self._finished.get()) is not None:
            try:
                compress(path, self._closing)
            except OSError as error:
                self._on_message(f"raw recording: {path.name} stays uncompressed: {error.strerror}")

    def _drop_packed(self, path: Path) -> None:
        """Take away a `.raw` that a kill left beside its `.raw.gz`."""
        try:
            if is_packed(path, self._closing):
                path.unlink()
            elif not self._closing.is_set():
                self._on_message(
                    f"raw recording: {path.name} and {path.name}.gz are not the same; remove the one that is not whole"
                )
        except OSError as error:
            self._on_message(f"raw recording: {path.name} stays beside its .gz: {error.strerror}")


def _prepared(directory: Path, instruments: Mapping[Feed, Mapping[str, Instrument]]) -> tuple[SingleWriter, list[Path]]:
    """The lock of the directory, and what a kill while packing left there."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with ExitStack() as undo:
            lock = undo.enter_context(SingleWriter(directory, _LOCK, _IN_USE))
            _add_metadata(directory / SHARED_NAME, instruments)
            twins = left_by_a_kill(directory)
            undo.pop_all()
    except OSError as error:
        raise StorageError(f"cannot record to {directory}: {error.strerror}") from None
    return lock, twins


def _add_metadata(path: Path, instruments: Mapping[Feed, Mapping[str, Instrument]]) -> None:
    try:
        old = json.loads(path.read_bytes()) if path.exists() else {}
    except ValueError:
        raise StorageError(f"{path} is not JSON; move it away or record elsewhere") from None
    if not isinstance(old, dict):
        raise StorageError(f"{path} is not what this writes; move it away or record elsewhere")
    write_json(path, merged_metadata(old, instruments))
