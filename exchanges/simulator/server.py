"""Both simulated exchanges on one port, moved by one market."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from aiohttp import web

from bot.clock import Clock
from bot.errors import SettingsError
from exchanges.simulator.accounts.chain import Chain
from exchanges.simulator.accounts.exchange import Credentials, SimulatedExchange
from exchanges.simulator.accounts.pump import Pump
from exchanges.simulator.accounts.rules import LOWEST_TIER, rules_of
from exchanges.simulator.binance.app import BinanceServer, Options
from exchanges.simulator.binance.rest import MAX_BODY_BYTES
from exchanges.simulator.bybit.gateway import BybitGateway
from exchanges.simulator.bybit.options import BybitOptions
from exchanges.simulator.core.values import Listing
from exchanges.simulator.doorkeeper import Doorkeeper, listening_address
from exchanges.simulator.faults.control import Control
from exchanges.simulator.faults.desk import FaultDesk
from exchanges.simulator.faults.requests import request_faults
from exchanges.simulator.faults.schedule import FaultPlan, Schedule
from exchanges.simulator.faults.venue import VenueFaults
from exchanges.simulator.front import OpenSockets, let_go
from exchanges.simulator.kraken.gateway import KrakenGateway
from exchanges.simulator.long_lines import PARSER, LongLines
from exchanges.simulator.malformed import Malformed
from exchanges.simulator.market.listings import (
    VENUES,
    cross_listings,
    default_listings,
    kraken_listings,
    many_listings,
)
from exchanges.simulator.market.market import SimulatedMarket
from exchanges.simulator.market.scenarios import scenario_named
from exchanges.simulator.visitors import Guest, Visitors

HOST = "127.0.0.1"
_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Address:
    """Where the exchanges are, and what a client signs with: the same key at both."""

    port: int
    credentials: Credentials
    host: str = HOST

    @property
    def url(self) -> str:
        """Base of every REST path."""
        return f"http://{self._authority}"

    @property
    def ws_url(self) -> str:
        """Base of every WebSocket path."""
        return f"ws://{self._authority}"

    @property
    def _authority(self) -> str:
        host = self.host
        if ip_address(host).is_unspecified:
            # Open on every address of the machine, whose programs reach it here.
            host = "::1" if ":" in host else HOST
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

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
        plan: What goes wrong by itself.
        password: What other machines must know; None: there is no listening for them.
        fee_tier: Of linear perpetuals at both venues; a venue that has no such tier takes the highest one below.
        fees_in_bnb: Whether fees at Binance are paid in BNB; the wallets then start with some.
        listings: How many instruments are listed, at both venues together; None: the default ones.
        crosses: Whether ETH/BTC is listed besides.
        kraken: Whether there is a Kraken too, of spot.
        visitors: How many may be connected, and how long without asking; None: as usual.
        log: Told of every fault's begin and end, and of clients that do not speak HTTP.

    Raises:
        SettingsError: If there is no such scenario or fee tier, or the listings are fewer than the default ones.
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
        plan: FaultPlan = FaultPlan(),  # noqa: B008 - frozen
        password: str | None = None,
        fee_tier: str = LOWEST_TIER,
        fees_in_bnb: bool = False,
        visitors: Visitors | None = None,
        log: Callable[[str], None] = lambda _: None,
        listings: int | None = None,
        crosses: bool = False,
        kraken: bool = False,
    ) -> None:
        listed = [*_listed(listings), *(cross_listings() if crosses else ())]
        listed += kraken_listings() if kraken else ()
        market = SimulatedMarket(listed, seed=seed, start_ns=clock.now_ns(), scenario=scenario, rate=rate)
        chain = Chain(seed, time_scale=time_scale)
        self.faults = FaultDesk(clock, log)
        """What is to go wrong."""
        rules = {venue: rules_of(venue, fee_tier, fees_in_bnb=fees_in_bnb) for venue in VENUES}
        self.binance = SimulatedExchange(
            "binance", market, rules=rules["binance"], chain=chain, seed=seed, faults=self.faults
        )
        # One key for all, so that a client needs to be told only one.
        key = self.binance.credentials
        self.bybit = SimulatedExchange(
            "bybit", market, rules=rules["bybit"], chain=chain, seed=seed, credentials=key, faults=self.faults
        )
        exchanges = [self.binance, self.bybit]
        self._kraken_server: KrakenGateway | None = None
        if kraken:
            rules_there = rules_of("kraken", fee_tier)
            third = SimulatedExchange(
                "kraken", market, rules=rules_there, chain=chain, seed=seed, credentials=key, faults=self.faults
            )
            exchanges.append(third)
            self._kraken_server = KrakenGateway(third, clock)
        self._pump = Pump(exchanges, market, clock)
        for exchange in exchanges:
            VenueFaults(self.faults, exchange)
        self._binance_server = BinanceServer(self.binance, clock, binance, self.faults)
        self._bybit_server = BybitGateway(self.bybit, clock, bybit, self.faults)
        per_hour = scenario_named(scenario).faults_per_hour if plan.per_hour is None else plan.per_hour
        self._schedule = Schedule(self.faults, clock, seed, per_hour)
        self._plan, self._password, self._clock = plan, password, clock
        self.venues = tuple(exchange.venue for exchange in exchanges)
        """Who is simulated."""
        self._told = {"scenario": scenario, "seed": seed, "time_scale": time_scale}
        self._started_ns = clock.monotonic_ns()
        self._sockets = OpenSockets()
        self._visitors = visitors or Visitors(clock)
        self._malformed = Malformed(clock, log)
        self._logger = self._malformed.logger()
        control = Control(self.faults, self.binance.credentials.secret, self.status)
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=self._middlewares())
        app.add_routes(control.routes())
        app.add_routes(self._binance_server.routes())
        app.add_routes(self._bybit_server.routes())
        if self._kraken_server is not None:
            app.add_routes(self._kraken_server.routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        self._listener: asyncio.Server | None = None

    async def start(self, port: int, host: str = HOST) -> Address:
        """Listen, and begin to count the time of planned faults; port 0 takes a free one.

        Raises:
            SettingsError: If the port or the address cannot be had, or is open to other machines without a password.
        """
        host = listening_address(host, self._password)
        await self._runner.setup()
        try:
            self._listener = await asyncio.get_running_loop().create_server(self._guest, host, port, backlog=_BACKLOG)
        except OSError as error:
            await self._runner.cleanup()
            where = f"--port {port}" if host == HOST else f"--host {host} --port {port}"
            raise SettingsError(f"{where} cannot be had: {error.strerror or error}") from error
        actual: int = self._listener.sockets[0].getsockname()[1]
        self._started_ns = self._clock.monotonic_ns()
        for fault in self._plan.faults:
            self.faults.order(fault)
        self._schedule.start()
        return Address(actual, self.binance.credentials, host)

    def _guest(self) -> Guest:
        server = self._runner.server
        assert server is not None, "the runner is set up"
        # Neither exchange takes compressed requests, and what is not unpacked cannot swell.
        return Guest(self._visitors, server, access_log=None, logger=self._logger, auto_decompress=False, **PARSER)

    def status(self) -> dict[str, Any]:
        """What the control endpoint tells: plain data."""
        return {
            **self._told,
            "now_ms": self._clock.now_ns() // 1_000_000,
            "uptime_s": (self._clock.monotonic_ns() - self._started_ns) / 1e9,
            "connections": dict(self._sockets.count),
            "malformed_requests": self._malformed.count,
            "faults_per_hour": self._schedule.per_hour,
            "schedule": [planned.as_json() for planned in self._schedule.around_now()],
        }

    def _middlewares(self) -> list[Any]:
        """Outermost first."""
        asked = [] if self._password is None else [Doorkeeper(self._password, self._clock).ask]
        return [
            self._visitors.receive,
            let_go,
            LongLines(self._clock).refuse,
            *asked,
            request_faults(self.faults, self._clock),
            self._sockets.follow,
        ]

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
        """End every fault, and close every connection and the port."""
        self._schedule.stop()
        self.faults.end_all()
        self._binance_server.close()
        await self._bybit_server.close()
        if self._kraken_server is not None:
            await self._kraken_server.close()
        if self._listener is not None:
            self._listener.close()
        await self._runner.cleanup()
        self.faults.end_all()  # what was ordered while the port was still open


def _listed(count: int | None) -> list[Listing]:
    if count is None:
        return [listing for venue in VENUES for listing in default_listings(venue)]
    try:
        return many_listings(count)
    except ValueError as error:
        raise SettingsError(str(error)) from error
