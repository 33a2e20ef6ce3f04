"""Work in a process of its own: what it says, what stops it, and that it ends with whoever wanted it."""

import asyncio
import os
from pathlib import Path

import pytest

from bot.errors import BotError, SettingsError, StorageError
from modes.nice_process import in_nice_process

CHILD = "tests.integration.nice_child"
PATIENCE_S = 60


async def test_it_says_in_a_line_what_it_did_and_leaves_the_machine_to_others() -> None:
    assert await in_nice_process(CHILD, {"do": "tell"}) == "niceness 19, parent True"


@pytest.mark.parametrize(
    ("do", "error", "says"),
    [
        ("settings", SettingsError, r"^no such place$"),
        ("storage", StorageError, r"^the disk is full$"),
        ("bug", BotError, r"^ValueError: a bug$"),
    ],
)
async def test_what_stopped_it_is_an_error_of_the_same_kind(do: str, error: type[BotError], says: str) -> None:
    with pytest.raises(error, match=says):
        await in_nice_process(CHILD, {"do": do})


async def test_it_ends_with_whoever_wanted_it(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    task = asyncio.create_task(in_nice_process(CHILD, {"do": "wait", "file": str(file)}))
    async with asyncio.timeout(PATIENCE_S):
        while not (file.exists() and file.read_text()):
            await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text()), 0)
