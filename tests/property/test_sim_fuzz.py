"""Whatever is sent to the simulated exchanges, over HTTP or a WebSocket: an answer of theirs, and no fault of ours."""

import asyncio
import gc
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aiohttp import WSMsgType
from aiohttp.http_exceptions import HttpProcessingError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchanges.simulator.bybit import rest_account, rest_asset, rest_market, rest_trade
from tests.contract.sim_two_venues import SECOND_NS, TwoVenues, two_venues

PATIENCE_S = 60
START_NS = 1_790_000_000 * SECOND_NS
ENDPOINTS = [one for part in (rest_account, rest_asset, rest_market, rest_trade) for one in part.ENDPOINTS]
SOCKETS = (
    "/ws", "/stream", "/public/ws", "/market/stream", "/private/ws", "/ws-api/v3", "/ws-fapi/v1", "/v5/public/linear",
    "/v5/public/spot", "/v5/private", "/v5/trade",
)  # fmt: skip
quick = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

NAMES = st.sampled_from(
    ["category", "symbol", "side", "orderType", "qty", "price", "timeInForce", "orderId", "orderLinkId", "request",
     "coin", "chain", "address", "amount", "accountType", "cursor", "limit", "startTime", "baseCoin", "settleCoin",
     "transferId", "fromAccountType", "toAccountType", "timeWindow", "product", "buyLeverage", "sellLeverage", "mode",
     "interval", "openOnly", "feeType", "requestId", "reduceOnly", "marketUnit", "execType", "type", "currency",
     "method", "params", "id", "op", "args", "req_id", "reqId", "header", "apiKey", "signature", "timestamp"]
)  # fmt: skip
WORDS = st.sampled_from(
    ["linear", "spot", "inverse", "BTCUSDT", "Buy", "Limit", "Market", "1", "0", "-1", "0.01", "1e999", "NaN", "60000",
     "9" * 600, "GTC", "PostOnly", "USDT", "TRX", "UNIFIED", "FUND", "UTA", "page_token%3D1", "\ud800", "\x00", "",
     "SUBSCRIBE", "subscribe", "auth", "ping", "order.place", "order.create", "orderbook.50.BTCUSDT", "dcp.spot",
     "btcusdt@depth@100ms", "!ticker@arr", "SET_PROPERTY", "combined", "session.status", "2026-01-01"]
)  # fmt: skip
ATOMS = st.one_of(WORDS, st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=12))
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=5)),
    max_leaves=12,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=8)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[asyncio.Runner, TwoVenues]]:
    with asyncio.Runner() as runner:
        opened = two_venues(START_NS, rate=0.01)
        both = runner.run(opened.__aenter__())
        yield runner, both
        runner.run(opened.__aexit__(None, None, None))


class Faults(logging.Handler):
    """Exceptions that were logged, but for what a client sent that is no HTTP."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError):
            self.found.append(record.getMessage())


@contextmanager
def unharmed(both: TwoVenues, runner: asyncio.Runner) -> Iterator[None]:
    """Nothing was logged as a fault, and both venues answer afterwards."""
    faults = Faults()
    logging.getLogger().addHandler(faults)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(faults)
    assert faults.found == []
    assert runner.run(_alive(both)) == [200, 200]


async def _alive(both: TwoVenues) -> list[int]:
    return [(await both.http.get(path)).status for path in ("/api/v3/ping", "/v5/market/time")]


@quick
@given(st.lists(st.tuples(st.sampled_from(ENDPOINTS), OBJECTS), min_size=5, max_size=20))
def test_bybit_answers_any_json(served: tuple[asyncio.Runner, TwoVenues], requests: list[Any]) -> None:
    runner, both = served

    async def run() -> None:
        for endpoint, sent in requests:
            if endpoint.method == "GET":
                sent = {name: value for name, value in sent.items() if isinstance(value, str | int)}
                sent = {name: str(value).encode(errors="ignore").decode() for name, value in sent.items()}
            answer = await both.ask_bybit(endpoint.method, endpoint.path, **sent)
            assert answer.keys() == {"retCode", "retMsg", "result", "retExtInfo", "time"}
            # 10004: aiohttp spells some URLs another way than was signed.
            assert answer["retCode"] != 10016, (endpoint.path, sent)
        both.step(0.05)

    with unharmed(both, runner):
        runner.run(run())


LINES = st.one_of(
    st.binary(max_size=400),
    st.builds(
        lambda method, path, headers, body: b" ".join((method, path, b"HTTP/1.1\r\n")) + headers + b"\r\n" + body,
        st.sampled_from([b"GET", b"POST", b"DELETE", b"PUT", b"PATCH", b"BREW", b"CONNECT", b"get"]),
        st.sampled_from(
            [b"/api/v3/order", b"/fapi/v1/order?a=%ff%fe", b"/v5/order/create", b"/v5/%00", b"/ws/../api/v3/ping",
             b"//v5/private", b"*", b"/stream?streams=%", b"/v5/market/tickers?category=%u0041",
             b"/api/v3/klines?symbol=" + b"A" * 5_000, b"/" + b"a" * 20_000, b"/fapi/v1/\xff\xfe",
             b"http://other/api/v3/time"]
        ),
        st.sampled_from(
            [b"Host: x\r\n", b"Host: x\r\nContent-Length: 5\r\n", b"Host: x\r\nContent-Length: -1\r\n",
             b"Host: x\r\nTransfer-Encoding: chunked\r\n", b"Host: x\r\nX-MBX-APIKEY: \xff\r\n",
             b"Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n", b"Host: x\r\nX: " + b"y" * 30_000 + b"\r\n",
             b"Host: x\r\nX-BAPI-API-KEY: a\r\nX-BAPI-TIMESTAMP: 9e9\r\nX-BAPI-SIGN: \r\nX-BAPI-RECV-WINDOW: -\r\n",
             b"".join(b"h%d: 1\r\n" % one for one in range(300)), b"\x00: 1\r\n"]
        ),
        st.binary(max_size=60),
    ),
)  # fmt: skip


@quick
@given(st.lists(LINES, min_size=1, max_size=6))
def test_any_bytes_at_the_port_are_answered_by_the_client_s_fault(
    served: tuple[asyncio.Runner, TwoVenues], sent: list[bytes]
) -> None:
    runner, both = served

    async def run() -> None:
        for data in sent:
            answer = await asyncio.wait_for(_exchanged(both, data), PATIENCE_S)
            if answer:
                status = int(answer.split(b" ", 2)[1])
                assert status < 500, (data[:200], answer[:200])
                assert len(answer) < 100_000

    with unharmed(both, runner):
        runner.run(run())


async def _exchanged(both: TwoVenues, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(both.http.host, both.http.port)
    try:
        writer.write(data)
        # No more will come: an unfinished request is not waited for.
        writer.write_eof()
        return await reader.read(100_000)
    except ConnectionError:
        return b""
    finally:
        writer.close()


MESSAGES = st.one_of(
    st.text(max_size=60),
    st.binary(max_size=60),
    OBJECTS.map(lambda value: json.dumps(value)),
    VALUES.map(lambda value: json.dumps(value)),
    st.sampled_from(["[" * 30_000, '{"a":' * 5_000, "9" * 5_000, '{"id":' + "9" * 5_000 + "}"]),
)


@quick
@given(st.sampled_from(SOCKETS), st.lists(MESSAGES, min_size=1, max_size=4), st.booleans())
def test_any_message_on_any_socket_is_answered_or_ends_that_socket(
    served: tuple[asyncio.Runner, TwoVenues], path: str, messages: list[str | bytes], is_known: bool
) -> None:
    runner, both = served

    async def run() -> None:
        if path == "/v5/private" and is_known:
            socket = await both.private_bybit("order")
        else:
            socket = await both.http.ws_connect(path)
        for message in messages:
            if socket.closed:
                break
            send = socket.send_str if isinstance(message, str) else socket.send_bytes
            await send(message.encode(errors="ignore").decode() if isinstance(message, str) else message)
        await socket.ping()
        both.step(0.05)
        await socket.close()
        while (await socket.receive(timeout=PATIENCE_S)).type not in (WSMsgType.CLOSED, WSMsgType.CLOSE):
            pass
        assert socket.close_code not in (1011, 1006, None)

    with unharmed(both, runner):
        runner.run(run())


def test_thousands_of_strange_topics_and_requests_leave_nothing_behind(
    served: tuple[asyncio.Runner, TwoVenues],
) -> None:
    runner, both = served

    async def run() -> None:
        socket = await both.http.ws_connect("/v5/public/linear")
        for turn in range(300):
            topics = [f"orderbook.{turn}.X{number}" for number in range(10)] + [f"publicTrade.{turn}"]
            await socket.send_json({"op": "subscribe", "args": topics, "req_id": str(turn)})
            assert not (await socket.receive_json(timeout=PATIENCE_S))["success"]
        await socket.close()
        for turn in range(300):
            for path in (f"/v5/nothing/{turn}", f"/fapi/v1/nothing{turn}"):
                # Past the test's client, which keeps every answer.
                async with both.http.session.get(both.http.make_url(path)) as answer:
                    assert answer.status == 404

    before = _objects()
    with unharmed(both, runner):
        runner.run(run())
    assert _objects() - before < 2_000


def _objects() -> int:
    gc.collect()
    return len(gc.get_objects())
