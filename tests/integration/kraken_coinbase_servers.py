"""Local servers that speak as much of Kraken's and Coinbase's public protocols as the readers use."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import WSMsgType, web

from bot.clock import SystemClock
from bot.ports import FeedState

AHEAD_NS = 1_270_000_000
PATIENCE_S = 20.0


def iso(ns: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1_000)).isoformat().replace("+00:00", "Z")


def venue_time() -> str:
    """The servers' clocks are ahead of ours."""
    return iso(SystemClock().now_ns() + AHEAD_NS)


class Server:
    """Keeps connections and what was asked over them."""

    def __init__(self) -> None:
        self.url = ""
        self.sockets: list[web.WebSocketResponse] = []
        self.asked: list[dict[str, Any]] = []
        self.is_mute = False
        self.feeding: web.WebSocketResponse | None = None
        """The connection that tickers were last asked for on."""

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        self.sockets.append(socket)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                asked = json.loads(message.data)
                self.asked.append(asked)
                if not self.is_mute:
                    await self.answer(socket, asked)
        return socket

    async def answer(self, socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        raise NotImplementedError

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v2", self.stream), web.get("/", self.stream)]


class LocalKraken(Server):
    """Answers a subscription to tickers with one of each pair."""

    async def answer(self, socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        if asked["method"] == "ping":
            await socket.send_json({"method": "pong", "time_in": venue_time(), "time_out": venue_time()})
            return
        parameters = asked["params"]
        await socket.send_json({"method": "subscribe", "success": True, "result": {"channel": parameters["channel"]}})
        if parameters["channel"] == "ticker":
            self.feeding = socket
            for symbol in parameters["symbol"]:
                await self.quote(socket, symbol, "snapshot")

    async def quote(self, socket: web.WebSocketResponse, symbol: str, kind: str = "update") -> None:
        row = {"symbol": symbol, "bid": 100.1, "bid_qty": 1.0, "ask": 100.2, "ask_qty": 2.0, "timestamp": venue_time()}
        await socket.send_str(json.dumps({"channel": "ticker", "type": kind, "data": [row]}, separators=(",", ":")))


class LocalCoinbase(Server):
    """Answers subscriptions with numbered frames: a whole book of each product."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: dict[web.WebSocketResponse, int] = {}

    def routes(self) -> list[web.RouteDef]:
        return [*super().routes(), web.get("/api/v3/brokerage/time", self.time)]

    async def time(self, request: web.Request) -> web.Response:
        ms = (SystemClock().now_ns() + AHEAD_NS) // 1_000_000
        return web.json_response({"iso": venue_time(), "epochSeconds": str(ms // 1000), "epochMillis": str(ms)})

    async def answer(self, socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        channel = asked["channel"]
        if channel == "level2":
            for product in asked["product_ids"]:
                await self.book(socket, product, ("bid", "100.1", "1"), ("offer", "100.2", "2"), kind="snapshot")
        await self.send(socket, "subscriptions", {"subscriptions": {channel: asked.get("product_ids", [""])}})

    async def book(
        self, socket: web.WebSocketResponse, product: str, *levels: tuple[str, str, str], kind: str = "update"
    ) -> None:
        updates = [
            {"side": side, "event_time": venue_time(), "price_level": price, "new_quantity": quantity}
            for side, price, quantity in levels
        ]
        await self.send(socket, "l2_data", {"type": kind, "product_id": product, "updates": updates})

    async def send(self, socket: web.WebSocketResponse, channel: str, event: dict[str, Any]) -> None:
        number = self.numbers.get(socket, 0)
        self.numbers[socket] = number + 1
        frame = {"channel": channel, "timestamp": venue_time(), "sequence_num": number, "events": [event]}
        await socket.send_str(json.dumps(frame, separators=(",", ":")))


@contextlib.asynccontextmanager
async def served(server: Server) -> AsyncIterator[None]:
    """The server on a port of its own; its address is in `url`."""
    app = web.Application()
    app.add_routes(server.routes())
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield
    finally:
        await runner.cleanup()


class Heard:
    """Keeps calls, and lets a test wait for what it needs."""

    def __init__(self) -> None:
        self.quotes: list[tuple[int, Any]] = []
        self.trades: list[Any] = []
        self.malformed: list[str] = []
        self.states: list[tuple[FeedState, str]] = []
        self.offsets: list[tuple[str, int, int]] = []
        self._news = asyncio.Event()

    def on_quote(self, slot: int, quote: Any, ts_recv_ns: int, raw: bytes) -> None:
        self.quotes.append((slot, quote))
        self._news.set()

    def on_trade(self, slot: int, trade: Any, ts_recv_ns: int) -> None:
        self.trades.append(trade)
        self._news.set()

    def on_malformed(self, feed: Any, raw: bytes, reason: str) -> None:
        self.malformed.append(reason)
        self._news.set()

    def on_feed_state(self, feed: Any, state: FeedState, detail: str) -> None:
        self.states.append((state, detail))
        self._news.set()

    def on_clock_offset(self, venue: str, offset_ns: int, round_trip_ns: int) -> None:
        self.offsets.append((venue, offset_ns, round_trip_ns))
        self._news.set()

    def on_timed_frame(self, feed: Any, ts_event_ns: int, ts_recv_ns: int) -> None:
        self._news.set()

    def on_batch_end(self, ts_recv_ns: int) -> None:
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that a call brings."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._news.clear()
                await self._news.wait()
