"""Work that would hold trading up: in a process of its own, at the lowest priority.

A thread would do for what waits for a disk. What computes in Python for minutes takes the interpreter from the engine
for 5 ms at a time, and so has to have an interpreter of its own.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from bot.errors import BotError, ExitCode, SettingsError, StorageError
from modes.house import HERE

_ERRORS: Mapping[int, type[BotError]] = {ExitCode.SETTINGS: SettingsError, ExitCode.STORAGE: StorageError}
_END_S = 5.0


async def in_nice_process(module: str, wanted: Mapping[str, Any]) -> str:
    """Run `module`, which calls `serve`, until it is done; when this is cancelled it is ended.

    Args:
        module: As `python -m` takes it.
        wanted: What it shall do, plain data; not on its command line, which every user of the machine can read.

    Returns:
        What it says of what it did.

    Raises:
        SettingsError, StorageError: What stopped it.
        BotError: If it ended in another way.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modes.niced", module),
        cwd=HERE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C in the terminal is the bot's to handle
    )
    try:
        out, err = await process.communicate(json.dumps({**wanted, "parent": os.getpid()}).encode())
    except asyncio.CancelledError:
        await _end(process)
        raise
    if process.returncode:
        why = _last_line(err) or f"it ended with {process.returncode}"
        raise _ERRORS.get(process.returncode, BotError)(why)
    return _last_line(out)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _END_S)
        except TimeoutError:
            process.kill()
            await process.wait()


def _last_line(data: bytes) -> str:
    lines = data.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


def serve(work: Callable[[Mapping[str, Any]], str]) -> int:
    """The process' side: do what stdin says, and print what was done; returns the exit code."""
    try:
        print(work(json.load(sys.stdin)))
    except BotError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return ExitCode.OK
