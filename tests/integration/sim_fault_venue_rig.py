"""Both simulated exchanges with faults on command, and somebody who listens to the private streams of both."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp

from bot.clock import SystemClock
from bot.domain.instrument import Segment
from exchanges.simulator.server import SimulatorServer
from tests.integration.sim_fault_requests_rig import UNLIMITED, Client, Sim

PATIENCE_S = 60
SPOT, LINEAR = Segment.SPOT, Segment.LINEAR
EVERYWHERE = [(venue, segment) for venue in ("binance", "bybit") for segment in (SPOT, LINEAR)]


class Ears:
    """One private stream: every text as it came, and those that tell of a fill."""

    def __init__(self, venue: str, segment: Segment) -> None:
        self.venue, self.segment = venue, segment
        self.texts: list[str] = []

    @property
    def messages(self) -> list[Any]:
        return [json.loads(text) for text in self.texts]

    def of(self, kind: str) -> list[Any]:
        """Binance's events of a type; rows of a topic of Bybit's."""
        if self.venue == "bybit":
            return [row for one in self.messages if one.get("topic") == kind for row in one["data"]]
        events = (one.get("event", one) for one in self.messages)
        return [one for one in events if one.get("e") == kind]

    def fill_ids(self) -> list[object]:
        """Trade ids of the fills that were told, in order."""
        if self.venue == "bybit":
            return [row["execId"] for row in self.of("execution")]
        if self.segment is SPOT:
            return [one["t"] for one in self.of("executionReport") if one["x"] == "TRADE"]
        return [one["o"]["t"] for one in self.of("ORDER_TRADE_UPDATE") if one["o"]["x"] == "TRADE"]

    def states(self) -> list[str]:
        """Of the orders, as they were told."""
        if self.venue == "bybit":
            return [row["orderStatus"] for row in self.of("order")]
        if self.segment is SPOT:
            return [one["X"] for one in self.of("executionReport")]
        return [one["o"]["X"] for one in self.of("ORDER_TRADE_UPDATE")]


async def until(holds: Callable[[], object]) -> None:
    """Wait for it; the test fails where it does not come."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0.005)


class Here(Client):
    """Requests to both exchanges, and their streams."""

    def __init__(self, sim: Sim, session: aiohttp.ClientSession) -> None:
        super().__init__(sim, session)
        self.sim = sim
        self.session = session

    async def order(self, venue: str, segment: Segment, client_id: str, **changes: object) -> Any:
        """A limit order for 0.01 bitcoin, GTC; what the venue answers."""
        terms = {"side": "buy", "price": None, "quantity": "0.01", "life": "GTC", **changes}
        price = terms["price"] or self.price(venue, segment)
        if venue == "binance":
            path = "/api/v3/order" if segment is SPOT else "/fapi/v1/order"
            kind = {"type": "MARKET"} if terms["life"] == "market" else {
                "type": "LIMIT", "price": price, "timeInForce": terms["life"],
            }  # fmt: skip
            answer = await self.binance(
                "POST",
                path,
                side=str(terms["side"]).upper(),
                quantity=terms["quantity"],
                newClientOrderId=client_id,
                **kind,
            )
            return answer.json
        kind = {"orderType": "Market", "marketUnit": "baseCoin"} if terms["life"] == "market" else {
            "orderType": "Limit", "price": price, "timeInForce": terms["life"],
        }  # fmt: skip
        answer = await self.bybit(
            "POST", "/v5/order/create", category=str(segment), symbol="BTCUSDT", side=str(terms["side"]).title(),
            qty=terms["quantity"], orderLinkId=client_id, **kind,
        )  # fmt: skip
        return answer.json

    async def cancel(self, venue: str, segment: Segment, client_id: str) -> Any:
        if venue == "binance":
            path = "/api/v3/order" if segment is SPOT else "/fapi/v1/order"
            return (await self.binance("DELETE", path, origClientOrderId=client_id)).json
        return (
            await self.bybit("POST", "/v5/order/cancel", category=str(segment), symbol="BTCUSDT", orderLinkId=client_id)
        ).json

    async def state(self, venue: str, segment: Segment, client_id: str) -> tuple[str, float]:
        """As REST tells it: the venue's word, and how much is filled."""
        row = (await self.find(venue, segment, client_id)).json
        if venue == "binance":
            return row["status"], float(row["executedQty"])
        (order,) = row["result"]["list"]
        return order["orderStatus"], float(order["cumExecQty"])

    async def fills(self, venue: str, segment: Segment) -> list[Any]:
        """As REST tells them."""
        if venue == "binance":
            path = "/api/v3/myTrades" if segment is SPOT else "/fapi/v1/userTrades"
            return [one["id"] for one in (await self.binance("GET", path)).json]
        answer = await self.bybit("GET", "/v5/execution/list", category=str(segment))
        return [one["execId"] for one in answer.json["result"]["list"]]

    def price(self, venue: str, segment: Segment, share: float = 1.005) -> str:
        """A limit that takes (below 1: that rests), on the grid."""
        exchange = self.sim.exchange(venue)
        listing = self.listing(venue, segment)
        return str(round(float(exchange.market.mark(listing)) * share))

    def listing(self, venue: str, segment: Segment) -> int:
        exchange = self.sim.exchange(venue)
        wanted = ("BTC", segment)
        return next(
            i for i, one in exchange.listings.items() if (one.instrument.base, one.instrument.segment) == wanted
        )

    @contextlib.asynccontextmanager
    async def listening(self, venue: str, segment: Segment) -> AsyncIterator[Ears]:
        """Hear the private stream from now on."""
        opening = {("binance", SPOT): self._binance_spot, ("binance", LINEAR): self._binance_linear}
        connect = opening.get((venue, segment), self._bybit)
        ears = Ears(venue, segment)
        async with connect() as socket:
            reading = asyncio.create_task(self._read(socket, ears))
            try:
                yield ears
            finally:
                reading.cancel()

    @staticmethod
    async def _read(socket: aiohttp.ClientWebSocketResponse, ears: Ears) -> None:
        async for message in socket:
            ears.texts.append(message.data)

    @contextlib.asynccontextmanager
    async def _binance_linear(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        key = (await self.binance("POST", "/fapi/v1/listenKey")).json["listenKey"]
        async with self.session.ws_connect(f"{self.sim.ws}/private/ws?listenKey={key}") as socket:
            yield socket

    @contextlib.asynccontextmanager
    async def _binance_spot(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        values = {"apiKey": self.sim.key, "timestamp": self.sim.server.binance.now_ns() // 1_000_000}
        sign = self.sim.sign("&".join(f"{name}={values[name]}" for name in sorted(values)))
        request = {"id": 1, "method": "userDataStream.subscribe.signature", "params": values | {"signature": sign}}
        async with self.session.ws_connect(f"{self.sim.ws}/ws-api/v3") as socket:
            await socket.send_json(request)
            assert (await socket.receive_json())["status"] == 200
            yield socket

    @contextlib.asynccontextmanager
    async def _bybit(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        until_ms = self.sim.server.bybit.now_ns() // 1_000_000 + 10_000
        sign = self.sim.sign(f"GET/realtime{until_ms}")
        async with self.session.ws_connect(f"{self.sim.ws}/v5/private") as socket:
            for request in (
                {"op": "auth", "args": [self.sim.key, until_ms, sign]},
                {"op": "subscribe", "args": ["order", "execution", "wallet"]},
            ):
                await socket.send_json(request)
                assert (await socket.receive_json())["success"] is True
            yield socket


@contextlib.asynccontextmanager
async def connected(time_scale: float = 1.0, **more: Any) -> AsyncIterator[Here]:
    server = SimulatorServer("calm", 7, SystemClock(), time_scale=time_scale, rate=0.2, bybit=UNLIMITED, **more)
    address = await server.start(0)
    stop = asyncio.Event()
    running = asyncio.create_task(server.run(stop))
    sim = Sim(server, address.url, address.ws_url, address.credentials.api_key, address.credentials.secret)
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
            yield Here(sim, session)
    finally:
        stop.set()
        await running


async def eventually(asked: Callable[[], Awaitable[object]]) -> None:
    """Ask until it is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not await asked():
            await asyncio.sleep(0.01)
