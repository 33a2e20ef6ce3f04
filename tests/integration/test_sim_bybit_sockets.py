"""The simulated Bybit against clients that misbehave: its own words to each, and never a 500."""

import asyncio
import hashlib
import hmac
import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession, WSMsgType

from bot.clock import SystemClock
from exchanges.simulator.bybit.options import BybitOptions
from tests.integration.sim_bybit_server import UNLIMITED, serving

PATIENCE_S = 60


def now_ms():
    return SystemClock().now_ns() // 10**6


def sign(secret, text):
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def headers(server, payload, *, stamp=None, window="5000"):
    stamp = str(now_ms() if stamp is None else stamp)
    return {
        "X-BAPI-API-KEY": server.key, "X-BAPI-TIMESTAMP": stamp, "X-BAPI-RECV-WINDOW": window,
        "X-BAPI-SIGN": sign(server.secret, stamp + server.key + window + payload), "Content-Type": "application/json",
    }  # fmt: skip


@asynccontextmanager
async def talking(options=UNLIMITED, path=None):
    async with serving(options) as server, ClientSession() as session:
        if path is None:
            yield server, session
        else:
            async with session.ws_connect(server.ws + path) as socket:
                yield server, socket


async def ask(socket, message):
    await socket.send_str(message if isinstance(message, str) else json.dumps(message))
    return await hear(socket)


async def hear(socket, wanted=lambda message: "topic" not in message):
    async with asyncio.timeout(PATIENCE_S):
        while True:
            message = json.loads(await socket.receive_str())
            if wanted(message):
                return message


async def authenticate(server, socket, expires=None):
    until = now_ms() + 10_000 if expires is None else expires
    return await ask(
        socket, {"op": "auth", "args": [server.key, until, sign(server.secret, f"GET/realtime{until}")], "req_id": "a"}
    )


async def post(server, session, path, body, **options):
    text = body if isinstance(body, str) else json.dumps(body)
    async with session.post(server.http + path, data=text, headers=headers(server, text, **options)) as answer:
        assert answer.status == 200
        return await answer.json(), answer.headers


@pytest.mark.parametrize(
    "body",
    ["", "nonsense", "[]", "null", "[" * 50_000, '{"qty":NaN}', '{"category":["linear"]}', '{"category":"linear"}',
     '{"category":{"a":1},"symbol":3}', '{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Limit",'
     '"qty":"1' + "0" * 400 + '","price":"1"}', '{"a":' + "9" * 5000 + "}"],
)  # fmt: skip
async def test_bodies_that_mean_nothing_are_10001(body):
    async with talking() as (server, session):
        answer, _ = await post(server, session, "/v5/order/create", body)
        assert answer["retCode"] == 10001
        assert set(answer) == {"retCode", "retMsg", "result", "retExtInfo", "time"}


async def test_oversized_bodies_and_queries_are_refused():
    async with talking() as (server, session):
        answer, _ = await post(server, session, "/v5/order/create", json.dumps({"x": "y" * 200_000}))
        assert answer["retCode"] == 10001
        query = "&".join(f"a{n}=1" for n in range(300))
        async with session.get(f"{server.http}/v5/market/tickers?{query}") as refused:
            assert (await refused.json())["retCode"] == 10001


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v5/market/tickers", 10001),
        ("/v5/market/tickers?category=option", 10001),
        ("/v5/market/orderbook?category=linear&symbol=BTCUSDT&limit=100000", 10001),
        ("/v5/market/orderbook?category=linear&symbol=BTCUSDT&limit=x", 10001),
        ("/v5/market/orderbook?category=spot&symbol=%00", 170121),
        ("/v5/market/instruments-info?category=linear&cursor=page_token%3D-5", 10001),
        ("/v5/market/instruments-info?category=linear&cursor=page_token%253D0", 10001),
        ("/v5/market/kline?category=linear&symbol=BTCUSDT&interval=7", 10001),
        ("/v5/account/info", 10003),
    ],
)
async def test_queries_get_bybits_codes(path, code):
    async with talking() as (server, session), session.get(server.http + path) as answer:
        assert (answer.status, (await answer.json())["retCode"]) == (200, code)


async def test_paths_that_are_none_are_404():
    async with talking() as (server, session):
        for path in ("/v5/nothing", "/v5/public/option", "/v5/order/create"):
            async with session.get(server.http + path) as answer:
                assert answer.status == 404
        async with session.get(server.http + "/v5/private") as answer:
            assert answer.status == 400


async def test_time_windows_are_kept():
    async with talking() as (server, session):
        order = {"category": "linear", "symbol": "BTCUSDT"}
        for stamp in (now_ms() - 6_000, now_ms() + 3_000):
            answer, _ = await post(server, session, "/v5/order/cancel", order, stamp=stamp)
            assert answer["retCode"] == 10002
        late, _ = await post(server, session, "/v5/order/cancel", order, stamp=now_ms() - 6_000, window="20000")
        assert late["retCode"] == 10001  # past the gate: an order id is lacking
        text = '{"category": "linear"}'
        changed = headers(server, text)
        async with session.post(server.http + "/v5/order/cancel-all", data=text + " ", headers=changed) as answer:
            assert (await answer.json())["retCode"] == 10004


async def test_half_a_surrogate_pair_breaks_nothing():
    async with talking() as (server, session):
        answer, _ = await post(server, session, "/v5/order/cancel", '{"category":"linear","symbol":"\\ud800"}')
        assert answer["retCode"] == 10001
        signed = {**headers(server, ""), "X-BAPI-SIGN": "é"}
        async with session.get(server.http + "/v5/account/info", headers=signed) as answer:
            assert (await answer.json())["retCode"] == 10004


async def test_limits_are_told_and_kept():
    async with talking(BybitOptions()) as (server, session):
        body = {"category": "linear", "symbol": "BTCUSDT", "orderId": "x"}
        left = []
        while not left or left[-1][0] != 10006:
            answer, told = await post(server, session, "/v5/order/cancel", body)
            left.append((answer["retCode"], told["X-Bapi-Limit"], int(told["X-Bapi-Limit-Status"])))
            assert len(left) < 40
            reset = int(told["X-Bapi-Limit-Reset-Timestamp"])
        assert left[-1] == (10006, "10", 0)
        assert {code for code, _, _ in left} == {110001, 10006}
        assert now_ms() - 1_000 < reset <= now_ms() + 1_000


async def test_an_address_that_asks_too_often_is_banned():
    async with talking(BybitOptions(requests_per_ip=5)) as (server, session):
        statuses = []
        for _ in range(12):
            async with session.get(server.http + "/v5/market/time") as answer:
                statuses.append(answer.status)
        assert statuses[-2:] == [403, 403]
        assert statuses[:5] == [200] * 5


async def test_public_sockets_answer_as_documented():
    async with talking(path="/v5/public/spot") as (_, socket):
        assert (await ask(socket, {"op": "ping", "req_id": "\ud800"}))["req_id"] == "\ud800"
        pong = await ask(socket, {"op": "ping", "req_id": "7"})
        assert (pong["ret_msg"], pong["req_id"], pong["op"], pong["success"]) == ("pong", "7", "ping", True)
        done = await ask(socket, {"op": "subscribe", "req_id": "8", "args": ["orderbook.1.BTCUSDT"]})
        assert (done["success"], done["ret_msg"], done["req_id"]) == (True, "subscribe", "8")
        wrong = await ask(socket, {"op": "subscribe", "args": ["orderbook.1.BTCUSDT", "orderbook.3.BTCUSDT"]})
        assert (wrong["success"], wrong["ret_msg"]) == (False, "error:handler not found,topic:orderbook.3.BTCUSDT")
        many = await ask(socket, {"op": "subscribe", "args": ["tickers.BTCUSDT"] * 11})
        assert many["success"] is False
        for nonsense in ("x", "[]", "[" * 30_000, '{"op":["ping"]}', '{"op":"subscribe","args":[1]}', "{}"):
            assert (await ask(socket, nonsense))["success"] is False
        gone = await ask(socket, {"op": "unsubscribe", "args": ["orderbook.1.BTCUSDT"]})
        assert gone["success"] is True


async def test_frames_that_are_too_large_end_the_connection():
    async with talking(path="/v5/public/linear") as (_, socket):
        await socket.send_str("x" * 100_000)
        async with asyncio.timeout(PATIENCE_S):
            while (message := await socket.receive()).type is WSMsgType.TEXT:
                pass
        assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
        assert socket.close_code == 1009


async def test_depth_topics_rebuild_the_book_and_level_one_is_its_top():
    async with talking(path="/v5/public/linear") as (server, socket):
        await ask(socket, {"op": "subscribe", "args": ["orderbook.50.BTCUSDT", "orderbook.1.BTCUSDT"]})
        book, u, seen = {"b": {}, "a": {}}, None, 0
        while seen < 25:
            message = await hear(socket, lambda one: "topic" in one)
            data = message["data"]
            if message["topic"].startswith("orderbook.1."):
                assert message["type"] == "snapshot"
                assert list(message)[:3] == ["topic", "ts", "type"]
                continue
            assert u is None or data["u"] == u + 1
            u, seen = data["u"], seen + 1
            for side in "ba":
                if message["type"] == "snapshot":
                    book[side] = {}
                for price, size in data[side]:
                    if size == "0":
                        del book[side][price]
                    else:
                        book[side][price] = size
            assert len(book["b"]) == len(book["a"]) == 50
            assert max(map(float, book["b"])) < min(map(float, book["a"]))
        assert data["seq"] <= server.exchange.market.book_id(
            next(i for i, one in server.exchange.listings.items() if one.instrument.symbol == "BTC/USDT:USDT")
        )


async def test_private_sockets_answer_as_documented():
    async with talking(path="/v5/private") as (server, socket):
        assert (await ask(socket, {"op": "subscribe", "args": ["order"]}))["success"] is False
        assert (await authenticate(server, socket, now_ms() - 500))["success"] is False
        wrong = await ask(socket, {"op": "auth", "args": [server.key, now_ms() + 9_000, "0"]})
        assert wrong["success"] is False
        done = await authenticate(server, socket)
        assert (done["success"], done["ret_msg"], done["op"], done["req_id"]) == (True, "", "auth", "a")
        pong = await ask(socket, {"op": "ping", "req_id": "p"})
        assert (pong["op"], pong["req_id"]) == ("pong", "p")
        assert abs(int(pong["args"][0]) - now_ms()) < 5_000
        mixed = await ask(socket, {"op": "subscribe", "args": ["order", "order.linear"]})
        assert mixed["success"] is False
        unknown = await ask(socket, {"op": "subscribe", "args": ["orders"]})
        assert unknown["ret_msg"] == "error:handler not found,topic:orders"
        assert (await ask(socket, {"op": "subscribe", "args": ["order.spot", "execution.spot"]}))["success"] is True


async def test_results_come_after_the_acknowledgement_and_only_on_their_topic():
    options = BybitOptions(limit_factor=0, requests_per_ip=0, result_delay_s=0.05)
    async with talking(options) as (server, session), session.ws_connect(server.ws + "/v5/private") as socket:
        await authenticate(server, socket)
        await ask(socket, {"op": "subscribe", "args": ["order.spot"]})
        for category in ("linear", "spot"):
            order = {"category": category, "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "1"}
            order["qty"] = "0.01" if category == "linear" else "50"
            asked_ns = SystemClock().monotonic_ns()  # before the acknowledgement, which may be read late
            answer, _ = await post(server, session, "/v5/order/create", order)
        message = await hear(socket, lambda one: "topic" in one)
        assert SystemClock().monotonic_ns() - asked_ns > 0.03e9
        assert message["topic"] == "order.spot"
        assert message["data"][0]["orderId"] == answer["result"]["orderId"]
        assert "tpslMode" not in message["data"][0]


async def test_trade_sockets_answer_as_documented():
    async with talking(path="/v5/trade") as (server, socket):
        stamp = {"X-BAPI-TIMESTAMP": str(now_ms())}
        order = {"category": "linear", "symbol": "BTCUSDT", "orderId": "none"}
        request = {"reqId": "1", "header": stamp, "op": "order.cancel", "args": [order]}
        assert (await ask(socket, request))["retCode"] == 20001
        done = await authenticate(server, socket)
        assert (done["retCode"], done["retMsg"], done["op"]) == (0, "OK", "auth")
        assert (await authenticate(server, socket))["retCode"] == 20001
        answer = await ask(socket, request)
        assert (answer["retCode"], answer["reqId"], answer["op"]) == (110001, "1", "order.cancel")
        assert {"Traceid", "Timenow"} <= set(answer["header"])
        assert (await ask(socket, request))["retCode"] == 20006
        assert (await ask(socket, {**request, "reqId": "2", "op": "order.cook"}))["retCode"] == 10404
        option = {**request, "reqId": "3", "args": [{**order, "category": "option"}]}
        assert (await ask(socket, option))["retCode"] == 10404
        old = {**request, "reqId": "4", "header": {"X-BAPI-TIMESTAMP": str(now_ms() - 60_000)}}
        assert (await ask(socket, old))["retCode"] == 10002
        for number, args in enumerate(([], {}, [1], [order, order])):
            assert (await ask(socket, {**request, "reqId": f"n{number}", "args": args}))["retCode"] == 10001
        pong = await ask(socket, {"op": "ping"})
        assert pong["op"] == "pong"


async def test_idle_sockets_are_cut():
    options = BybitOptions(limit_factor=0, requests_per_ip=0, idle_s=0.1)
    async with talking(options, "/v5/private") as (_, socket):
        async with asyncio.timeout(PATIENCE_S):
            assert (await socket.receive()).type is WSMsgType.CLOSE


async def test_a_reader_that_is_too_slow_is_cut():
    options = BybitOptions(limit_factor=0, requests_per_ip=0, max_unsent=200_000, best_interval_ms=0)
    async with serving(options) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1_024)
        writer.write(
            b"GET /v5/public/linear HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        message = json.dumps({"op": "ping", "req_id": "x" * 20_000}).encode()
        mask = bytes((0x81, 0xFE)) + len(message).to_bytes(2, "big") + bytes(4)
        with pytest.raises(ConnectionError):
            await never_read(writer, mask + message)
        writer.close()
        assert not reader.at_eof()


async def never_read(writer, message):
    # 20 kB come back for each of these, until the server has had enough of it.
    async with asyncio.timeout(PATIENCE_S):
        while True:
            writer.write(message)
            await writer.drain()
            await asyncio.sleep(0)
