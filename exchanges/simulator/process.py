"""The simulated exchanges as a process of their own, for a bot that trades on them."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bot.errors import VenueUnavailable
from bot.settings import EndpointSettings, Settings
from exchanges.simulator.accounts.exchange import Credentials
from exchanges.simulator.server import Address

_READY_S = 30.0


@asynccontextmanager
async def simulator_process(main: Path, settings: Settings) -> AsyncIterator[Address]:
    """Run `main --mode simulate` on a free port until the block ends; it ends by itself when this process dies.

    Raises:
        VenueUnavailable: If it does not come up; its own words have gone to stderr.
    """
    simulator = settings.simulator
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(main),
        *("--mode", "simulate", "--port", "0", "--with-parent", str(os.getpid())),
        *("--scenario", simulator.scenario, "--seed", str(simulator.seed)),
        *("--set", f"simulator.time_scale={simulator.time_scale}"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        # Ctrl-C in the terminal is the bot's to handle: the exchanges must outlive its last orders.
        start_new_session=True,
    )
    try:
        yield await _address(process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _address(process: asyncio.subprocess.Process) -> Address:
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), _READY_S)
        told = json.loads(line)
        port = int(told["url"].rpartition(":")[2])
        return Address(port, Credentials(told["api_key"], told["api_secret"]))
    except (TimeoutError, ValueError, KeyError) as error:
        raise VenueUnavailable("simulator", "the simulated exchanges did not come up") from error


def pointed_at(settings: Settings, address: Address) -> Settings:
    """The same settings, with every endpoint of both venues at the simulated exchanges."""
    here = EndpointSettings(rest_url=address.url, stream_url=address.ws_url)
    venues = {venue: dict.fromkeys(("spot", "linear"), here) for venue in ("binance", "bybit")}
    return settings.model_copy(update={"venues": venues})
