"""Every public stream and topic of the simulated exchanges speaks, on its own route and only there."""

import asyncio
import itertools
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse

from tests.contract.sim_two_venues import SECOND_NS, TwoVenues, two_venues

START_NS = 1_790_000_000 * SECOND_NS

SPOT = (
    "btcusdt@bookTicker", "btcusdt@depth", "btcusdt@depth@100ms", "btcusdt@depth5", "btcusdt@depth10@100ms",
    "btcusdt@depth20", "btcusdt@trade", "btcusdt@aggTrade", "btcusdt@kline_1m", "btcusdt@ticker", "btcusdt@miniTicker",
    "!ticker@arr", "!miniTicker@arr",
)  # fmt: skip
BY_ROUTE = {
    "public": (
        "btcusdt@bookTicker", "!bookTicker", "btcusdt@depth", "btcusdt@depth@0ms", "btcusdt@depth@100ms",
        "btcusdt@depth@500ms", "btcusdt@depth5@100ms", "btcusdt@depth10", "btcusdt@depth20@500ms",
    ),
    "market": (
        "btcusdt@aggTrade", "btcusdt@markPrice", "btcusdt@markPrice@1s", "!markPrice@arr", "!markPrice@arr@1s",
        "btcusdt@kline_1m", "btcusdt@kline_1h", "btcusdt@ticker", "!ticker@arr", "btcusdt@miniTicker",
        "!miniTicker@arr",
    ),
}  # fmt: skip
LAST = 4711
LINEAR = [(route, name) for route, names in BY_ROUTE.items() for name in names]


async def frames(both: TwoVenues, socket: ClientWebSocketResponse) -> list[Any]:
    """What comes within some seconds of the market, past the replies to commands."""
    for _ in range(8):
        both.step(0.5)
        await asyncio.sleep(0)
    return [one for one in await drained(socket) if isinstance(one, list) or not {"result", "success"} & one.keys()]


def bare(payload: Any) -> bool:
    """Whether a payload is what a stream itself says."""
    one = payload[0] if isinstance(payload, list) else payload
    return "stream" not in one and bool({"e", "u", "lastUpdateId"} & one.keys())


async def test_every_spot_stream_speaks_raw_and_combined() -> None:
    async with two_venues(START_NS, rate=0.3) as both:
        combined = await both.http.ws_connect("/stream?streams=" + "/".join(SPOT))
        raw = {name: await both.http.ws_connect(f"/ws/{name}") for name in SPOT}
        told = await frames(both, combined)
        assert {one["stream"] for one in told} == set(SPOT)
        assert all(bare(one["data"]) for one in told)
        for name, socket in raw.items():
            own = await drained(socket)
            assert own, name
            # The same frames, without the envelope.
            assert own == [one["data"] for one in told if one["stream"] == name][: len(own)], name


async def drained(socket: ClientWebSocketResponse) -> list[Any]:
    """What was sent until now: everything that comes before the answer to a question of this moment."""
    await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": LAST, "op": "ping", "req_id": str(LAST)})
    found = []
    while True:
        message = await socket.receive_json(timeout=60)
        if isinstance(message, dict) and (message.get("id") == LAST or message.get("req_id") == str(LAST)):
            return found
        found.append(message)


@pytest.mark.parametrize("route", BY_ROUTE)
async def test_every_futures_stream_speaks_on_its_route_and_is_silent_on_the_others(route: str) -> None:
    names = BY_ROUTE[route]
    async with two_venues(START_NS, rate=0.3) as both:
        right = await both.http.ws_connect(f"/{route}/stream?streams=" + "/".join(names))
        raw = {name: await both.http.ws_connect(f"/{route}/ws/{name}") for name in names}
        wrong = [
            await both.http.ws_connect(f"/{other}/stream?streams=" + "/".join(names))
            for other in ("public", "market", "private")
            if other != route
        ]
        for socket in wrong:
            await socket.send_json({"method": "SUBSCRIBE", "params": list(names), "id": 7})
            assert await socket.receive_json(timeout=60) == {"result": None, "id": 7}
        told = await frames(both, right)
        assert {one["stream"] for one in told} == set(names)
        for name, socket in raw.items():
            own = await drained(socket)
            assert own, name
            assert all(bare(one) for one in own), name
        assert [await drained(socket) for socket in wrong] == [[], []]


TOPICS = [
    (category, f"{topic}.BTCUSDT")
    for category in ("linear", "spot")
    for topic in (
        "orderbook.1", "orderbook.50", "orderbook.200", "orderbook.1000", "publicTrade", "tickers", "kline.1",
        "kline.60",
    )
]  # fmt: skip


@pytest.mark.parametrize("category", ["linear", "spot"])
async def test_every_topic_of_bybit_speaks(category: str) -> None:
    topics = [topic for kind, topic in TOPICS if kind == category]
    async with two_venues(START_NS, rate=0.3) as both:
        socket = await both.http.ws_connect(f"/v5/public/{category}")
        heard: list[Any] = []
        for part in (topics[:4], topics[4:]):
            await socket.send_json({"op": "subscribe", "args": part, "req_id": part[0]})
            await until_answered(socket, part[0], heard)
        # A trade of one's own is as public as any.
        order = {"symbol": "BTCUSDT", "side": "Sell", "orderType": "Market", "qty": "0.01"}
        assert (await both.ask_bybit("POST", "/v5/order/create", category=category, **order))["retCode"] == 0
        told = heard + await frames(both, socket)
        assert {one["topic"] for one in told} == set(topics)
        for depth in (50, 200, 1000):
            rebuilt([one for one in told if one["topic"] == f"orderbook.{depth}.BTCUSDT"], depth)
        tops = [one for one in told if one["topic"] == "orderbook.1.BTCUSDT"]
        assert {one["type"] for one in tops} == {"snapshot"}
        assert all(len(one["data"]["b"]) == len(one["data"]["a"]) == 1 for one in tops)


async def until_answered(socket: ClientWebSocketResponse, req_id: str, heard: list[Any]) -> None:
    """Snapshots may come before the reply."""
    while (message := await socket.receive_json(timeout=60)).get("req_id") != req_id:
        heard.append(message)
    assert message["success"], message


def rebuilt(messages: list[Any], depth: int) -> None:
    """A snapshot, then deltas without a gap; the book stays uncrossed and no deeper than it may be."""
    assert [one["type"] for one in messages] == ["snapshot"] + ["delta"] * (len(messages) - 1)
    assert len(messages) > 3
    assert all(later["data"]["u"] == earlier["data"]["u"] + 1 for earlier, later in itertools.pairwise(messages))
    assert all(later["data"]["seq"] > earlier["data"]["seq"] for earlier, later in itertools.pairwise(messages))
    sides: dict[str, dict[float, str]] = {"b": {}, "a": {}}
    for message in messages:
        for name, side in sides.items():
            side |= {float(price): size for price, size in message["data"][name]}
            for price in [price for price, size in side.items() if size == "0"]:
                del side[price]
        assert max(sides["b"]) < min(sides["a"])
        assert max(map(len, sides.values())) <= depth
