"""What the simulated exchanges do for customers who are gone: countdowns, and protection against lost connections."""

import asyncio
from typing import Any

from aiohttp import ClientWebSocketResponse

from tests.contract.sim_two_venues import SECOND_NS, TwoVenues, two_venues

START_NS = 1_790_000_000 * SECOND_NS
RESTING = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
LOW = {"BTCUSDT": ("0.01", "60000"), "ETHUSDT": ("0.1", "2300")}


async def rest_on_binance(both: TwoVenues, symbol: str) -> None:
    quantity, price = LOW[symbol]
    status, answer = await both.ask_binance(
        "POST", "/fapi/v1/order", symbol=symbol, quantity=quantity, price=price, **RESTING
    )
    assert (status, answer["status"]) == (200, "NEW"), answer


async def open_on_binance(both: TwoVenues) -> list[str]:
    _, orders = await both.ask_binance("GET", "/fapi/v1/openOrders")
    return [one["symbol"] for one in orders]


async def count_down(both: TwoVenues, ms: int) -> Any:
    return await both.ask_binance("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=ms)


async def test_a_countdown_cancels_the_symbols_orders_unless_it_is_asked_again() -> None:
    async with two_venues(START_NS) as both:
        for symbol in LOW:
            await rest_on_binance(both, symbol)
        assert await count_down(both, 5_000) == (200, {"symbol": "BTCUSDT", "countdownTime": "5000"})
        for _ in range(3):
            both.step(4)
            await count_down(both, 5_000)
        assert await open_on_binance(both) == ["BTCUSDT", "ETHUSDT"]
        both.step(5.1)
        assert await open_on_binance(both) == ["ETHUSDT"]
        await rest_on_binance(both, "BTCUSDT")
        await count_down(both, 5_000)
        await count_down(both, 0)
        both.step(10)
        assert await open_on_binance(both) == ["BTCUSDT", "ETHUSDT"]
        assert (await count_down(both, -1))[1]["code"] < 0


async def rest_on_bybit(both: TwoVenues) -> None:
    for category in ("linear", "spot"):
        order = {"category": category, "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01"}
        answer = await both.ask_bybit("POST", "/v5/order/create", **order, price="61000")
        assert answer["retCode"] == 0, answer


async def open_on_bybit(both: TwoVenues) -> set[str]:
    found = set()
    for category in ("linear", "spot"):
        answer = await both.ask_bybit("GET", "/v5/order/realtime", category=category, symbol="BTCUSDT")
        found |= {category for one in answer["result"]["list"] if one["orderStatus"] == "New"}
    return found


async def said(socket: ClientWebSocketResponse, message: dict[str, Any]) -> Any:
    await socket.send_json(message)
    return await socket.receive_json(timeout=60)


async def protected(both: TwoVenues, product: str) -> None:
    answer = await both.ask_bybit("POST", "/v5/order/disconnected-cancel-all", product=product, timeWindow=10)
    assert (answer["retCode"], answer["retMsg"]) == (0, "success")


async def test_a_socket_that_stops_pinging_has_its_orders_cancelled() -> None:
    async with two_venues(START_NS) as both:
        await rest_on_bybit(both)
        await protected(both, "DERIVATIVES")
        socket = await both.private_bybit("dcp.future", "order")
        for _ in range(4):
            both.step(8)
            assert (await said(socket, {"op": "ping"}))["op"] == "pong"
        assert await open_on_bybit(both) == {"linear", "spot"}
        both.step(10.1)
        assert await open_on_bybit(both) == {"spot"}
        message = await socket.receive_json(timeout=60)
        assert (message["topic"], message["data"][0]["orderStatus"]) == ("order", "Cancelled")


async def test_a_socket_that_is_gone_has_its_orders_cancelled_unless_it_comes_back_in_time() -> None:
    async with two_venues(START_NS) as both:
        await rest_on_bybit(both)
        await protected(both, "SPOT")
        await protected(both, "DERIVATIVES")
        first = await both.private_bybit("dcp.spot", "dcp.future")
        await closed(first)
        both.step(9)
        again = await both.private_bybit("dcp.future")
        both.step(9)
        assert await open_on_bybit(both) == {"linear"}
        await closed(again)
        both.step(10.1)
        assert await open_on_bybit(both) == set()


async def closed(socket: ClientWebSocketResponse) -> None:
    await socket.close()
    for _ in range(10):  # the server hears of it in a turn of the loop of its own
        await asyncio.sleep(0)


async def test_who_never_joined_a_protection_topic_is_not_protected() -> None:
    async with two_venues(START_NS) as both:
        await rest_on_bybit(both)
        await protected(both, "DERIVATIVES")
        socket = await both.private_bybit("order")
        await closed(socket)
        both.step(60)
        assert await open_on_bybit(both) == {"linear", "spot"}


async def test_a_window_is_three_to_three_hundred_seconds() -> None:
    async with two_venues(START_NS) as both:
        for seconds in (2, 301, -1):
            answer = await both.ask_bybit("POST", "/v5/order/disconnected-cancel-all", timeWindow=seconds)
            assert answer["retCode"] == 10001
        info = await both.ask_bybit("GET", "/v5/account/info")
        assert info["result"]["dcpStatus"] == "OFF"
