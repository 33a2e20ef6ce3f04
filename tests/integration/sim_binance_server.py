"""A simulated Binance on an ephemeral loopback port, with the real market, accounts and pump behind it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web

from bot.clock import SystemClock
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.accounts.pump import Pump
from exchanges.simulator.binance.app import Options, routes
from exchanges.simulator.market.listings import default_listings
from exchanges.simulator.market.market import SimulatedMarket


@dataclass
class SimBinance:
    exchange: SimulatedExchange
    port: int

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        return self.exchange.credentials.api_key

    @property
    def secret(self) -> str:
        return self.exchange.credentials.secret


@contextlib.asynccontextmanager
async def sim_binance(options: Options | None = None, *, rate: float = 0.2) -> AsyncIterator[SimBinance]:
    """Serve; a fifth of the measured update rate keeps tests quick on a busy machine."""
    clock = SystemClock()
    start_ns = clock.now_ns()
    market = SimulatedMarket(default_listings("binance"), seed=7, start_ns=start_ns, scenario="calm", rate=rate)
    exchange = SimulatedExchange("binance", market)
    pump = Pump([exchange], market, clock, start_ns=start_ns)
    runner = web.AppRunner(routes(exchange, clock, options))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    moving = asyncio.create_task(pump.run())
    try:
        yield SimBinance(exchange, port)
    finally:
        moving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await moving
        await runner.cleanup()
