"""Connections that ask for nothing, and requests that are none, on raw sockets."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.clock import Clock, SystemClock, VirtualClock
from exchanges.simulator.malformed import Malformed
from exchanges.simulator.server import Address, SimulatorServer
from exchanges.simulator.visitors import Visitors

MAIN = Path(__file__).parents[2] / "main.py"
PATIENCE_S = 10.0
MOST = 20
PING = b"GET /api/v3/ping HTTP/1.1\r\nHost: x\r\n\r\n"
HALF_BODY = b"POST /fapi/v1/order HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsymbol=BTC"
Pipe = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Patience(VirtualClock):
    """The clock of the visitors, and of nothing else: a busy machine cannot use up the patience with them."""

    def pass_by(self, share: float) -> None:
        self.advance_to(self.now_ns() + round(share * PATIENCE_S * 1e9))


@asynccontextmanager
async def serving(
    patience: Clock, most: int = MOST, patience_s: float = PATIENCE_S, **more: Any
) -> AsyncIterator[Address]:
    visitors = Visitors(patience, most_per_source=most, patience_s=patience_s)
    server = SimulatorServer("calm", 3, SystemClock(), rate=0.1, visitors=visitors, **more)
    address = await server.start(0)
    stop = asyncio.Event()
    running = asyncio.create_task(server.run(stop))
    try:
        yield address
    finally:
        stop.set()
        await running


async def connect(address: Address, text: bytes = b"") -> Pipe:
    reader, writer = await asyncio.open_connection("127.0.0.1", address.port)
    writer.write(text)
    return reader, writer


async def can_ask(address: Address) -> bool:
    """Whether a newcomer is answered."""
    pipe = await connect(address)
    try:
        return await is_answered(pipe)
    finally:
        pipe[1].close()


async def is_ended(pipe: Pipe, within_s: float = 60.0) -> bool:
    """Whether the other side ends it; what it says before is read."""
    try:
        async with asyncio.timeout(within_s):
            while await pipe[0].read(65_536):
                pass
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


async def is_answered(pipe: Pipe) -> bool:
    try:
        pipe[1].write(PING)
        return b"200 OK" in await asyncio.wait_for(pipe[0].readuntil(b"{}"), 60)
    except (ConnectionError, asyncio.IncompleteReadError):
        return False


@pytest.mark.parametrize(
    "text", [b"", b"GET /api/v3/pi", PING[:-2], HALF_BODY], ids=["nothing", "line", "head", "body"]
)
async def test_who_sends_no_whole_request_is_cut_off(text: bytes) -> None:
    patience = Patience()
    async with serving(patience) as address:
        pipe = await connect(address, text)
        assert await can_ask(address), "and what came before has been read"
        patience.pass_by(0.9)
        assert not await is_ended(pipe, 0.1)
        patience.pass_by(0.2)
        assert await is_ended(pipe)
        pipe[1].close()


async def test_who_dribbles_is_cut_off_all_the_same() -> None:
    patience = Patience()
    async with serving(patience) as address:
        pipe = await connect(address)
        assert await can_ask(address)
        for letter in HALF_BODY[:25]:
            pipe[1].write(bytes([letter]))
            assert await can_ask(address)
            patience.pass_by(0.05)
        assert await is_ended(pipe)
        pipe[1].close()


async def test_who_has_asked_may_stay_and_ask_again() -> None:
    patience = Patience()
    async with serving(patience) as address:
        pipe = await connect(address)
        assert await is_answered(pipe)
        patience.pass_by(2)
        assert await is_answered(pipe)
        pipe[1].close()


async def test_a_body_that_takes_its_time_within_bounds_is_read() -> None:
    patience = Patience()
    async with serving(patience) as address:
        pipe = await connect(address, HALF_BODY)
        assert await can_ask(address)
        patience.pass_by(0.9)
        pipe[1].write(b"&" * 90)
        assert b"-2014" in await asyncio.wait_for(pipe[0].readuntil(b"}"), 60)
        pipe[1].close()


async def test_an_answer_may_take_longer_than_a_request() -> None:
    patience = Patience()
    async with serving(patience) as address, aiohttp.ClientSession() as session:
        orders = {"fault": "latency", "venue": "binance", "match": "order", "amount": 600, "for_s": 60}
        key = {"Authorization": f"Bearer {address.credentials.secret}"}
        async with session.post(f"{address.url}/control/faults", json=orders, headers=key) as answer:
            assert answer.status == 200, await answer.text()
        asking = asyncio.create_task(session.post(f"{address.url}/fapi/v1/order", data={"symbol": "BTCUSDT"}))
        assert await can_ask(address), "and the order has been read"
        patience.pass_by(2)
        async with await asking as answer:
            assert (await answer.json())["code"] == -2014


async def test_a_stream_stays_open_and_is_never_pushed_out() -> None:
    patience = Patience()
    async with serving(patience, most=3) as address, aiohttp.ClientSession() as session:
        socket = await session.ws_connect(f"{address.ws_url}/public/ws/btcusdt@bookTicker")
        async with socket:
            crowd = [await connect(address) for _ in range(10)]
            assert await can_ask(address)
            patience.pass_by(2)
            async with asyncio.timeout(60):
                for _ in range(3):
                    assert (await socket.receive()).type is aiohttp.WSMsgType.TEXT
            for pipe in crowd:
                pipe[1].close()


@pytest.mark.parametrize("text", [b"", b"GET /api", HALF_BODY, PING], ids=["nothing", "line", "body", "idle"])
async def test_a_crowd_that_asks_for_nothing_makes_room_for_who_does(text: bytes) -> None:
    async with serving(Patience()) as address:
        crowd = [await connect(address, text) for _ in range(MOST * 3)]
        for _ in range(3):
            assert await can_ask(address)
        ends = [asyncio.create_task(is_ended(pipe)) for pipe in crowd]
        for ended in islice(asyncio.as_completed(ends), MOST * 2):
            assert await ended, "the crowd itself was cut to size"
        for end in ends:
            end.cancel()
        for pipe in crowd:
            pipe[1].close()


async def test_where_all_are_served_the_next_one_is_refused_until_one_leaves() -> None:
    async with serving(Patience(), most=3) as address, aiohttp.ClientSession() as session:
        sockets = [await session.ws_connect(f"{address.ws_url}/ws/btcusdt@trade") for _ in range(3)]
        assert not await can_ask(address)
        await sockets.pop().close()
        async with asyncio.timeout(60):
            while not await can_ask(address):
                await asyncio.sleep(0.01)
        for socket in sockets:
            await socket.close()


# What is no HTTP

NO_HTTP = (
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    b"POST /fapi/v1/order HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
)


async def test_malformed_requests_are_counted_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    async with serving(SystemClock(), patience_s=1.0, log=told.append) as address:
        for _ in range(3):
            for text in NO_HTTP:
                pipe = await connect(address, text)
                assert await is_ended(pipe)
                pipe[1].close()
        key = {"Authorization": f"Bearer {address.credentials.secret}"}
        async with (
            aiohttp.ClientSession(headers=key) as session,
            session.get(f"{address.url}/control/status") as answer,
        ):
            count = (await answer.json())["malformed_requests"]
    assert count >= 9
    assert [one for one in told if "malformed" in one] == [told[0]]
    assert told[0].startswith("a malformed HTTP request was refused (the last: BadStatusLine)")
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []


async def test_a_mistake_of_ours_is_logged_with_its_traceback(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SystemClock()
    server = SimulatorServer("calm", 3, clock)

    def fail(*_: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(server._binance_server.gateway.desk, "meter", fail)
    address = await server.start(0)
    async with aiohttp.ClientSession() as session, session.get(f"{address.url}/api/v3/ping") as answer:
        assert answer.status == 500
    await server.close()
    (record,) = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "a mistake of ours"


def test_a_line_a_minute_says_how_many_there_were() -> None:
    clock, told = VirtualClock(), []
    malformed = Malformed(clock, told.append)
    logger = malformed.logger()
    error = aiohttp.http_exceptions.BadStatusLine("\x1b[31mGET")
    for second in (0, 1, 59, 60, 61, 125):
        clock.advance_to(second * 1_000_000_000)
        logger.error("Error handling request", exc_info=error)
    assert [one.split(" (")[0] for one in told] == [
        "a malformed HTTP request was refused",
        "3 malformed HTTP requests were refused",
        "2 malformed HTTP requests were refused",
    ]
    assert malformed.count == 6
    assert not any("GET" in one for one in told), "nothing of what the client sent"


def test_the_process_writes_no_traceback() -> None:
    process = subprocess.Popen(
        [sys.executable, str(MAIN), "--mode", "simulate", "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().split('"url": "http://127.0.0.1:')[1].split('"')[0])

        async def send() -> None:
            for text in NO_HTTP * 2:
                pipe = await asyncio.open_connection("127.0.0.1", port)
                pipe[1].write(text)
                assert await is_ended(pipe, 20)
                pipe[1].close()

        asyncio.run(send())
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=20)
    assert "Traceback" not in errors
    assert errors.count("malformed") == 1
