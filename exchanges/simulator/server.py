"""Both simulated exchanges on one loopback port, moved by one market."""

import asyncio
import json
from dataclasses import dataclass

from aiohttp import web

from bot.clock import Clock
from bot.errors import SettingsError
from exchanges.simulator.accounts.chain import Chain
from exchanges.simulator.accounts.exchange import Credentials, SimulatedExchange
from exchanges.simulator.accounts.pump import Pump
from exchanges.simulator.binance.app import BinanceServer, Options
from exchanges.simulator.binance.rest import MAX_BODY_BYTES
from exchanges.simulator.bybit.gateway import BybitGateway
from exchanges.simulator.bybit.options import BybitOptions
from exchanges.simulator.faults.desk import FaultDesk
from exchanges.simulator.market.listings import default_listings
from exchanges.simulator.market.market import SimulatedMarket

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Address:
    """Where the exchanges are, and what a client signs with: the same key at both."""

    port: int
    credentials: Credentials

    @property
    def url(self) -> str:
        """Base of every REST path."""
        return f"http://{HOST}:{self.port}"

    @property
    def ws_url(self) -> str:
        """Base of every WebSocket path."""
        return f"ws://{HOST}:{self.port}"

    def as_json(self) -> str:
        """The line that a program waits for: `url, ws_url, api_key, api_secret`."""
        return json.dumps(
            {
                "url": self.url,
                "ws_url": self.ws_url,
                "api_key": self.credentials.api_key,
                "api_secret": self.credentials.secret,
            }
        )


class SimulatorServer:
    """Binance and Bybit under their own paths. Make it within the running loop.

    Args:
        scenario: `calm`, `lively`, `crash` or `chaos`.
        seed: Of prices, books, keys and block times.
        clock: Real time: the exchanges' clocks show it.
        time_scale: How much faster money travels between wallets; 1 is real.
        rate: Multiple of the rates at which books change.
        binance: Binance's limits and manners; None: its own.
        bybit: Bybit's; None: its own.

    Raises:
        SettingsError: If there is no such scenario.
    """

    def __init__(
        self,
        scenario: str,
        seed: int,
        clock: Clock,
        *,
        time_scale: float = 1.0,
        rate: float = 1.0,
        binance: Options | None = None,
        bybit: BybitOptions | None = None,
    ) -> None:
        listings = [listing for venue in ("binance", "bybit") for listing in default_listings(venue)]
        market = SimulatedMarket(listings, seed=seed, start_ns=clock.now_ns(), scenario=scenario, rate=rate)
        chain = Chain(seed, time_scale=time_scale)
        self.binance = SimulatedExchange("binance", market, chain=chain, seed=seed)
        # One key for both, so that a client needs to be told only one.
        self.bybit = SimulatedExchange("bybit", market, chain=chain, seed=seed, credentials=self.binance.credentials)
        self._pump = Pump([self.binance, self.bybit], market, clock)
        self.faults = FaultDesk(clock)
        """What is to go wrong."""
        self._binance_server = BinanceServer(self.binance, clock, binance, self.faults)
        self._bybit_server = BybitGateway(self.bybit, clock, bybit, self.faults)
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.add_routes(self._binance_server.routes())
        app.add_routes(self._bybit_server.routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def start(self, port: int) -> Address:
        """Listen on loopback; 0 takes a free port.

        Raises:
            SettingsError: If the port cannot be had.
        """
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise SettingsError(f"--port {port} cannot be had: {error.strerror or error}") from error
        host, actual, *_ = self._runner.addresses[0]
        assert host == HOST
        return Address(actual, self.binance.credentials)

    async def run(self, stop: asyncio.Event) -> None:
        """Move the market until `stop`; a mistake of ours ends it with its exception."""
        pumping = asyncio.create_task(self._pump.run())
        stopping = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait({pumping, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if pumping in done:
                pumping.result()
        finally:
            pumping.cancel()
            stopping.cancel()
            await self.close()

    async def close(self) -> None:
        """Close every connection and the port."""
        self._binance_server.close()
        await self._bybit_server.close()
        await self._runner.cleanup()
