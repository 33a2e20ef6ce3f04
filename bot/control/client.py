"""A reader's side of the control socket."""

import asyncio
import os
from pathlib import Path

from bot.control.address import locate
from bot.control.messages import MAX_MESSAGE_BYTES, Command, Finished, decode_message, encode_command
from bot.domain.snapshot import Snapshot

_TAKEN_WITHIN_S = 5.0


class Attachment:
    """An open connection to an engine: iterate over it for snapshots, the last of which is a `Finished`.

    Iterating raises ConnectionError when the engine goes away without having finished.
    """

    def __init__(self, source: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._source = source
        self._writer = writer
        self._has_finished = False

    def __aiter__(self) -> "Attachment":
        return self

    async def __anext__(self) -> Snapshot | Finished:
        if self._has_finished:
            raise StopAsyncIteration
        try:
            line = await self._source.readline()
            if not line.endswith(b"\n"):
                raise ConnectionError("the engine went away without finishing its run")
            message = decode_message(line)
        except ValueError as error:
            raise ConnectionError(f"what answers on the control socket is not an engine of ours: {error}") from error
        self._has_finished = isinstance(message, Finished)
        return message

    async def send(self, command: Command) -> None:
        """Ask the engine for something; what came of it shows in the next snapshots.

        Raises:
            ConnectionError: If the engine is gone.
        """
        self._writer.write(encode_command(command))
        await self._writer.drain()

    async def close(self) -> None:
        """Detach; the engine goes on."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            return  # the other side was faster


async def attach(path: Path) -> Attachment:
    """Connect to the engine whose control path (`<data_dir>/run/engine.sock`) this is.

    Raises:
        ConnectionError: If no engine answers there.
    """
    return Attachment(*await _open(path))


async def send(path: Path, command: Command) -> None:
    """Hand one command to the engine and return when it has been read.

    Raises:
        ConnectionError: If no engine answers there.
        TimeoutError: If it does not read it within five seconds.
    """
    source, writer = await _open(path)
    try:
        writer.write(encode_command(command))
        writer.write_eof()
        # The engine closes a reader whose input has ended, after the last command in it.
        async with asyncio.timeout(_TAKEN_WITHIN_S):
            while await source.read(65_536):
                pass
    finally:
        writer.close()


async def _open(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        return await asyncio.open_unix_connection(os.fspath(locate(path)), limit=MAX_MESSAGE_BYTES)
    except OSError as error:
        raise ConnectionError(f"no engine is running on {path.parent.parent}: {error.strerror or error}") from error
