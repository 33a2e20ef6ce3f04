"""A venue's socket for orders whose answers the test writes, and a `TradeSocket` on it by the test's own clock."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from aiohttp import WSMsgType, web
from pydantic import SecretStr

from bot.clock import VirtualClock
from bot.domain.instrument import Feed, Instrument, Segment
from bot.settings import ConnectionSettings
from exchanges.binance import request_costs as binance_costs
from exchanges.binance.signed_rest import SignedRest as BinanceRest
from exchanges.binance.trade_socket import BinanceTrade
from exchanges.bybit import request_costs as bybit_costs
from exchanges.bybit.signed_rest import SignedRest as BybitRest
from exchanges.bybit.trade_socket import BybitTrade
from exchanges.common.account.trade_socket import TradeSocket
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.common.requests.venue_http import VenueHttp
from tests.integration.actions_rig import until

D = Decimal
KEYS = ApiKeys(key=SecretStr("a-key"), secret=SecretStr("a-secret"))
START_NS = 1_800_000_000_000_000_000
Answers = Callable[[dict[str, Any]], list[dict[str, Any]]]


def instrument(venue: str) -> Instrument:
    return Instrument(
        venue=venue, symbol="BTC/USDT:USDT", segment=Segment.LINEAR, base="BTC", quote="USDT", settle="USDT",
        tick_size=D("0.1"), lot_size=D("0.001"),
    )  # fmt: skip


def done(venue: str, request: dict[str, Any]) -> dict[str, Any]:
    """What the venue says of a request that it did."""
    if venue == "binance":
        return {"id": request["id"], "status": 200, "result": {}}
    return {"reqId": request["reqId"], "retCode": 0, "retMsg": "OK", "op": request["op"], "data": {}}


def refused(venue: str, request: dict[str, Any], code: int, status: int = 400, **more: object) -> dict[str, Any]:
    """What the venue says of one that it did not do."""
    if venue == "binance":
        return {"id": request["id"], "status": status, "error": {"code": code, "msg": "words", **more}}
    return {"reqId": request["reqId"], "retCode": code, "retMsg": "words", "op": request["op"], **more}


@dataclass
class ScriptedVenue:
    """Takes connections while `status` is 101, and says to each request what `answers` says."""

    venue: str
    answers: Answers
    status: int = 101
    headers: dict[str, str] = field(default_factory=dict)
    is_deaf: bool = False
    """Neither answers nor pongs."""
    seen: list[dict[str, Any]] = field(default_factory=list)
    open: list[web.WebSocketResponse] = field(default_factory=list)
    dials: int = 0
    pings: int = 0

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.dials += 1
        if self.status != 101:
            return web.Response(status=self.status, headers=self.headers)
        socket = web.WebSocketResponse(compress=False, autoping=False)
        await socket.prepare(request)
        self.open.append(socket)
        try:
            async for message in socket:
                await self._take(socket, message)
        finally:
            self.open.remove(socket)
        return socket

    async def _take(self, socket: web.WebSocketResponse, message: Any) -> None:
        if message.type is WSMsgType.PING:
            self.pings += 1
            if not self.is_deaf:
                await socket.pong(message.data)
        elif message.type is WSMsgType.TEXT:
            asked = message.json()
            if asked.get("op") == "ping":
                return
            self.seen.append(asked)
            if asked.get("op") == "auth" and not self.is_deaf:
                for answer in self.logins(asked):
                    await socket.send_json(answer)
            elif not self.is_deaf:
                for answer in self.answers(asked):
                    await socket.send_json(answer)

    def logins(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"retCode": 0, "retMsg": "OK", "op": "auth", "connId": "c"}]

    @property
    def orders(self) -> list[dict[str, Any]]:
        return [one for one in self.seen if one.get("op") != "auth"]

    def cut(self, request_of: web.WebSocketResponse | None = None) -> None:
        for socket in [request_of] if request_of is not None else list(self.open):
            transport = socket._req.transport  # type: ignore[union-attr]
            assert transport is not None
            transport.abort()

    async def say(self, message: dict[str, Any]) -> None:
        for socket in list(self.open):
            await socket.send_json(message)


@dataclass
class SocketBench:
    clock: VirtualClock
    socket: TradeSocket
    budget: RequestBudget
    log: list[tuple[str, str]]
    what: Instrument

    def said(self, words: str) -> bool:
        return any(words in text for _, text in self.log)

    async def pass_s(self, seconds: float) -> None:
        """Let the virtual clock go on, and what that sets off happen."""
        self.clock.advance_to(self.clock.now_ns() + round(seconds * 1e9))
        await asyncio.sleep(0)

    async def until_by_clock(self, condition: Callable[[], bool], step_s: float = 0.05) -> None:
        """Wait for a condition while virtual time passes."""
        async with asyncio.timeout(60):
            while not condition():
                await self.pass_s(step_s)
                await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def scripted(venue: str, answers: Answers | None = None) -> AsyncIterator[tuple[ScriptedVenue, str]]:
    """A venue and the base of its addresses."""
    one = ScriptedVenue(venue, answers or (lambda request: [done(venue, request)]))
    application = web.Application()
    application.add_routes([web.get("/{path:.*}", one.serve)])
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield one, f"ws://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        one.cut()
        await runner.cleanup()


def a_bench(venue: str, base: str, planned_s: float = 84_600.0) -> SocketBench:
    """A socket that has not been started."""
    clock, what = VirtualClock(START_NS), instrument(venue)
    rates = {"binance": binance_costs.rates(), "bybit": bybit_costs.rates()}[venue]
    budget = RequestBudget(venue, rates, clock)
    http, symbols = VenueHttp(venue, clock, budget), {what.id: "BTCUSDT"}
    protocol: BinanceTrade | BybitTrade
    if venue == "binance":
        feed = Feed.parse("binance.linear")
        protocol = BinanceTrade(feed, base, BinanceRest(feed, "http://127.0.0.1:1", KEYS, http, clock), symbols)
    else:
        protocol = BybitTrade(f"{base}/v5/trade", BybitRest("http://127.0.0.1:1", KEYS, http, clock), symbols)
    log: list[tuple[str, str]] = []
    # Only real time limits a handshake, and a busy machine takes its time.
    settings = ConnectionSettings(
        backoff_first_s=1.0, backoff_cap_s=8.0, first_frame_timeout_s=30.0, planned_reconnect_h=planned_s / 3600
    )
    socket = TradeSocket(
        protocol, budget=budget, settings=settings, clock=clock, rng=random.Random(1),
        log=lambda level, text: log.append((level, text)),
    )  # fmt: skip
    return SocketBench(clock, socket, budget, log, what)


@contextlib.asynccontextmanager
async def connected(
    venue: str, answers: Answers | None = None, planned_s: float = 84_600.0
) -> AsyncIterator[tuple[ScriptedVenue, SocketBench]]:
    """A venue and a socket that is ready."""
    async with scripted(venue, answers) as (there, base):
        bench = a_bench(venue, base, planned_s)
        await bench.socket.start()
        try:
            assert bench.socket.is_ready, bench.log
            # Its timers, the ping and the planned replacement, must be set before a test moves the clock.
            await until(lambda: sum(timer.callback is not None for *_, timer in bench.clock._timers) >= 2)
            yield there, bench
        finally:
            await bench.socket.stop()


__all__ = ["ScriptedVenue", "SocketBench", "a_bench", "connected", "done", "refused", "scripted", "until"]
