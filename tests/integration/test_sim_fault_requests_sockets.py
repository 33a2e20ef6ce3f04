"""Faults of requests, as they look on the sockets that take orders."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bot.domain.instrument import Segment
from tests.integration.sim_fault_requests_rig import PATIENCE_S, Sim, simulated

SPOT, LINEAR = Segment.SPOT, Segment.LINEAR
BINANCE_PATHS = {SPOT: "/ws-api/v3", LINEAR: "/ws-fapi/v1"}
EVERY_SEGMENT = pytest.mark.parametrize("segment", [SPOT, LINEAR])
EVERYWHERE = pytest.mark.parametrize(
    ("venue", "segment"), [("binance", SPOT), ("binance", LINEAR), ("bybit", SPOT), ("bybit", LINEAR)]
)


class Orders:
    """One socket for orders."""

    def __init__(self, sim: Sim, venue: str, segment: Segment, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._sim, self._venue, self._segment, self._socket = sim, venue, segment, socket

    async def log_in(self) -> None:
        expires = self._sim.server.bybit.now_ns() // 1_000_000 + 10_000
        sign = self._sim.sign(f"GET/realtime{expires}")
        await self._socket.send_json({"op": "auth", "args": [self._sim.key, expires, sign]})
        assert (await self.hear())["retCode"] == 0

    async def buy(self, client_id: str) -> None:
        """Send a market order; the answer is not waited for."""
        if self._venue == "binance":
            await self.ask("order.place", side="BUY", type="MARKET", quantity="0.01", newClientOrderId=client_id)
            return
        stamp = str(self._sim.server.bybit.now_ns() // 1_000_000)
        order = {"category": str(self._segment), "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market",
                 "qty": "0.01", "marketUnit": "baseCoin", "orderLinkId": client_id}  # fmt: skip
        header = {"X-BAPI-TIMESTAMP": stamp}
        await self._socket.send_json({"reqId": client_id, "header": header, "op": "order.create", "args": [order]})

    async def ask(self, method: str, **parameters: str) -> None:
        """A signed request to Binance."""
        now_ms = str(self._sim.server.binance.now_ns() // 1_000_000)
        values = {"apiKey": self._sim.key, "symbol": "BTCUSDT", "timestamp": now_ms, **parameters}
        text = "&".join(f"{name}={values[name]}" for name in sorted(values))
        params = {**values, "signature": self._sim.sign(text)}
        await self._socket.send_json({"id": method, "method": method, "params": params})

    async def hear(self) -> Any:
        return await self._socket.receive_json(timeout=PATIENCE_S)

    async def ends(self) -> int | None:
        """How it ends: 1006 is an end without a goodbye."""
        async with asyncio.timeout(PATIENCE_S):
            message = await self._socket.receive()
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.ERROR)
        return self._socket.close_code

    def code(self, answer: Any) -> int:
        if self._venue == "bybit":
            return int(answer["retCode"])
        return 0 if answer["status"] == 200 else int(answer["error"]["code"])


@contextlib.asynccontextmanager
async def orders(venue: str, segment: Segment) -> AsyncIterator[tuple[Sim, Orders]]:
    path = BINANCE_PATHS[segment] if venue == "binance" else "/v5/trade"
    async with (
        simulated() as sim,
        aiohttp.ClientSession() as session,
        session.ws_connect(sim.ws + path) as socket,
    ):
        one = Orders(sim, venue, segment, socket)
        if venue == "bybit":
            await one.log_in()
        yield sim, one


@EVERY_SEGMENT
@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("http-429", 429, -1003),
        ("http-418", 418, -1003),
        ("http-403", 403, 0),
        ("http-451", 451, 0),
        ("http-503", 503, -1008),
    ],
)
async def test_binance_answers_with_the_status_of_http(segment: Segment, kind: str, status: int, code: int) -> None:
    async with orders("binance", segment) as (sim, one):
        sim.order(f"{kind},venue=binance,segment={segment},match=order.place,amount=4" if kind in (
            "http-429", "http-418") else f"{kind},venue=binance,segment={segment},match=order.place")  # fmt: skip
        await one.buy("a")
        answer = await one.hear()
        assert (answer["id"], answer["status"], answer["error"]["code"]) == ("order.place", status, code)
        assert sim.placed("binance", segment) == []
        data = answer["error"].get("data")
        assert (data is not None) == (kind in ("http-429", "http-418"))
        if data is not None:
            assert 3_000 < data["retryAfter"] - data["serverTime"] <= 4_000
        await one.ask("order.status", origClientOrderId="a")
        assert (await one.hear())["error"]["code"] == -2013


@EVERY_SEGMENT
@pytest.mark.parametrize(
    ("kind", "code"),
    [("http-429", 10006), ("http-418", 10403), ("http-403", 10403), ("http-451", 10024), ("http-503", 10019)],
)
async def test_bybit_answers_with_the_codes_of_its_trade_socket(segment: Segment, kind: str, code: int) -> None:
    async with orders("bybit", segment) as (sim, one):
        number = sim.order(f"{kind},venue=bybit,segment={segment}")
        await one.buy("a")
        answer = await one.hear()
        assert (answer["reqId"], answer["retCode"], answer["op"]) == ("a", code, "order.create")
        assert ("X-Bapi-Limit-Reset-Timestamp" in answer["header"]) == (kind == "http-429")
        assert sim.placed("bybit", segment) == []
        sim.faults.end(number)
        await one.buy("b")
        assert (await one.hear())["retCode"] == 0


@EVERYWHERE
@pytest.mark.parametrize(("kind", "arrived"), [("lost-answer", ["a"]), ("lost-order", [])])
async def test_a_loss_ends_the_connection_without_a_word(
    venue: str, segment: Segment, kind: str, arrived: list[str]
) -> None:
    async with orders(venue, segment) as (sim, one):
        sim.order(f"{kind},venue={venue},segment={segment},match=order.")
        if venue == "binance":
            await one.ask("order.status", origClientOrderId="a")
            assert (await one.hear())["error"]["code"] == -2013
        await one.buy("a")
        assert await one.ends() == 1006
        assert sim.placed(venue, segment) == arrived


async def test_a_question_is_lost_where_its_method_is_named() -> None:
    async with orders("binance", LINEAR) as (sim, one):
        sim.order("lost-answer,venue=binance,match=order.status")
        await one.ask("order.status", origClientOrderId="a")
        assert await one.ends() == 1006


@EVERYWHERE
async def test_an_answer_comes_late(venue: str, segment: Segment) -> None:
    async with orders(venue, segment) as (sim, one):
        sim.order(f"latency,venue={venue},amount=300,match=order.")
        began = asyncio.get_running_loop().time()
        await one.buy("a")
        answer = await one.hear()
        assert one.code(answer) == 0
        assert asyncio.get_running_loop().time() - began >= 0.3
        assert sim.placed(venue, segment) == ["a"]


@EVERYWHERE
async def test_the_other_segment_is_left_alone(venue: str, segment: Segment) -> None:
    other = LINEAR if segment is SPOT else SPOT
    async with orders(venue, segment) as (sim, one):
        number = sim.order(f"lost-order,venue={venue},segment={other}")
        await one.buy("a")
        assert one.code(await one.hear()) == 0
        assert sim.struck(number) == 0


async def test_a_key_that_is_revoked_places_no_orders_on_a_socket_that_is_open() -> None:
    async with orders("bybit", Segment.LINEAR) as (sim, one):
        number = sim.order("key-revoked,venue=bybit")
        await one.buy("a")
        assert (await one.hear())["retCode"] == 10003
        sim.faults.end(number)
        assert sim.placed("bybit", Segment.LINEAR) == []
        await one.buy("b")
        assert (await one.hear())["retCode"] == 0
