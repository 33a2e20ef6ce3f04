"""The engine's side of the control socket.

One snapshot is built a tick, shared by every reader, and none while nobody is attached. A reader that is slow misses
snapshots; what it missed of the log comes with the next one it gets.
"""

import asyncio
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bot.clock import Clock, Timer
from bot.control.address import claim, mark_of, release
from bot.control.messages import MAX_COMMAND_BYTES, Command, encode_finished, encode_snapshot
from bot.domain.snapshot import LogLine, Snapshot
from bot.text import clip, inert

_PERIOD_S = 0.25
_LOG_LINES = 1_000
_LOG_LINE_CHARACTERS = 2_000
_FIRST_S = 0.05
"""From attaching to the first snapshot: who only looks whether an engine answers has gone by then."""
_CREDENTIALS = struct.Struct("3i")
"""Process, user and group of a socket's other end (Linux)."""
_LAST_WORDS_S = 1.0
"""How long a reader may take over the end of the run."""


class _Reader:
    """One attached client."""

    def __init__(self, source: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.seen = 0
        self.is_told = False
        self._source = source
        # With a limit of 0, `drain` means that everything has left the process.
        writer.transport.set_write_buffer_limits(high=0)

    @property
    def is_free(self) -> bool:
        transport = self.writer.transport
        return not self._is_gone and transport.get_write_buffer_size() == 0

    @property
    def _is_gone(self) -> bool:
        return self._source.at_eof() or self.writer.transport.is_closing()

    def write(self, line: bytes) -> bool:
        """Whether it is still there to be written to."""
        if self._is_gone:
            return False
        self.writer.write(line)
        return True

    async def dismiss(self) -> None:
        """Close it once it has read everything; one that does not read in time is cut off."""
        try:
            await asyncio.wait_for(self.writer.drain(), _LAST_WORDS_S)
        except (TimeoutError, OSError):
            self.writer.transport.abort()
        self.writer.close()


class ControlServer:
    """Serves snapshots at a path to any number of readers, and hands their commands on.

    Args:
        path: `<data_dir>/run/engine.sock`; `attach` finds the socket from it even where it lies elsewhere.
        snapshot: The engine at this moment, with an empty log: the server fills it in for each reader.
        on_command: Called on the loop's thread, once for each command of a reader.
        clock: Of the wall, also in a recorded market: it paces the snapshots, at most four a second.
    """

    def __init__(
        self, path: Path, snapshot: Callable[[], Snapshot], on_command: Callable[[Command], None], clock: Clock
    ) -> None:
        self._path = path
        self._snapshot = snapshot
        self._on_command = on_command
        self._clock = clock
        self._readers: set[_Reader] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._log: deque[LogLine] = deque(maxlen=_LOG_LINES)
        self._last_number = 0
        self._timer: Timer | None = None
        self._next_tick_ns = clock.monotonic_ns()
        self._ending: bytes | None = None
        self._server: asyncio.Server | None = None
        self._mark: tuple[int, int, int] | None = None
        self._was_read = asyncio.Event()

    async def start(self) -> None:
        """Listen.

        Raises:
            SettingsError: If an engine is running on this path already, or the socket cannot be made.
        """
        bound = claim(self._path)
        self._mark = mark_of(self._path)
        self._server = await asyncio.start_unix_server(self._serve, sock=bound, limit=MAX_COMMAND_BYTES)

    def log(self, level: str, text: str, ts_ns: int | None = None) -> None:
        """Keep a line for the readers, made inert; `ts_ns` is the engine's time, unset the clock's."""
        self._last_number += 1
        at_ns = self._clock.now_ns() if ts_ns is None else ts_ns
        shown = clip(inert(text), _LOG_LINE_CHARACTERS)
        line = {"number": self._last_number, "ts_ns": at_ns, "level": level, "text": shown}
        self._log.append(LogLine.model_validate(line))

    def finished(self, summary: Mapping[str, Any]) -> None:
        """Send everybody a last snapshot and the summary, also to those who attach from now on; then `stop`."""
        self._ending = encode_finished(summary)
        self._end(self._readers)

    async def await_reader(self, timeout_s: float) -> None:
        """Wait until somebody has got a snapshot in this server's life, at most `timeout_s`.

        A run may be over before the terminal that was opened for it has attached.
        """
        with suppress(TimeoutError):
            await asyncio.wait_for(self._was_read.wait(), timeout_s)

    async def stop(self) -> None:
        """Close every reader, after at most a second for what is on its way to it, and remove the socket."""
        if self._server is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        release(self._path, self._mark)  # before closing, which removes a socket by itself from Python 3.13 on
        self._server.close()
        if self._ending is not None:
            self._end({reader for reader in self._readers if not reader.is_told})
        await asyncio.gather(*(reader.dismiss() for reader in self._readers))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._server = None

    async def _serve(self, source: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        reader = _Reader(source, writer)
        self._readers.add(reader)
        try:
            self._arm(_FIRST_S)
            while (command := await _next_command(source)) is not None:
                self._on_command(command.model_copy(update={"by": _peer(writer)}))
        finally:
            self._readers.discard(reader)
            self._tasks.discard(task)
            writer.close()

    def _arm(self, wait_s: float) -> None:
        if self._timer is None:
            wait_s = max(wait_s, (self._next_tick_ns - self._clock.monotonic_ns()) / 1e9)
            self._timer = self._clock.call_later(wait_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if not self._readers:
            return
        self._next_tick_ns = self._clock.monotonic_ns() + round(_PERIOD_S * 1e9)
        self._arm(_PERIOD_S)
        if self._ending is None:
            self._send({reader for reader in self._readers if reader.is_free})
        else:
            self._end({reader for reader in self._readers if not reader.is_told})

    def _end(self, readers: set[_Reader]) -> None:
        assert self._ending is not None
        self._send(readers)
        for reader in readers:
            reader.is_told = reader.write(self._ending)

    def _send(self, readers: set[_Reader]) -> None:
        if not readers:
            return
        snapshot = self._snapshot()
        lines: dict[int, bytes] = {}  # readers are nearly always equally far: one encoding serves them all
        for reader in readers:
            if reader.seen not in lines:
                lines[reader.seen] = encode_snapshot(snapshot.model_copy(update={"log": self._since(reader.seen)}))
            if reader.write(lines[reader.seen]):
                self._was_read.set()
            reader.seen = self._last_number

    def _since(self, seen: int) -> tuple[LogLine, ...]:
        missed = min(len(self._log), self._last_number - seen)
        return tuple(islice(self._log, len(self._log) - missed, None))


def _peer(writer: asyncio.StreamWriter) -> str:
    """Who is at the other end, as the kernel knows it: `uid 1000, process 4711`."""
    own = writer.get_extra_info("socket")
    try:
        told = own.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except (OSError, AttributeError):  # not on macOS; the socket is this user's alone in any case
        return f"uid {os.getuid()}"
    process, user, _ = _CREDENTIALS.unpack(told)
    return f"uid {user}, process {process}"


async def _next_command(source: asyncio.StreamReader) -> Command | None:
    """The reader's next command; None when it has gone, or sends what is no command and has to go."""
    try:
        line = await source.readline()
    except (ValueError, OSError):  # longer than the limit, or the connection broke
        return None
    try:
        return Command.model_validate_json(line) if line.endswith(b"\n") else None
    except ValidationError:
        return None
