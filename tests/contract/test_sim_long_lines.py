"""URLs and headers that no exchange takes: refused in the exchange's words, and nothing grows by them."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from bot.clock import SystemClock
from exchanges.simulator.server import Address, SimulatorServer


@pytest.fixture
async def address() -> AsyncIterator[Address]:
    server = SimulatorServer("calm", 3, SystemClock())
    yield await server.start(0)
    await server.close()


async def raw(address: Address, target: str, header: str = "x") -> tuple[int, str]:
    """Status and body of a request that is written as it stands."""
    reader, writer = await asyncio.open_connection("127.0.0.1", address.port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: {header}\r\n\r\n".encode())
    head, _, body = (await asyncio.wait_for(reader.read(100_000), 60)).decode().partition("\r\n\r\n")
    writer.close()
    return int(head.split(" ")[1]), body


async def test_binance_answers_with_a_page(address: Address) -> None:
    status, body = await raw(address, "/api/v3/klines?symbol=" + "A" * 9_000)
    assert (status, "414 Request-URI Too Large" in body) == (414, True)
    status, body = await raw(address, "/fapi/v1/ping", "y" * 9_000)
    assert (status, "400 Request Header Too Large" in body) == (400, True)


async def test_bybit_answers_10001(address: Address) -> None:
    for target, header in (("/v5/market/time?a=" + "A" * 9_000, "x"), ("/v5/market/time", "y" * 9_000)):
        status, body = await raw(address, target, header)
        assert (status, json.loads(body)["retCode"]) == (200, 10001)


async def test_what_is_longer_still_is_cut_off(address: Address) -> None:
    for target, header in (("/api/v3/ping?" + "A" * 70_000, "x"), ("/v5/market/time", "y" * 70_000)):
        status, body = await raw(address, target, header)
        assert (status, len(body) < 1_000) == (400, True)


async def test_what_is_just_short_enough_is_answered(address: Address) -> None:
    assert (await raw(address, "/api/v3/ping?" + "A" * 8_000, "y" * 8_000))[0] == 200
