"""What the simulated Binance does with the wire itself: signatures, clocks, limits, routes, commands, slow readers."""

import asyncio
import hashlib
import hmac
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.domain.instrument import Segment
from exchanges.simulator.binance import limits, sockets
from exchanges.simulator.binance.app import Options
from exchanges.simulator.binance.endpoints import LINEAR, LINEAR_WS, SPOT, SPOT_WS, WALLET
from tests.integration.sim_binance_server import SimBinance, signed, signed_params, sim_binance

ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "60000",
}


@pytest.fixture
async def sim() -> AsyncIterator[SimBinance]:
    async with sim_binance() as one:
        yield one


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as one:
        yield one


async def asked(http: aiohttp.ClientSession, method: str, url: str, **more: Any) -> tuple[int, Any]:
    async with http.request(method, url, **more) as response:
        return response.status, await response.json()


def sign(sim: SimBinance, text: str) -> str:
    return hmac.new(sim.secret.encode(), text.encode(), hashlib.sha256).hexdigest()


# Who asks, and when


async def test_signature_covers_query_and_body_as_sent(sim: SimBinance, http: aiohttp.ClientSession) -> None:
    now_ms = sim.exchange.now_ns() // 1_000_000
    query, body = "symbol=BTCUSDT&side=BUY&type=MARKET", f"quantity=0.01&timestamp={now_ms}"
    headers = {"X-MBX-APIKEY": sim.key, "Content-Type": "application/x-www-form-urlencoded"}
    good = f"{body}&signature={sign(sim, query + body).upper()}"
    status, answer = await asked(http, "POST", f"{sim.http}/api/v3/order?{query}", data=good, headers=headers)
    assert (status, answer["status"]) == (200, "FILLED")
    # The same parameters in another order are other bytes.
    bad = f"{body}&signature={sign(sim, body + query)}"
    status, answer = await asked(http, "POST", f"{sim.http}/api/v3/order?{query}", data=bad, headers=headers)
    assert (status, answer) == (400, {"code": -1022, "msg": "Signature for this request is not valid."})


async def test_keys_and_clocks_are_checked(sim: SimBinance, http: aiohttp.ClientSession) -> None:
    url = f"{sim.http}/fapi/v3/balance"
    assert (await asked(http, "GET", url))[0:1] == (401,)
    status, answer = await asked(http, "GET", url, headers={"X-MBX-APIKEY": "nobody"})
    assert (status, answer["code"]) == (401, -2015)
    status, answer = await asked(http, "GET", f"{url}?timestamp=1", headers={"X-MBX-APIKEY": sim.key})
    assert (status, answer["code"]) == (400, -1102)
    now_ms = sim.exchange.now_ns() // 1_000_000
    for timestamp, window, code, word in (
        (now_ms - 6_000, 5000, -1021, "outside of the recvWindow"),
        (now_ms + 2_000, 5000, -1021, "ahead of the server's time"),
        (now_ms, 60_001, -1131, "60000"),
        ("soon", 5000, -1100, "timestamp"),
    ):
        status, answer = await signed(sim, http, "GET", "/fapi/v3/balance", timestamp=timestamp, recvWindow=window)
        assert (status, answer["code"]) == (400, code)
        assert word in answer["msg"]
    assert (await signed(sim, http, "GET", "/fapi/v3/balance", timestamp=now_ms - 6_000, recvWindow=60_000))[0] == 200


@pytest.mark.parametrize(
    ("segment", "changed", "code", "words"),
    [
        ("api/v3", {"symbol": "DOGEUSDT"}, -1121, "Invalid symbol."),
        ("api/v3", {"side": "UP"}, -1117, "Invalid side."),
        ("api/v3", {"type": "MAGIC"}, -1116, "Invalid orderType."),
        ("api/v3", {"timeInForce": "NOW"}, -1115, "Invalid timeInForce."),
        ("api/v3", {"quantity": "1e-2"}, -1100, "quantity"),
        ("api/v3", {"quantity": "0"}, -1013, "Invalid quantity."),
        ("api/v3", {"quantity": "0.000001"}, -1013, "LOT_SIZE"),
        ("api/v3", {"quantity": "0.000000001"}, -1111, "precision"),
        ("api/v3", {"price": "60000.001"}, -1013, "PRICE_FILTER"),
        ("api/v3", {"side": "SELL", "price": "600"}, -1013, "PERCENT_PRICE_BY_SIDE"),
        ("api/v3", {"quantity": "0.00001"}, -1013, "NOTIONAL"),
        ("api/v3", {"quantity": "1000.00001"}, -1013, "LOT_SIZE"),
        (
            "api/v3",
            {"quantity": "120.00001", "type": "MARKET", "price": "", "timeInForce": ""},
            -1013,
            "MARKET_LOT_SIZE",
        ),
        ("api/v3", {"quantity": "900"}, -1013, "NOTIONAL"),
        ("api/v3", {"quantity": "9"}, -2010, "insufficient balance"),
        ("api/v3", {"type": "LIMIT_MAKER", "timeInForce": "", "price": "65000"}, -2010, "immediately match"),
        ("api/v3", {"newClientOrderId": "ä"}, -1100, "newClientOrderId"),
        ("fapi/v1", {"quantity": "0"}, -4003, "less than or equal to zero"),
        ("fapi/v1", {"quantity": "0.0105"}, -1111, "Precision"),
        ("fapi/v1", {"price": "60000.05"}, -4014, "tick size"),
        ("fapi/v1", {"price": "50000"}, -4024, "lower"),
        ("fapi/v1", {"side": "BUY", "price": "70000"}, -4016, "higher"),
        ("fapi/v1", {"quantity": "0.000"}, -4003, "zero"),
        ("fapi/v1", {"quantity": "1500"}, -4005, "greater than max"),
        (
            "fapi/v1",
            {"quantity": "120.001", "type": "MARKET", "price": "", "timeInForce": ""},
            -4005,
            "greater than max",
        ),
        ("fapi/v1", {"quantity": "900"}, -2019, "Margin is insufficient."),
        ("fapi/v1", {"price": "64000", "timeInForce": "GTX"}, -5022, "maker"),
        ("fapi/v1", {"timeInForce": "FOK"}, -5021, "FOK"),
        ("fapi/v1", {"reduceOnly": "true"}, -2022, "ReduceOnly"),
        ("fapi/v1", {"positionSide": "LONG"}, -4061, "position side"),
        ("fapi/v1", {"type": "STOP_MARKET"}, -4120, "Algo Order"),
    ],
)
async def test_orders_are_refused_in_binances_words(
    sim: SimBinance, http: aiohttp.ClientSession, segment: str, changed: dict[str, str], code: int, words: str
) -> None:
    side = {"side": "SELL"} if code == -4024 else {}
    sent = {name: value for name, value in {**ORDER, **side, **changed}.items() if value}
    status, answer = await signed(sim, http, "POST", f"/{segment}/order", **sent)
    assert (status, answer["code"]) == (400, code), answer
    assert words in answer["msg"]


async def test_duplicate_and_unknown_orders_have_their_codes(sim: SimBinance, http: aiohttp.ClientSession) -> None:
    for path, duplicate in (("/api/v3/order", -2010), ("/fapi/v1/order", -4116)):
        assert (await signed(sim, http, "POST", path, **ORDER, newClientOrderId="one"))[0] == 200
        assert (await signed(sim, http, "POST", path, **ORDER, newClientOrderId="one"))[1]["code"] == duplicate
        assert (await signed(sim, http, "GET", path, symbol="BTCUSDT", orderId=999))[1]["code"] == -2013
        assert (await signed(sim, http, "DELETE", path, symbol="BTCUSDT", orderId=999))[1]["code"] == -2011
        assert (await signed(sim, http, "GET", path, symbol="BTCUSDT"))[1]["code"] == -1102


@pytest.mark.parametrize("path", ["/api/v3/myTrades", "/fapi/v1/userTrades"])
async def test_trades_are_told_a_page_at_a_time(sim: SimBinance, http: aiohttp.ClientSession, path: str) -> None:
    """From where the question begins; a question that begins nowhere is told the newest."""
    order = "/api/v3/order" if "api/v3" in path else "/fapi/v1/order"
    now_ms = sim.exchange.now_ns() // 1_000_000
    for _ in range(3):
        sent = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
        assert (await signed(sim, http, "POST", order, **sent))[0] == 200
    _, trades = await signed(sim, http, "GET", path, symbol="BTCUSDT")
    ids = [one["id"] for one in trades]
    for asked, told in (
        ({"startTime": now_ms, "limit": 2}, ids[:2]),
        ({"fromId": ids[1], "limit": 1}, ids[1:2]),
        ({"limit": 2}, ids[-2:]),
        ({"endTime": now_ms + 60_000, "limit": 2}, ids[-2:]),
    ):
        _, page = await signed(sim, http, "GET", path, symbol="BTCUSDT", **asked)
        assert [one["id"] for one in page] == told, asked


@pytest.mark.parametrize(
    ("path", "longest_h", "too_long"),
    [
        ("/api/v3/myTrades", 24, -1127),
        ("/api/v3/allOrders", 24, -1127),
        ("/fapi/v1/userTrades", 168, -4165),
        ("/fapi/v1/allOrders", 168, -4165),
    ],
)
async def test_a_question_reaches_over_no_more_than_binance_lets_it(
    sim: SimBinance, http: aiohttp.ClientSession, path: str, longest_h: int, too_long: int
) -> None:
    start_ms = sim.exchange.now_ns() // 1_000_000 - longest_h * 3_600_000
    span = {"symbol": "BTCUSDT", "startTime": start_ms, "endTime": start_ms + longest_h * 3_600_000}
    assert (await signed(sim, http, "GET", path, **span))[0] == 200
    assert (await signed(sim, http, "GET", path, **span | {"endTime": span["endTime"] + 1}))[1]["code"] == too_long
    if "Trades" in path:
        assert (await signed(sim, http, "GET", path, **span, fromId=1))[1]["code"] == -1128
        assert (await signed(sim, http, "GET", path, limit=10))[1]["code"] == -1102


async def test_modes_that_are_set_already_say_so(sim: SimBinance, http: aiohttp.ClientSession) -> None:
    for path, sent, code in (
        ("marginType", {"symbol": "BTCUSDT", "marginType": "CROSSED"}, -4046),
        ("positionSide/dual", {"dualSidePosition": "false"}, -4059),
        ("leverage", {"symbol": "BTCUSDT", "leverage": "126"}, -4028),
    ):
        assert (await signed(sim, http, "POST", f"/fapi/v1/{path}", **sent))[1]["code"] == code


async def test_in_hedge_mode_an_order_without_a_side_of_its_own_is_refused(
    sim: SimBinance, http: aiohttp.ClientSession
) -> None:
    sim.exchange.setup = replace(sim.exchange.setup, is_hedge=True)
    for more in ({}, {"positionSide": "BOTH"}):
        assert (await signed(sim, http, "POST", "/fapi/v1/order", **ORDER, **more))[1]["code"] == -4061
    assert (await signed(sim, http, "POST", "/api/v3/order", **ORDER))[0] == 200


async def test_a_key_does_what_it_may_do_and_no_more(sim: SimBinance, http: aiohttp.ClientSession) -> None:
    sim.exchange.setup = replace(sim.exchange.setup, may_trade=False, may_withdraw=False)
    for method, path, sent in (
        ("POST", "/api/v3/order", ORDER),
        ("POST", "/fapi/v1/order", ORDER),
        ("DELETE", "/fapi/v1/allOpenOrders", {"symbol": "BTCUSDT"}),
        ("POST", "/fapi/v1/countdownCancelAll", {"symbol": "BTCUSDT", "countdownTime": "1000"}),
        ("POST", "/sapi/v1/capital/withdraw/apply", {"coin": "USDT", "network": "TRX", "address": "T", "amount": "50"}),
    ):
        status, answer = await signed(sim, http, method, path, **sent)
        assert (status, answer["code"]) == (401, -2015), path
    assert (await signed(sim, http, "GET", "/api/v3/account"))[0] == 200
    async with http.ws_connect(f"{sim.ws}/ws-fapi/v1") as socket:
        await socket.send_json({"id": "1", "method": "order.place", "params": signed_params(sim, **ORDER)})
        answer = await socket.receive_json()
    assert (answer["status"], answer["error"]["code"]) == (401, -2015)


# Limits


async def test_weights_run_out_into_429_and_then_a_ban(http: aiohttp.ClientSession) -> None:
    few = replace(limits.SPOT, weight=limits.Rate("REQUEST_WEIGHT", "MINUTE", 1, 40), patience=2)
    async with sim_binance(Options(limits={Segment.SPOT: few, Segment.LINEAR: limits.LINEAR})) as sim:
        url, seen = f"{sim.http}/api/v3/exchangeInfo", []
        for _ in range(6):
            async with http.get(url) as response:
                used = response.headers["X-MBX-USED-WEIGHT-1M"]
                seen.append((response.status, int(used), response.headers.get("Retry-After")))
                code = (await response.json()).get("code")
        statuses = [status for status, _, _ in seen]
        # The minute may end between two requests; then there is one good answer more.
        assert statuses[:2] == [200, 200]
        assert statuses[-3:] in ([429, 418, 418], [429, 429, 418])
        assert code == -1003
        assert next(int(after) for status, _, after in seen if status == 418) in range(1, 121)
        # The other segment counts for itself.
        async with http.get(f"{sim.http}/fapi/v1/ping") as response:
            assert response.status == 200


async def test_orders_are_counted_and_limited(http: aiohttp.ClientSession) -> None:
    few = replace(
        limits.LINEAR, orders=(limits.Rate("ORDERS", "MINUTE", 1, 3), limits.Rate("ORDERS", "SECOND", 10, 300))
    )
    async with sim_binance(Options(limits={Segment.SPOT: limits.SPOT, Segment.LINEAR: few})) as sim:
        answers = [(await signed(sim, http, "POST", "/fapi/v1/order", **ORDER)) for _ in range(7)]
        refused = [answer for status, answer in answers if status == 429]
        assert refused
        assert refused[0]["code"] == -1015
        status, counts = await signed(sim, http, "GET", "/fapi/v1/rateLimit/order")
        assert status == 200
        assert counts[0]["count"] <= 3


# Streams


async def said(socket: aiohttp.ClientWebSocketResponse, command: dict[str, Any] | str) -> Any:
    """The reply to a command, past the frames that come in between."""
    await socket.send_str(command if isinstance(command, str) else json.dumps(command))
    async with asyncio.timeout(60):
        while True:
            message = await socket.receive_json()
            if "result" in message or "error" in message:
                return message


async def test_commands_are_answered_as_documented(sim: SimBinance, http: aiohttp.ClientSession) -> None:
    socket = await http.ws_connect(f"{sim.ws}/public/ws")
    name = "btcusdt@bookTicker"
    assert await said(socket, {"method": "SUBSCRIBE", "params": [name], "id": 1}) == {"result": None, "id": 1}
    assert (await said(socket, {"method": "LIST_SUBSCRIPTIONS", "id": 2}))["result"] == [name]
    assert await said(socket, {"method": "SET_PROPERTY", "params": ["combined", True], "id": 3}) == {
        "result": None,
        "id": 3,
    }
    async with asyncio.timeout(60):
        while "stream" not in await socket.receive_json():
            pass
    assert await said(socket, {"method": "UNSUBSCRIBE", "params": [name], "id": 4}) == {"result": None, "id": 4}
    for wrong, code in (
        ("{", 3),
        ("[]", 2),
        ('{"method":"DANCE","id":5}', 2),
        ('{"method":"SUBSCRIBE","params":"a"}', 2),
    ):
        assert (await said(socket, wrong))["error"]["code"] == code
    await socket.close()


async def test_a_stream_on_the_wrong_route_is_acknowledged_and_silent(
    sim: SimBinance, http: aiohttp.ClientSession
) -> None:
    right = await http.ws_connect(f"{sim.ws}/public/stream?streams=btcusdt@bookTicker")
    wrong = await http.ws_connect(f"{sim.ws}/market/ws")
    reply = await said(wrong, {"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker", "nothing@all"], "id": 9})
    assert reply == {"result": None, "id": 9}
    for _ in range(10):
        assert (await right.receive_json(timeout=60))["stream"] == "btcusdt@bookTicker"
    with pytest.raises(TimeoutError):
        await wrong.receive(timeout=0.05)


@pytest.mark.parametrize(("path", "most"), [("/ws", 5), ("/public/ws", 10)])
async def test_too_many_messages_end_the_connection(
    sim: SimBinance, http: aiohttp.ClientSession, path: str, most: int
) -> None:
    socket = await http.ws_connect(sim.ws + path)
    for number in range(most + 1):
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})
    replies = [message async for message in socket if message.type is aiohttp.WSMsgType.TEXT]
    assert len(replies) == most
    assert socket.close_code == 1008


async def test_more_streams_than_allowed_are_refused(sim: SimBinance, http: aiohttp.ClientSession) -> None:
    socket = await http.ws_connect(f"{sim.ws}/ws")
    names = [f"a{number}@trade" for number in range(1025)]
    assert (await said(socket, {"method": "SUBSCRIBE", "params": names, "id": 1}))["error"]["code"] == 2
    assert (await said(socket, {"method": "SUBSCRIBE", "params": names[1:], "id": 2}))["result"] is None


async def test_depth_frames_chain_and_rebuild_the_book(sim: SimBinance, http: aiohttp.ClientSession) -> None:
    socket = await http.ws_connect(f"{sim.ws}/public/ws/btcusdt@depth@100ms")
    frames = [await socket.receive_json(timeout=60)]
    _, book = await asked(http, "GET", f"{sim.http}/fapi/v1/depth?symbol=BTCUSDT&limit=1000")
    while frames[-1]["u"] <= book["lastUpdateId"] or len(frames) < 4:
        frames.append(await socket.receive_json(timeout=60))
    assert all(later["pu"] == earlier["u"] for earlier, later in itertools.pairwise(frames))
    late = [frame for frame in frames if frame["u"] >= book["lastUpdateId"]]
    assert late[0]["U"] <= book["lastUpdateId"] + 1
    sides = {"b": dict(book["bids"]), "a": dict(book["asks"])}
    for frame in late:
        for side, levels in sides.items():
            levels.update(frame[side])
    best_bid = max(float(price) for price, quantity in sides["b"].items() if float(quantity))
    best_ask = min(float(price) for price, quantity in sides["a"].items() if float(quantity))
    assert best_bid < best_ask


async def test_spot_depth_frames_have_no_gap(http: aiohttp.ClientSession) -> None:
    async with sim_binance(rate=2.0) as sim:
        socket = await http.ws_connect(f"{sim.ws}/ws/btcusdt@depth@100ms")
        frames = [await socket.receive_json(timeout=60) for _ in range(4)]
        assert all(later["U"] == earlier["u"] + 1 for earlier, later in itertools.pairwise(frames))


async def test_a_reader_that_does_not_read_is_cut_off(http: aiohttp.ClientSession) -> None:
    small = replace(sockets.LINEAR_STREAMS, buffer_bytes=50_000)
    async with sim_binance(Options(linear_streams=small), rate=10.0) as sim:
        reader, writer = await asyncio.open_connection("127.0.0.1", sim.port, limit=1024)
        path = "/public/stream?streams=" + "/".join(
            f"{one}usdt@depth@{ms}ms" for one in ("btc", "eth") for ms in (0, 100)
        )
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        await writer.drain()
        assert b"101" in await reader.readline()
        open_sockets = sim.server.sockets
        async with asyncio.timeout(60):
            while open_sockets.count == 0:
                await asyncio.sleep(0.01)
            writer.transport.pause_reading()
            while open_sockets.count:
                await asyncio.sleep(0.05)
        writer.close()


# User streams and the life of a connection


async def test_an_expired_listen_key_is_told_and_leaves_the_socket_open_and_silent(
    sim: SimBinance, http: aiohttp.ClientSession
) -> None:
    _, opened = await signed(sim, http, "POST", "/fapi/v1/listenKey")
    key = opened["listenKey"]
    socket = await http.ws_connect(f"{sim.ws}/private/ws?listenKey={key}&events=ORDER_TRADE_UPDATE/listenKeyExpired")
    combined = await http.ws_connect(f"{sim.ws}/private/stream?listenKey={key}")
    await said(socket, {"method": "LIST_SUBSCRIPTIONS", "id": 1})
    await said(combined, {"method": "LIST_SUBSCRIPTIONS", "id": 1})
    await signed(sim, http, "POST", "/fapi/v1/order", **ORDER | {"price": "64000"})
    assert [(await socket.receive_json(timeout=60))["o"]["x"] for _ in range(2)] == ["NEW", "TRADE"]
    first = await combined.receive_json(timeout=60)
    assert (first["stream"], first["data"]["e"]) == (key, "ORDER_TRADE_UPDATE")
    sim.server.gateway.listen_keys.end(sim.key, expired=True)
    expired = await socket.receive_json(timeout=60)
    assert (expired["e"], expired["listenKey"]) == ("listenKeyExpired", key)
    assert (await signed(sim, http, "PUT", "/fapi/v1/listenKey"))[1]["code"] == -1125
    await signed(sim, http, "POST", "/fapi/v1/order", **ORDER)
    assert (await said(socket, {"method": "LIST_SUBSCRIPTIONS", "id": 2}))["result"] == [key]


async def test_connections_are_pinged_and_cut_after_their_day(http: aiohttp.ClientSession) -> None:
    short = replace(sockets.SPOT_STREAMS, ping_s=0.05, lifetime_s=0.5)
    async with sim_binance(Options(spot_streams=short)) as sim:
        socket = await http.ws_connect(f"{sim.ws}/ws", autoping=False)
        ping = await socket.receive(timeout=60)
        assert ping.type is aiohttp.WSMsgType.PING
        await socket.pong(ping.data)
        async with asyncio.timeout(60):
            async for _ in socket:
                pass
        assert socket.close_code == 1000


async def test_a_client_that_never_answers_a_ping_is_dropped(http: aiohttp.ClientSession) -> None:
    short = replace(sockets.SPOT_STREAMS, ping_s=0.05, pong_within_s=0.1)
    async with sim_binance(Options(spot_streams=short)) as sim:
        socket = await http.ws_connect(f"{sim.ws}/ws", autoping=False)
        async with asyncio.timeout(60):
            async for _ in socket:
                pass
        assert socket.close_code == 1008


# The WebSocket APIs


async def test_hmac_keys_cannot_log_on_and_requests_are_signed(sim: SimBinance, http: aiohttp.ClientSession) -> None:
    socket = await http.ws_connect(f"{sim.ws}/ws-api/v3")

    async def ask(method: str, params: Any, number: Any = 1) -> Any:
        await socket.send_json({"id": number, "method": method, "params": params})
        return await socket.receive_json(timeout=60)

    assert (await ask("session.logon", signed_params(sim)))["error"]["code"] == -4056
    assert (await ask("dance", {}))["error"]["code"] == -1020
    assert (await ask("account.status", {"apiKey": sim.key, "timestamp": 1}))["error"]["code"] == -1102
    wrong = signed_params(sim) | {"omitZeroBalances": True}
    assert (await ask("account.status", wrong))["error"]["code"] == -1022
    assert (await ask("time", {}, number=[1]))["error"]["code"] == -1100
    await socket.send_str("{")
    assert (await socket.receive_json(timeout=60))["error"]["code"] == -1135
    assert (await ask("userDataStream.subscribe.signature", signed_params(sim)))["result"] == {"subscriptionId": 0}
    assert (await ask("userDataStream.subscribe.signature", signed_params(sim)))["error"]["code"] == -2035
    assert (await ask("userDataStream.unsubscribe", {"subscriptionId": 0}))["result"] == {}
    assert (await ask("userDataStream.unsubscribe", {"subscriptionId": 0}))["error"]["code"] == -2036


# Nothing that is sent makes it fail

names = st.sampled_from(
    ["symbol", "limit", "side", "type", "quantity", "price", "timeInForce", "orderId", "origClientOrderId", "interval",
     "startTime", "endTime", "fromId", "leverage", "coin", "network", "address", "amount", "asset", "countdownTime",
     "newClientOrderId", "newOrderRespType", "reduceOnly", "marginType", "dualSidePosition", "batchOrders", "status",
     "offset", "size", "quoteOrderQty", "recvWindow", "incomeType", "omitZeroBalances", "subscriptionId"]
)  # fmt: skip
values = st.one_of(
    st.sampled_from(["BTCUSDT", "BUY", "SELL", "LIMIT", "MARKET", "GTC", "0", "-1", "1", "1.5", "1e400", "NaN", "true",
                     "9" * 19, "9" * 400, "[]", "[{}]", '[{"symbol":"BTCUSDT"}]', "1m", "USDT", "TRX", "", "[" * 500]),
    st.text(max_size=20),
)  # fmt: skip
parameters = st.dictionaries(names, values, max_size=8)


@pytest.fixture(scope="module")
def loop_runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from([*SPOT, *WALLET, *LINEAR]), parameters), min_size=40, max_size=40))
def test_no_request_is_answered_by_a_fault(loop_runner: asyncio.Runner, requests: list[Any]) -> None:
    async def run() -> None:
        async with sim_binance() as sim, aiohttp.ClientSession() as http:
            for (method, path), sent in requests:
                status, answer = await signed(sim, http, method, path, **sent)
                assert status < 500, (method, path, sent)
                assert status == 200 or {"code", "msg"} <= answer.keys()

    loop_runner.run(run())


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from([*SPOT_WS, *LINEAR_WS]), parameters), min_size=40, max_size=40))
def test_no_socket_request_is_answered_by_a_fault(loop_runner: asyncio.Runner, requests: list[Any]) -> None:
    async def run() -> None:
        async with sim_binance() as sim, aiohttp.ClientSession() as http:
            for path in ("/ws-api/v3", "/ws-fapi/v1"):
                socket = await http.ws_connect(sim.ws + path)
                for number, (method, sent) in enumerate(requests):
                    await socket.send_json({"id": number, "method": method, "params": signed_params(sim, **sent)})
                    answer = await socket.receive_json(timeout=60)
                    assert answer["id"] == number
                    assert answer["status"] < 500

    loop_runner.run(run())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v3/order", b"x" * 100_000),
        ("/api/v3/order", b"&".join(b"a%d=1" % one for one in range(500))),
        ("/fapi/v1/order", b"symbol=\xff\xfe&side=%00&quantity=%zz"),
        ("/fapi/v1/nothing", b""),
        ("/sapi/v1/nothing", b""),
        ("/futures/data/nothing", b""),
    ],
)
async def test_malformed_bodies_are_refused(
    sim: SimBinance, http: aiohttp.ClientSession, path: str, body: bytes
) -> None:
    headers = {"X-MBX-APIKEY": sim.key, "Content-Type": "application/x-www-form-urlencoded"}
    status, answer = await asked(http, "POST", sim.http + path, data=body, headers=headers)
    assert 400 <= status < 500
    assert answer["code"] < 0


async def test_an_oversized_frame_ends_its_connection_only(sim: SimBinance, http: aiohttp.ClientSession) -> None:
    socket = await http.ws_connect(f"{sim.ws}/ws-api/v3")
    await socket.send_str("x" * 200_000)
    assert (await socket.receive(timeout=60)).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
    assert (await asked(http, "GET", f"{sim.http}/api/v3/ping")) == (200, {})
