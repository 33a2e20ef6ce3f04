"""Instruments and time through the real python-binance client, asked of a server on this machine."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.domain.instrument import Feed
from bot.errors import (
    AuthenticationFailed,
    Banned,
    BotError,
    ClockSkew,
    GeoBlocked,
    RateLimited,
    SettingsError,
    VenueError,
    VenueUnavailable,
)
from bot.settings import EndpointSettings, Settings
from exchanges.binance.metadata import connected
from exchanges.binance.venue import BinanceVenue

SPOT, LINEAR, INVERSE = (Feed.parse(f"binance.{segment}") for segment in ("spot", "linear", "inverse"))


def row(symbol: str, base: str, quote: str, **more: Any) -> dict[str, Any]:
    rules = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
        {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001"},
        {"filterType": "MIN_NOTIONAL", "notional": "50"},
    ]
    return {"symbol": symbol, "status": "TRADING", "baseAsset": base, "quoteAsset": quote, "filters": rules} | more


LINEAR_ROWS = [
    row("BTCUSDT", "BTC", "USDT", marginAsset="USDT", contractType="PERPETUAL"),
    row("ETHUSDT", "ETH", "USDT", marginAsset="USDT", contractType="PERPETUAL"),
    row("LUNAUSDT", "LUNA", "USDT", marginAsset="USDT", contractType="PERPETUAL", status="SETTLING"),
    {"symbol": "NEITHER UNDERSTOOD NOR WANTED"},
]
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def says(body: Any, status: int = 200, **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status, headers=headers)

    return answer


@asynccontextmanager
async def binance(**paths: Answer) -> AsyncIterator[tuple[Settings, list[str]]]:
    """A server that knows `paths` (`fapi_v1_time`) and tells which it was asked for."""
    asked: list[str] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        answer = paths.get(request.path.strip("/").replace("/", "_"))
        return web.Response(status=404) if answer is None else await answer(request)

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    async with TestServer(app) as server:
        here = EndpointSettings(rest_url=str(server.make_url("/")))
        yield Settings(venues={"binance": {"spot": here, "linear": here}}), asked


async def test_linear_instruments_without_a_word_to_spot() -> None:
    async with binance(fapi_v1_exchangeInfo=says({"symbols": LINEAR_ROWS})) as (settings, asked):
        found = await BinanceVenue().instruments(LINEAR, ["BTC/USDT:USDT", "ETH/USDT:USDT"], settings)
    assert {symbol: one.symbol for symbol, one in found.items()} == {
        "BTCUSDT": "BTC/USDT:USDT",
        "ETHUSDT": "ETH/USDT:USDT",
    }
    assert found["BTCUSDT"].tick_size == Decimal("0.1")
    assert asked == ["/fapi/v1/exchangeInfo"]


async def test_spot_instruments() -> None:
    rows = [row("BTCUSDT", "BTC", "USDT")]
    async with binance(api_v3_exchangeInfo=says({"symbols": rows})) as (settings, asked):
        found = await BinanceVenue().instruments(SPOT, ["BTC/USDT"], settings)
    assert found["BTCUSDT"].settle is None
    assert asked == ["/api/v3/exchangeInfo"]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("BTCC/USDT:USDT", "has no BTCC/USDT:USDT .* BTCUSDT"),
        ("LUNA/USDT:USDT", "status SETTLING"),
        ("BTC/USDT", "write it like BTC/USDT:USDT"),
    ],
)
async def test_a_wanted_instrument_that_cannot_be_had_is_named(wanted: str, words: str) -> None:
    async with binance(fapi_v1_exchangeInfo=says({"symbols": LINEAR_ROWS})) as (settings, _):
        with pytest.raises(SettingsError, match=words):
            await BinanceVenue().instruments(LINEAR, [wanted], settings)


@pytest.mark.parametrize("strange", [{"symbol": "BTCUSDT"}, row("BTCUSDT", "BTC", "USDT") | {"filters": []}])
async def test_a_row_that_is_not_understood_is_the_venues_fault(strange: dict[str, Any]) -> None:
    async with binance(fapi_v1_exchangeInfo=says({"symbols": [strange]})) as (settings, _):
        with pytest.raises(VenueUnavailable, match="BTCUSDT"):
            await BinanceVenue().instruments(LINEAR, ["BTC/USDT:USDT"], settings)


async def test_the_time_of_each_segment() -> None:
    times = {"fapi_v1_time": says({"serverTime": 1_700_000_000_123}), "api_v3_time": says({"serverTime": 7})}
    async with binance(**times) as (settings, asked):
        async with connected(LINEAR, settings) as rest:
            assert await rest.server_time_ms() == 1_700_000_000_123
        async with connected(SPOT, settings) as rest:
            assert await rest.server_time_ms() == 7
    assert asked == ["/fapi/v1/time", "/api/v3/time"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (says({"code": 0, "msg": "restricted location"}, 451), GeoBlocked),
        (says({"code": -1003, "msg": "too many"}, 429, **{"Retry-After": "17"}), RateLimited),
        (says({"code": -1003, "msg": "banned"}, 418, **{"Retry-After": "120"}), Banned),
        (says({"code": -1003, "msg": "too many"}, 400), RateLimited),
        (says({}, 403), Banned),
        (says({"code": -2015, "msg": "no"}, 400), AuthenticationFailed),
        (says({"code": -2014, "msg": "no"}, 401), AuthenticationFailed),
        (says({"code": -1021, "msg": "recvWindow"}, 400), ClockSkew),
        (says({"code": -1121, "msg": "Invalid symbol."}, 400), VenueError),
        (says({"code": -1000, "msg": "x"}, 503), VenueUnavailable),
        (says([], 500), VenueUnavailable),
        (says({}, 302, Location="http://127.0.0.1:1/"), VenueError),
        (says({"unexpected": True}), VenueUnavailable),
        (says([1]), VenueUnavailable),
    ],
)
async def test_refusals_are_told_apart_by_status_and_code(answer: Answer, kind: type[BotError]) -> None:
    async with binance(fapi_v1_time=answer) as (settings, asked), connected(LINEAR, settings) as rest:
        with pytest.raises(VenueError) as caught:
            await rest.server_time_ms()
    assert type(caught.value) is kind
    assert asked == ["/fapi/v1/time"]


async def test_how_long_to_wait_is_read_from_the_answer() -> None:
    answer = says({"code": -1003, "msg": "banned"}, 418, **{"Retry-After": "120"})
    async with binance(fapi_v1_time=answer) as (settings, _), connected(LINEAR, settings) as rest:
        with pytest.raises(Banned) as caught:
            await rest.server_time_ms()
    assert caught.value.retry_after_s == 120.0


async def test_a_page_that_is_not_json_and_a_dropped_request() -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>\x1b[2Jmaintenance</html>", content_type="text/html", status=502)

    async def drop(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    for answer in (page, drop):
        async with binance(fapi_v1_time=answer) as (settings, _), connected(LINEAR, settings) as rest:
            with pytest.raises(VenueUnavailable) as caught:
                await rest.server_time_ms()
        assert str(caught.value).isprintable()


async def test_a_redirect_is_not_followed() -> None:
    async def elsewhere(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/api/v3/time")

    answers = {"fapi_v1_time": elsewhere, "api_v3_time": says({"serverTime": 1})}
    async with binance(**answers) as (settings, asked), connected(LINEAR, settings) as rest:
        with pytest.raises(VenueError):
            await rest.server_time_ms()
    assert asked == ["/fapi/v1/time"]


async def test_inverse_is_for_recordings() -> None:
    with pytest.raises(SettingsError, match="recordings only"):
        await BinanceVenue().instruments(INVERSE, ["BTC/USD:BTC"], Settings())
