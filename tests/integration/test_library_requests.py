"""Requests that python-binance and pybit form and sign, and what both do when they are left to send them themselves."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pybit.exceptions import FailedRequestError
from pybit.unified_trading import HTTP
from pydantic import SecretStr

from bot.clock import SystemClock
from bot.domain.instrument import Feed, Segment
from bot.errors import RateLimited, SettingsError
from exchanges.binance.library import AsyncClient
from exchanges.binance.library_rest import LibraryRest as BinanceLibrary
from exchanges.binance.signed_rest import SignedRest as BinanceRest
from exchanges.bybit.library_rest import LibraryRest as BybitLibrary
from exchanges.bybit.signed_rest import SignedRest as BybitRest
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.signing_hosts import SigningHosts
from exchanges.common.requests.venue_http import VenueHttp

KEY, SECRET = "canary-key-of-a-library", "canary-secret-of-a-library"
ELSEWHERE = SigningHosts.of(["https://api.binance.com", "https://api.bybit.com"])
TOO_MANY = {"retCode": 10006, "retMsg": "Too many visits", "result": {}, "time": 1}


def keys(hosts: SigningHosts | None = None) -> ApiKeys:
    bound = {} if hosts is None else {"hosts": hosts}
    return ApiKeys(key=SecretStr(KEY), secret=SecretStr(SECRET), **bound)


@contextlib.asynccontextmanager
async def venue(answer: Callable[[], web.Response]) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that answers everything the same; its address, and what it was asked for."""
    seen: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(f"{request.method} {request.path_qs} {dict(request.headers)} {await request.text()}")
        return answer()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", seen
    finally:
        await runner.cleanup()


def too_many() -> web.Response:
    return web.json_response(
        TOO_MANY, headers={"X-Bapi-Limit-Reset-Timestamp": str(SystemClock().now_ns() // 1_000_000 + 100)}
    )


async def test_pybit_by_itself_sends_an_order_again_and_loses_the_code() -> None:
    """The defect that its requests are sent by `VenueHttp` for."""
    async with venue(too_many) as (url, seen):
        client: Any = HTTP(api_key=KEY, api_secret=SECRET)
        client.endpoint = url

        def order() -> Any:
            return client.place_order(category="spot", symbol="BTCUSDT", side="Buy", orderType="Market", qty="1")

        with pytest.raises(FailedRequestError) as told:
            await asyncio.to_thread(order)
        assert len(seen) == 3
        assert told.value.status_code == 400


async def test_the_same_order_through_our_seam_leaves_once_and_keeps_its_code() -> None:
    clock = SystemClock()
    async with venue(too_many) as (url, seen):
        http = VenueHttp("bybit", clock)
        http.open()
        rest = BybitRest(url, keys(), http, clock)
        with pytest.raises(RateLimited, match="10006"):
            await rest.place("once", {"category": "spot", "symbol": "BTCUSDT", "qty": "1", "orderLinkId": "once"})
        await http.close()
    assert len(seen) == 1
    assert "X-BAPI-SIGN" in seen[0]
    assert '"orderLinkId": "once"' in seen[0]


async def test_python_binance_by_itself_signs_for_whatever_host_it_is_pointed_at() -> None:
    """And lets out an error that holds the signature."""
    async with venue(lambda: web.Response(text="<html>", content_type="text/html")) as (url, seen):
        client: Any = AsyncClient(KEY, SECRET)
        client.API_URL = f"{url}/api"
        try:
            with pytest.raises(aiohttp.ContentTypeError) as told:
                await client.get_open_orders(symbol="BTCUSDT")
        finally:
            await client.close_connection()
    assert len(seen) == 1
    assert "signature=" in str(told.value.request_info.real_url)


@pytest.mark.parametrize("name", ["binance", "bybit"])
async def test_no_library_signs_for_a_host_that_is_not_the_keys(name: str) -> None:
    clock = SystemClock()
    async with venue(lambda: web.Response(text="{}")) as (url, seen):
        http = VenueHttp(name, clock, hosts=ELSEWHERE)
        http.open()
        with pytest.raises(SettingsError, match="refused to sign"):
            BinanceRest(Feed(venue=name, segment=Segment.SPOT), url, keys(ELSEWHERE), http, clock)
        with pytest.raises(SettingsError, match="refused to sign"):
            BybitRest(url, keys(ELSEWHERE), http, clock)
        with pytest.raises(SettingsError, match="refused to sign"):
            await http.request("POST", url, {}, b"", 1.0)
        await http.close()
    assert not seen


def test_pybit_stamps_with_the_venues_time_and_adds_nothing_of_its_own() -> None:
    formed = BybitLibrary(SecretStr(KEY), SecretStr(SECRET), lambda: 1_700_000_000_123).formed(
        "POST", "http://127.0.0.1:1/v5/order/create", {"symbol": "BTCUSDT", "reduceOnly": True}, 1_000
    )
    assert formed.headers["X-BAPI-TIMESTAMP"] == "1700000000123"
    assert formed.headers["X-BAPI-RECV-WINDOW"] == "1000"
    assert json.loads(formed.body or b"") == {"symbol": "BTCUSDT", "reduceOnly": True}
    assert not {"referer", "connection"} & {name.lower() for name in formed.headers}


async def test_python_binance_adds_no_name_of_a_broker_to_an_order() -> None:
    library = BinanceLibrary(SecretStr(KEY), SecretStr(SECRET))
    now_ms = SystemClock().now_ns() // 1_000_000 + 3_600_000
    url = "http://127.0.0.1:1/api/v3/order"
    formed = await library.formed("POST", url, {"symbol": "BTCUSDT", "newClientOrderId": "ours"}, 1_000, now_ms)
    text = (formed.body or b"").decode()
    assert "newClientOrderId=ours" in text
    assert "recvWindow=1000" in text
    assert "x-" not in text
    stamp = int(text.partition("timestamp=")[2].partition("&")[0])
    assert abs(stamp - now_ms) < 60_000, "the venue's time, an hour ahead of ours"
    assert formed.headers["X-MBX-APIKEY"] == KEY
