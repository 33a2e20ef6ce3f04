"""A simulated Bybit on a loopback port: on the test's own loop, or in a process of its own for clients that block.

In a process, because pybit registers its callbacks after it has sent: a server on a thread of the same interpreter may
answer in between.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from aiohttp import web

from bot.clock import SystemClock
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.accounts.pump import Pump
from exchanges.simulator.bybit.gateway import application
from exchanges.simulator.bybit.options import BybitOptions
from exchanges.simulator.market.listings import default_listings
from exchanges.simulator.market.market import SimulatedMarket

ROOT = Path(__file__).resolve().parents[2]
UNLIMITED = BybitOptions(limit_factor=0, requests_per_ip=0, withdraw_interval_s=0)


@dataclass
class BybitServer:
    """One running simulated Bybit."""

    port: int
    key: str
    secret: str
    exchange: SimulatedExchange | None = None

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}"


@asynccontextmanager
async def serving(options: BybitOptions = UNLIMITED) -> AsyncIterator[BybitServer]:
    """On this loop, with the real market and accounts, moved by the real clock."""
    clock = SystemClock()
    start_ns = clock.now_ns()
    listings = [*default_listings("binance"), *default_listings("bybit")]
    market = SimulatedMarket(listings, seed=7, start_ns=start_ns)
    exchange = SimulatedExchange("bybit", market, seed=7)
    pump = Pump([exchange], market, clock)
    runner = web.AppRunner(application(exchange, clock, options))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    pumping = asyncio.create_task(pump.run())
    try:
        yield BybitServer(runner.addresses[0][1], *exchange.credentials, exchange)
    finally:
        pumping.cancel()
        with suppress(asyncio.CancelledError):
            await pumping
        await runner.cleanup()


@contextmanager
def running(options: BybitOptions = UNLIMITED) -> Iterator[BybitServer]:
    """In a process of its own."""
    code = "from tests.integration.sim_bybit_server import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(asdict(options))], cwd=ROOT, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield BybitServer(**json.loads(process.stdout.readline()))
    finally:
        process.communicate(timeout=60)  # the end of its input ends it
    assert process.returncode == 0


def main() -> None:
    asyncio.run(_until_input_ends(BybitOptions(**json.loads(sys.argv[1]))))


async def _until_input_ends(options: BybitOptions) -> None:
    async with serving(options) as server:
        print(json.dumps({"port": server.port, "key": server.key, "secret": server.secret}), flush=True)
        await asyncio.to_thread(sys.stdin.read)
