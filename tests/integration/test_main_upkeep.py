"""What goes on beside a run, as its control socket tells it."""

import asyncio
import os
import sys
from pathlib import Path

from bot.control import Finished, attach
from bot.domain.snapshot import UpkeepStatus

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 120
JOBS = {"clock_offset", "daily_report"}


async def shown(socket: Path) -> UpkeepStatus:
    """The first snapshot in which a job has run."""
    engine = await attach(socket)
    try:
        async for message in engine:
            assert not isinstance(message, Finished)
            if any(job.runs and job.took_s is not None for job in message.upkeep.jobs):
                return message.upkeep
    finally:
        await engine.close()
    raise AssertionError("the engine went away")


async def test_the_screen_is_told_how_jobs_fare(tmp_path: Path) -> None:
    words = ("--market", "simulated", "--headless", "--json", "--data-dir", str(tmp_path))
    environment = {name: value for name, value in os.environ.items() if name != "MONGODB_URI"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "main.py"), *words, "--set", "jobs.clock_offset=every 1s",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    socket = tmp_path / "run" / "engine.sock"
    try:
        async with asyncio.timeout(WAIT_S):
            while True:
                try:
                    upkeep = await shown(socket)
                    break
                except (ConnectionError, FileNotFoundError):
                    await asyncio.sleep(0.1)
    finally:
        process.terminate()
        await process.wait()
    jobs = {job.name: job for job in upkeep.jobs}
    assert jobs.keys() >= JOBS
    assert jobs["clock_offset"].state == "ok"
    assert jobs["clock_offset"].detail.startswith("binance ")
    assert jobs["daily_report"].next_ns is not None
    assert upkeep.shipper is None
