"""The simulated exchanges as a process of their own, for a bot that trades on them."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

from bot.errors import SettingsError, VenueUnavailable
from bot.settings import EndpointSettings, Settings, SimulatorSettings
from exchanges.simulator.accounts.exchange import Credentials
from exchanges.simulator.server import HOST, Address

_READY_S = 30.0


@asynccontextmanager
async def simulator_process(
    main: Path, settings: Settings, on_lost: Callable[[VenueUnavailable], None]
) -> AsyncIterator[Address]:
    """Run `main --mode simulate` on a free port until the block ends; it ends by itself when this process dies.

    `on_lost` hears, once, that it ended before the block did.

    Raises:
        VenueUnavailable: If it does not come up; its own words have gone to stderr.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(main),
        *("--mode", "simulate", "--port", "0", "--host", HOST, "--with-parent", str(os.getpid())),
        *_words(settings.simulator),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        # Ctrl-C in the terminal is the bot's to handle: the exchanges must outlive its last orders.
        start_new_session=True,
    )
    watching: asyncio.Task[None] | None = None
    try:
        address = await _address(process)
        watching = asyncio.create_task(_tell_end(process, on_lost))
        yield address
    finally:
        if watching is not None:
            watching.cancel()
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _tell_end(process: asyncio.subprocess.Process, on_lost: Callable[[VenueUnavailable], None]) -> None:
    code = await process.wait()
    how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
    on_lost(VenueUnavailable("simulator", f"the simulated exchanges have gone ({how})"))


def _words(simulator: SimulatorSettings) -> list[str]:
    """Every setting by name: the other process reads files of its own, and must not take anything from there."""
    per_hour = "" if simulator.faults_per_hour is None else simulator.faults_per_hour
    listings = "" if simulator.listings is None else simulator.listings
    faults = [word for line in simulator.faults for word in ("--fault", line)] or ["--set", "simulator.faults=[]"]
    return [
        *("--scenario", simulator.scenario, "--seed", str(simulator.seed)),
        *("--set", f"simulator.time_scale={simulator.time_scale}"),
        *("--set", f"simulator.faults_per_hour={per_hour}"),
        *("--set", f"simulator.listings={listings}"),
        *("--set", f"simulator.crosses={str(simulator.crosses).lower()}"),
        *("--set", f"simulator.kraken={str(simulator.kraken).lower()}"),
        *("--set", f"simulator.fee_tier={simulator.fee_tier}"),
        *("--set", f"simulator.fees_in_bnb={str(simulator.fees_in_bnb).lower()}"),
        *faults,
    ]


async def _address(process: asyncio.subprocess.Process) -> Address:
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), _READY_S)
        told = json.loads(line)
        port = int(told["url"].rpartition(":")[2])
        return Address(port, Credentials(told["api_key"], told["api_secret"]))
    except (TimeoutError, ValueError, KeyError) as error:
        raise VenueUnavailable("simulator", "the simulated exchanges did not come up") from error


def running_simulator(authority: str) -> Address:
    """Simulated exchanges that listen at `authority` (HOST:PORT) already; their key is nobody's business here.

    Raises:
        SettingsError: If that is no address of this machine.
    """
    host, _, port = authority.rpartition(":")
    host = host.strip("[]")
    try:
        is_here = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        is_here = False
    if not is_here:
        raise SettingsError("simulator.address: name an address of this machine, for example 127.0.0.1:8080")
    return Address(int(port), Credentials("", ""), HOST if host == "localhost" else host)


def pointed_at(settings: Settings, address: Address) -> Settings:
    """The same settings, with every endpoint of the venues at the simulated exchanges; venues that have none stay."""
    here = EndpointSettings(rest_url=address.url, stream_url=address.ws_url)
    venues = {venue: dict.fromkeys(("spot", "linear"), here) for venue in ("binance", "bybit")}
    if settings.simulator.kraken:
        stream = f"{address.ws_url}/kraken/v2"
        venues["kraken"] = {"spot": EndpointSettings(rest_url=address.url, stream_url=stream)}
    return settings.model_copy(update={"venues": {**settings.venues, **venues}})
