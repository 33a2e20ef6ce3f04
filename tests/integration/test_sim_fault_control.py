"""The control endpoint over real HTTP: orders, lists and ends faults for whoever knows the API secret."""

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bot.clock import SystemClock
from exchanges.simulator.faults.catalogue import CATALOGUE, FaultKind
from exchanges.simulator.faults.schedule import FaultPlan
from exchanges.simulator.faults.values import Fault
from exchanges.simulator.server import SimulatorServer

JSON = {"Content-Type": "application/json"}
GAP = {"fault": "gap", "venue": "bybit", "segment": "linear", "at_s": 600, "for_s": 5, "match": "BTC", "amount": 7}


class Client:
    def __init__(self, session: aiohttp.ClientSession, url: str, secret: str, server: SimulatorServer) -> None:
        self.session, self.url, self.server = session, url, server
        self.headers = {"Authorization": f"Bearer {secret}"}

    async def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        more.setdefault("headers", self.headers | (JSON if body is not None else {}))
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        async with self.session.request(method, f"{self.url}/control{path}", data=data, **more) as response:
            return response.status, await response.json()


@contextlib.asynccontextmanager
async def control(plan: FaultPlan | None = None, scenario: str = "calm") -> AsyncIterator[Client]:
    server = SimulatorServer(scenario, 3, SystemClock(), plan=plan or FaultPlan(), rate=0.2)
    address = await server.start(0)
    stop = asyncio.Event()
    running = asyncio.create_task(server.run(stop))
    try:
        async with aiohttp.ClientSession() as session:
            yield Client(session, address.url, address.credentials.secret, server)
    finally:
        stop.set()
        await running


async def test_a_fault_is_ordered_listed_and_ended() -> None:
    async with control() as ask:
        assert await ask("POST", "/faults", GAP) == (200, {"numbers": [1]})
        two = [{"fault": "gap", "venue": "binance"}, {"fault": "clock-drift", "venue": "bybit", "at_s": 9}]
        assert await ask("POST", "/faults", two) == (200, {"numbers": [2, 3]})
        status, listed = await ask("GET", "/faults")
        assert status == 200
        assert [(one["number"], one["state"]) for one in listed["faults"]] == [
            (1, "waiting"),
            (2, "active"),
            (3, "waiting"),
        ]
        assert listed["faults"][0] == {"number": 1, "state": "waiting", "struck": 0, "order": GAP}
        assert await ask("DELETE", "/faults/1") == (200, {"ended": [1]})
        status, told = await ask("DELETE", "/faults/1")
        assert (status, told) == (404, {"error": "no fault 1 waits or is active"})
        assert await ask("DELETE", "/faults") == (200, {"ended": [2, 3]})
        assert await ask("DELETE", "/faults") == (200, {"ended": []})
        assert ask.server.faults.is_quiet


async def test_a_fault_ordered_so_strikes_the_clients_of_the_exchange() -> None:
    async with control() as ask:
        order = {"fault": "http-503", "venue": "binance", "match": "/fapi/v1/time", "for_s": 60}
        await ask("POST", "/faults", order)
        async with ask.session.get(f"{ask.url}/fapi/v1/time") as response:
            assert response.status == 503
        _, listed = await ask("GET", "/faults")
        assert listed["faults"][0]["struck"] == 1
        await ask("DELETE", "/faults/1")
        async with ask.session.get(f"{ask.url}/fapi/v1/time") as response:
            assert response.status == 200


@pytest.mark.parametrize("kind", ["maintenance", "http-418", "http-451", "silence", "latency", "lost-answer"])
async def test_no_fault_keeps_its_own_end_from_being_ordered(kind: str) -> None:
    async with control() as ask:
        amount = {"amount": 600_000} if kind == "latency" else {}
        orders = [{"fault": kind, "venue": venue, "for_s": 600, **amount} for venue in ("binance", "bybit")]
        async with asyncio.timeout(60):
            assert await ask("POST", "/faults", orders) == (200, {"numbers": [1, 2]})
            assert (await ask("GET", "/status"))[0] == 200
            assert await ask("DELETE", "/faults") == (200, {"ended": [1, 2]})
        for path in ("/api/v3/time", "/fapi/v1/time", "/v5/market/time"):
            async with ask.session.get(ask.url + path) as response:
                assert response.status == 200


async def test_the_catalogue_is_told() -> None:
    async with control() as ask:
        status, told = await ask("GET", "/catalogue")
        assert status == 200
        assert {one["fault"] for one in told["catalogue"]} == set(CATALOGUE)
        gap = next(one for one in told["catalogue"] if one["fault"] == "gap")
        assert (gap["for_s"], gap["amount"], gap["unit"]) == (10.0, 10, "frames")


async def test_the_status_tells_the_day_and_who_is_connected() -> None:
    async with control(scenario="chaos") as ask:
        async with ask.session.ws_connect(ask.url + "/public/ws"), ask.session.ws_connect(ask.url + "/v5/public/spot"):
            status, told = await ask("GET", "/status")
            assert status == 200
            assert (told["scenario"], told["seed"], told["faults_per_hour"]) == ("chaos", 3, 120.0)
            assert told["connections"] == {"binance": 1, "bybit": 1}
            assert 0 <= told["uptime_s"] < 60
            assert abs(told["now_ms"] - SystemClock().now_ns() / 1e6) < 60_000
            assert len(told["schedule"]) > 50
            assert {"at_s", "fault", "venue"} <= told["schedule"][0].keys()
        async with asyncio.timeout(60):
            while (await ask("GET", "/status"))[1]["connections"] != {"binance": 0, "bybit": 0}:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("shown", ["", "Bearer", "Bearer x", "Basic {secret}", "bearer {secret}", "Bearer {secret}x"])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/faults"), ("POST", "/faults"), ("DELETE", "/faults"), ("GET", "/nothing")]
)
async def test_nobody_is_answered_without_the_secret(method: str, path: str, shown: str) -> None:
    async with control() as ask:
        secret = ask.headers["Authorization"].removeprefix("Bearer ")
        headers = JSON | {"Authorization": shown.format(secret=secret)}
        status, told = await ask(method, path, GAP if method == "POST" else None, headers=headers)
        assert (status, list(told)) == (401, ["error"])
        assert secret not in told["error"]
        assert not ask.server.faults.orders


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "json"])
async def test_what_a_page_in_a_browser_can_send_orders_nothing(kind: str) -> None:
    async with control() as ask:
        status, told = await ask("POST", "/faults", GAP, headers=ask.headers | {"Content-Type": kind})
        assert (status, list(told)) == (415, ["error"])
        assert not ask.server.faults.orders


BAD: list[tuple[Any, str]] = [
    (b"", "not JSON"),
    (b"{", "not JSON"),
    (b"\xff\xfe", "not JSON"),
    (b'{"fault": "gap", "venue": "bybit", "at_s": NaN}', "not JSON"),
    (b"[" * 30_000, "not JSON"),
    (b'{"fault": "gap", "venue": "bybit", "match": "\\ud800"}', "not JSON"),
    (b'{"fault": "gap", "venue": "bybit", "count": 1' + b"0" * 5_000 + b"}", ""),
    (b'{"fault": "gap", "venue": "bybit", "at_s": 1e999}', ""),
    (None, "not JSON"),
    ([], "one fault as an object"),
    ("gap", "one fault as an object"),
    (3, "one fault as an object"),
    ([GAP, 3], "one fault as an object"),
    ({}, "fault: Field required"),
    (GAP | {"fault": "gab"}, "fault: Input should be"),
    (GAP | {"venue": "kraken"}, "has no gap"),
    (GAP | {"venue": ["bybit"]}, "venue"),
    (GAP | {"at_s": -1}, "at_s"),
    (GAP | {"match": "x" * 101}, "match"),
    (GAP | {"\x1b[31m" + "x" * 5_000: 1}, "Extra inputs"),
    ([GAP, GAP | {"count": 0}], "count"),
]


async def test_bad_orders_are_answered_and_nothing_is_ordered() -> None:
    async with control() as ask:
        for body, says in BAD:
            status, told = await ask("POST", "/faults", body, headers=ask.headers | JSON)
            assert status == 400, body
            assert list(told) == ["error"]
            assert len(told["error"]) <= 300
            assert told["error"].isprintable()
            if "x" * 5_000 not in str(body):
                assert says in told["error"]
        assert not ask.server.faults.orders


async def test_bodies_and_orders_are_bounded() -> None:
    async with control() as ask:
        status, told = await ask("POST", "/faults", b" " * 70_000)
        assert (status, list(told)) == (413, ["error"])
        packed = ask.headers | JSON | {"Content-Encoding": "gzip"}
        status, told = await ask("POST", "/faults", gzip.compress(json.dumps(GAP).encode()), headers=packed)
        assert (status, list(told)) == (400, ["error"]), "what is not unpacked cannot swell"
        one = {"fault": "gap", "venue": "bybit", "at_s": 600}
        assert (await ask("POST", "/faults", [one] * 999))[0] == 200
        status, told = await ask("POST", "/faults", [one] * 2)
        assert status == 400
        assert "999 faults wait or are active" in told["error"]
        assert (await ask("POST", "/faults", one))[0] == 200
        assert (await ask("POST", "/faults", one))[0] == 400
        await ask("DELETE", "/faults")
        assert (await ask("POST", "/faults", one))[0] == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/"),
        ("GET", "/nothing"),
        ("PUT", "/faults"),
        ("OPTIONS", "/faults"),
        ("GET", "/faults/1"),
        ("DELETE", "/faults/x"),
        ("DELETE", "/faults/-1"),
        ("DELETE", "/faults/" + "9" * 30),
        ("POST", "/status"),
    ],
)
async def test_what_is_not_there_is_told_in_json(method: str, path: str) -> None:
    async with control() as ask:
        status, told = await ask(method, path)
        assert (status, list(told)) == (404, ["error"])


async def test_planned_faults_begin_with_the_server_and_end_with_it() -> None:
    drift = Fault(fault=FaultKind.CLOCK_DRIFT, venue="bybit", for_s=600, amount=5_000)
    later = Fault(fault=FaultKind.GAP, venue="bybit", at_s=600)
    undone = asyncio.Event()
    async with control(FaultPlan([drift, later], per_hour=1000)) as ask:
        faults = ask.server.faults
        faults.on(FaultKind.SILENCE, lambda _: undone.set)
        assert [ordered.state for ordered in faults.orders] == ["active", "waiting"]
        await ask("POST", "/faults", {"fault": "silence", "venue": "bybit", "for_s": 600})
    assert undone.is_set()
    assert {ordered.state for ordered in faults.orders} == {"ended"}


@pytest.mark.parametrize("path", ["/control/faults", "/fapi/v1/order", "/v5/order/create"])
@pytest.mark.parametrize("body", [b"zz\r\nhello\r\n0\r\n\r\n", b"5\r\n{"])
async def test_who_breaks_a_request_off_leaves_nothing_in_the_log(
    path: str, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with control() as ask:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(ask.url.rpartition(":")[2]))
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {ask.headers['Authorization']}\r\n"
        writer.write(f"{head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        await writer.drain()
        assert (await ask("GET", "/status"))[0] == 200  # by now the head has been read
        writer.write(body)
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 60)
        writer.close()
        assert (await ask("GET", "/status"))[0] == 200
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
