"""A simulated Binance on an ephemeral loopback port, with the real market, accounts and pump behind it."""

import asyncio
import contextlib
import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from bot.clock import SystemClock
from exchanges.simulator.accounts.chain import Chain
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.accounts.pump import Pump
from exchanges.simulator.binance.app import BinanceServer, Options, application
from exchanges.simulator.market.listings import default_listings
from exchanges.simulator.market.market import SimulatedMarket


@dataclass
class SimBinance:
    exchange: SimulatedExchange
    port: int
    server: BinanceServer

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


async def signed(
    sim: SimBinance, session: aiohttp.ClientSession, method: str, path: str, **parameters: object
) -> tuple[int, Any]:
    """Send a signed request; status and JSON."""
    query = urlencode({"timestamp": sim.exchange.now_ns() // 1_000_000, **parameters})
    query += "&signature=" + hmac.new(sim.secret.encode(), query.encode(), hashlib.sha256).hexdigest()
    headers = {"X-MBX-APIKEY": sim.key}
    async with session.request(method, f"{sim.http}{path}?{query}", headers=headers) as response:
        return response.status, await response.json()


def signed_params(sim: SimBinance, **parameters: object) -> dict[str, object]:
    """Parameters of a signed request over the WebSocket API."""
    values = {"apiKey": sim.key, "timestamp": sim.exchange.now_ns() // 1_000_000, **parameters}
    text = "&".join(f"{name}={values[name]}" for name in sorted(values))
    return values | {"signature": hmac.new(sim.secret.encode(), text.encode(), hashlib.sha256).hexdigest()}


@contextlib.asynccontextmanager
async def sim_binance(
    options: Options | None = None, *, rate: float = 0.2, time_scale: float = 1.0
) -> AsyncIterator[SimBinance]:
    """Serve; a fifth of the measured update rate keeps tests quick on a busy machine."""
    clock = SystemClock()
    start_ns = clock.now_ns()
    market = SimulatedMarket(default_listings("binance"), seed=7, start_ns=start_ns, scenario="calm", rate=rate)
    exchange = SimulatedExchange("binance", market, chain=Chain(7, time_scale=time_scale))
    pump = Pump([exchange], market, clock, start_ns=start_ns)
    server = BinanceServer(exchange, clock, options)
    runner = web.AppRunner(application(server))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    moving = asyncio.create_task(pump.run())
    try:
        yield SimBinance(exchange, port, server)
    finally:
        moving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await moving
        await runner.cleanup()
