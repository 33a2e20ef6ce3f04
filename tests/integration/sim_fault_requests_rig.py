"""Both simulated exchanges as the bot starts them, on the test's loop, with faults on command."""

import asyncio
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp

from bot.clock import SystemClock
from bot.domain.instrument import Segment
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.bybit.options import BybitOptions
from exchanges.simulator.faults.desk import FaultDesk
from exchanges.simulator.faults.values import fault_from_text
from exchanges.simulator.server import SimulatorServer

PATIENCE_S = 60
UNLIMITED = BybitOptions(limit_factor=0, requests_per_ip=0, withdraw_interval_s=0)
LOST = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)


@dataclass
class Sim:
    server: SimulatorServer
    http: str
    ws: str
    key: str
    secret: str

    @property
    def faults(self) -> FaultDesk:
        return self.server.faults

    def order(self, line: str) -> int:
        return self.faults.order(fault_from_text(line))

    def struck(self, number: int) -> int:
        return next(one.struck for one in self.faults.orders if one.number == number)

    def exchange(self, venue: str) -> SimulatedExchange:
        return self.server.binance if venue == "binance" else self.server.bybit

    def placed(self, venue: str, segment: Segment) -> list[str]:
        """Client ids of the bitcoin orders that the venue has taken."""
        exchange = self.exchange(venue)
        account = exchange.account(self.key)
        assert account is not None
        return [
            view.client_id
            for index, listing in exchange.listings.items()
            if listing.instrument.segment is segment
            for view in account.orders(index)
        ]

    def sign(self, payload: str) -> str:
        return hmac.new(self.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


@contextlib.asynccontextmanager
async def simulated() -> AsyncIterator[Sim]:
    server = SimulatorServer("calm", 7, SystemClock(), rate=0.2, bybit=UNLIMITED)
    address = await server.start(0)
    stop = asyncio.Event()
    running = asyncio.create_task(server.run(stop))
    try:
        yield Sim(server, address.url, address.ws_url, address.credentials.api_key, address.credentials.secret)
    finally:
        stop.set()
        await running


@dataclass
class Answer:
    status: int
    headers: Any
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Client:
    """Requests as they are; nothing is tried again."""

    def __init__(self, sim: Sim, session: aiohttp.ClientSession) -> None:
        self._sim = sim
        self._session = session

    async def get(self, path: str) -> Answer:
        return await self._send("GET", path)

    async def binance(self, method: str, path: str, **parameters: object) -> Answer:
        now_ms = self._sim.server.binance.now_ns() // 1_000_000
        query = urlencode({"symbol": "BTCUSDT", **parameters, "timestamp": now_ms})
        query += f"&signature={self._sim.sign(query)}"
        return await self._send(method, f"{path}?{query}", {"X-MBX-APIKEY": self._sim.key})

    async def bybit(self, method: str, path: str, **parameters: object) -> Answer:
        stamp = str(self._sim.server.bybit.now_ns() // 1_000_000)
        payload = urlencode(parameters) if method == "GET" else json.dumps(parameters)
        headers = {
            "X-BAPI-API-KEY": self._sim.key, "X-BAPI-TIMESTAMP": stamp, "X-BAPI-RECV-WINDOW": "5000",
            "X-BAPI-SIGN": self._sim.sign(f"{stamp}{self._sim.key}5000{payload}"), "Content-Type": "application/json",
        }  # fmt: skip
        if method == "GET":
            return await self._send(method, f"{path}?{payload}", headers)
        return await self._send(method, path, headers, payload)

    async def buy(self, venue: str, segment: Segment, client_id: str) -> Answer:
        """A market order."""
        if venue == "binance":
            path = "/api/v3/order" if segment is Segment.SPOT else "/fapi/v1/order"
            return await self.binance(
                "POST", path, side="BUY", type="MARKET", quantity="0.01", newClientOrderId=client_id
            )
        return await self.bybit(
            "POST", "/v5/order/create", category=str(segment), symbol="BTCUSDT", side="Buy", orderType="Market",
            qty="0.01", marketUnit="baseCoin", orderLinkId=client_id,
        )  # fmt: skip

    async def find(self, venue: str, segment: Segment, client_id: str) -> Answer:
        if venue == "binance":
            path = "/api/v3/order" if segment is Segment.SPOT else "/fapi/v1/order"
            return await self.binance("GET", path, origClientOrderId=client_id)
        return await self.bybit("GET", "/v5/order/realtime", category=str(segment), orderLinkId=client_id)

    async def _send(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: str | None = None
    ) -> Answer:
        url = self._sim.http + path
        async with self._session.request(method, url, headers=headers, data=body) as response:
            return Answer(response.status, response.headers, await response.text())


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[tuple[Sim, Client]]:
    # A new connection for each request: aiohttp sends some of them again where an old one ends.
    async with simulated() as sim, aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        yield sim, Client(sim, session)
