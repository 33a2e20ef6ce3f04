"""Maintenance: everything but the system status is unavailable, and nobody stays connected."""

import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest

from bot.domain.instrument import Segment
from tests.integration.sim_fault_requests_rig import PATIENCE_S, Sim, connected

SPOT, LINEAR = Segment.SPOT, Segment.LINEAR
STREAMS = {
    "binance": ["/ws/btcusdt@bookTicker", "/public/ws/btcusdt@bookTicker", "/ws-api/v3", "/ws-fapi/v1"],
    "bybit": ["/v5/public/linear", "/v5/public/spot", "/v5/private", "/v5/trade"],
}
EVERY_VENUE = pytest.mark.parametrize("venue", ["binance", "bybit"])


@contextlib.asynccontextmanager
async def sockets(sim: Sim, venue: str) -> AsyncIterator[dict[str, aiohttp.ClientWebSocketResponse]]:
    async with aiohttp.ClientSession() as session:
        yield {path: await session.ws_connect(sim.ws + path) for path in STREAMS[venue]}


async def goodbye(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    """How the venue closes it."""
    while not socket.closed:
        message = await socket.receive(timeout=PATIENCE_S)
        if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
            break
    return socket.close_code


async def upgrade(sim: Sim, path: str) -> int:
    async with aiohttp.ClientSession() as session:
        try:
            async with session.ws_connect(sim.ws + path):
                return 101
        except aiohttp.WSServerHandshakeError as refused:
            return refused.status


@EVERY_VENUE
async def test_sockets_are_closed_and_none_is_opened_until_it_is_over(venue: str) -> None:
    async with connected() as (sim, _), sockets(sim, venue) as open_ones:
        number = sim.order(f"maintenance,venue={venue}")
        for socket in open_ones.values():
            assert await goodbye(socket) == 1001
        assert [await upgrade(sim, path) for path in STREAMS[venue]] == [503] * len(STREAMS[venue])
        sim.faults.end(number)
        assert [await upgrade(sim, path) for path in STREAMS[venue]] == [101] * len(STREAMS[venue])


async def test_binance_tells_its_status_and_nothing_else() -> None:
    async with connected() as (sim, client):
        status = "/sapi/v1/system/status"
        assert (await client.get(status)).json == {"status": 0, "msg": "normal"}
        number = sim.order("maintenance,venue=binance")
        assert (await client.get(status)).json == {"status": 1, "msg": "system maintenance"}
        for path in ("/api/v3/time", "/fapi/v1/exchangeInfo", "/sapi/v1/capital/config/getall"):
            answer = await client.get(path)
            assert (answer.status, answer.json["msg"]) == (503, "Service Unavailable.")
        assert (await client.buy("binance", SPOT, "a")).status == 503
        assert sim.placed("binance", SPOT) == []
        assert (await client.get("/v5/market/time")).json["retCode"] == 0
        sim.faults.end(number)
        assert (await client.get(status)).json == {"status": 0, "msg": "normal"}
        assert (await client.buy("binance", SPOT, "a")).status == 200


async def test_bybit_tells_its_status_and_nothing_else() -> None:
    async with connected() as (sim, client):
        number = sim.order("maintenance,venue=bybit,for_s=60")
        (row,) = (await client.get("/v5/system/status")).json["result"]["list"]
        assert row["state"] == "ongoing"
        assert int(row["end"]) - int(row["begin"]) == 60_000
        for path in ("/v5/market/time", "/v5/market/orderbook?category=linear&symbol=BTCUSDT"):
            answer = await client.get(path)
            assert (answer.status, answer.json["retCode"]) == (200, 10016)
        assert (await client.buy("bybit", LINEAR, "a")).json["retCode"] == 10016
        assert sim.placed("bybit", LINEAR) == []
        assert (await client.get("/api/v3/time")).status == 200
        sim.faults.end(number)
        assert (await client.get("/v5/system/status")).json["result"]["list"] == []
        assert (await client.buy("bybit", LINEAR, "a")).json["retCode"] == 0


async def test_one_segment_can_be_down_alone() -> None:
    async with connected() as (sim, client), sockets(sim, "binance") as open_ones:
        sim.order("maintenance,venue=binance,segment=linear")
        assert await goodbye(open_ones["/public/ws/btcusdt@bookTicker"]) == 1001
        assert await goodbye(open_ones["/ws-fapi/v1"]) == 1001
        assert (await client.get("/fapi/v1/time")).status == 503
        assert (await client.get("/api/v3/time")).status == 200
        assert (await client.get("/sapi/v1/system/status")).json["status"] == 0
        assert not open_ones["/ws-api/v3"].closed
        message = await open_ones["/ws/btcusdt@bookTicker"].receive(timeout=PATIENCE_S)
        assert message.type is aiohttp.WSMsgType.TEXT
        assert await upgrade(sim, "/public/ws/btcusdt@bookTicker") == 503
        assert await upgrade(sim, "/ws/btcusdt@bookTicker") == 101
        sim.order("maintenance,venue=bybit,segment=spot")
        assert await upgrade(sim, "/v5/public/spot") == 503
        assert await upgrade(sim, "/v5/public/linear") == 101
