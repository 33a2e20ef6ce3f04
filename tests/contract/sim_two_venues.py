"""Both simulated exchanges with one market, one chain and one virtual clock, spoken to over HTTP and WebSockets."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from aiohttp import ClientWebSocketResponse, web
from aiohttp.test_utils import TestClient, TestServer

from bot.clock import VirtualClock
from exchanges.simulator.accounts.chain import Chain
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.accounts.pump import Pump
from exchanges.simulator.binance.app import BinanceServer
from exchanges.simulator.bybit.gateway import BybitGateway
from exchanges.simulator.bybit.options import BybitOptions
from exchanges.simulator.market.listings import default_listings
from exchanges.simulator.market.market import SimulatedMarket

SECOND_NS = 10**9
MS = 10**6


class TwoVenues:
    """Time stands still unless `step` moves it."""

    __test__ = False

    def __init__(self, start_ns: int, *, seed: int, rate: float, time_scale: float, scenario: str) -> None:
        self.clock = VirtualClock(start_ns)
        listings = [one for venue in ("binance", "bybit") for one in default_listings(venue)]
        market = SimulatedMarket(listings, seed=seed, start_ns=start_ns, scenario=scenario, rate=rate)
        chain = Chain(seed, time_scale=time_scale)
        self.binance = SimulatedExchange("binance", market, chain=chain, seed=seed)
        self.bybit = SimulatedExchange("bybit", market, chain=chain, seed=seed, credentials=self.binance.credentials)
        self.pump = Pump([self.binance, self.bybit], market, start_ns=start_ns)
        self.key, self.secret = self.binance.credentials
        self.binance_server = BinanceServer(self.binance, self.clock)
        options = BybitOptions(limit_factor=0, requests_per_ip=0, withdraw_interval_s=0)
        self.bybit_server = BybitGateway(self.bybit, self.clock, options)
        self.app = web.Application()
        self.app.add_routes(self.binance_server.routes())
        self.app.add_routes(self.bybit_server.routes())
        self.http: TestClient[web.Request, web.Application] = TestClient(TestServer(self.app))

    @property
    def now_ms(self) -> int:
        return self.binance.now_ns() // MS

    def step(self, seconds: float) -> None:
        """Let the market and the timers go on."""
        end_ns = self.pump.now_ns() + int(seconds * SECOND_NS)
        while self.pump.now_ns() < end_ns:
            self.pump.advance_to(min(end_ns, self.pump.now_ns() + SECOND_NS // 10))
            self.clock.advance_to(self.pump.now_ns())

    def _sign(self, text: str) -> str:
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    async def ask_binance(self, method: str, path: str, /, **parameters: object) -> tuple[int, Any]:
        query = urlencode({**parameters, "timestamp": self.now_ms})
        url = f"{path}?{query}&signature={self._sign(query)}"
        async with self.http.request(method, url, headers={"X-MBX-APIKEY": self.key}) as answer:
            return answer.status, await answer.json()

    async def ask_bybit(self, method: str, path: str, /, **parameters: object) -> Any:
        stamp = str(self.now_ms)
        payload = json.dumps(parameters) if method == "POST" else urlencode(parameters, safe="%")
        headers = {
            "X-BAPI-API-KEY": self.key, "X-BAPI-TIMESTAMP": stamp, "X-BAPI-RECV-WINDOW": "5000",
            "X-BAPI-SIGN": self._sign(stamp + self.key + "5000" + payload),
        }  # fmt: skip
        if method == "POST":
            answer = await self.http.post(path, data=payload, headers=headers)
        else:
            answer = await self.http.get(f"{path}?{payload}", headers=headers)
        assert answer.status == 200
        return await answer.json()

    async def pages(self, path: str, rows: str = "list", **parameters: object) -> list[Any]:
        """All pages of one of Bybit's lists."""
        found: list[Any] = []
        cursor = ""
        while True:
            more = {"cursor": cursor} if cursor else {}
            answer = await self.ask_bybit("GET", path, **parameters, **more)
            assert answer["retCode"] == 0, answer
            found += answer["result"][rows]
            cursor = answer["result"]["nextPageCursor"]
            if not cursor:
                return found

    async def private_bybit(self, *topics: str) -> ClientWebSocketResponse:
        """An authenticated private socket on these topics."""
        socket = await self.http.ws_connect("/v5/private")
        until = self.now_ms + 9_000
        await socket.send_json({"op": "auth", "args": [self.key, until, self._sign(f"GET/realtime{until}")]})
        assert (await socket.receive_json())["success"]
        await socket.send_json({"op": "subscribe", "args": list(topics)})
        reply = await socket.receive_json()
        assert reply["success"], reply
        return socket


@asynccontextmanager
async def two_venues(
    start_ns: int, *, seed: int = 3, rate: float = 0.05, time_scale: float = 1.0, scenario: str = "calm"
) -> AsyncIterator[TwoVenues]:
    """Served until the block ends."""
    both = TwoVenues(start_ns, seed=seed, rate=rate, time_scale=time_scale, scenario=scenario)
    await both.http.start_server()
    try:
        yield both
    finally:
        both.binance_server.close()
        await both.bybit_server.close()
        await both.http.close()
