"""pybit against a local server: paging, Bybit's time, and what each refusal means for us."""

import asyncio
import json

import pytest
from aiohttp import web

from bot.errors import (
    AuthenticationFailed,
    Banned,
    ClockSkew,
    GeoBlocked,
    RateLimited,
    SettingsError,
    VenueError,
    VenueUnavailable,
)
from bot.settings import Settings
from exchanges.bybit.errors import venue_error
from exchanges.bybit.metadata import BybitRest
from exchanges.bybit.normalize import LINEAR, SPOT
from exchanges.bybit.venue import BybitVenue


def row(base, **more):
    return {
        "symbol": f"{base}USDT",
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": base,
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "priceFilter": {"tickSize": "0.10"},
        "lotSizeFilter": {"qtyStep": "0.001", "minOrderQty": "0.001", "minNotionalValue": "5"},
        **more,
    }


def answer(result, code=0, message="OK"):
    return {"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, "time": 1672712468011}


class LocalBybit:
    """Answers what a test puts in, and keeps the queries."""

    def __init__(self):
        self.pages = {"": ([row("BTC"), row("ETH")], "")}
        self.reply = None
        self.queries = []

    async def instruments_info(self, request):
        self.queries.append(dict(request.query))
        if self.reply is not None:
            return self.reply()
        rows, cursor = self.pages[request.query.get("cursor", "")]
        return web.json_response(
            answer({"category": request.query["category"], "list": rows, "nextPageCursor": cursor})
        )

    async def time(self, request):
        if self.reply is not None:
            return self.reply()
        return web.json_response(answer({"timeSecond": "1753000000", "timeNano": "1753000000123456789"}))


@pytest.fixture
def venue():
    return LocalBybit()


@pytest.fixture
async def url(venue):
    app = web.Application()
    app.router.add_get("/v5/market/instruments-info", venue.instruments_info)
    app.router.add_get("/v5/market/time", venue.time)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def rest(url):
    client = BybitRest(url)
    yield client
    client.close()


def settings(url):
    return Settings.model_validate({"venues": {"bybit": {"linear": {"rest_url": url}, "spot": {"rest_url": url}}}})


async def test_every_page_is_read(venue, rest):
    venue.pages = {"": ([row("BTC")], "x%3D1"), "x=1": ([row("ETH"), row("SOL", status="Closed")], "")}
    assert set(await rest.instruments(LINEAR)) == {"BTCUSDT", "ETHUSDT"}
    assert [query["category"] for query in venue.queries] == ["linear", "linear"]


async def test_a_list_that_never_ends_is_refused(venue, rest):
    venue.pages = {"": ([row("BTC")], "again"), "again": ([row("BTC")], "again")}
    with pytest.raises(VenueUnavailable, match="does not end"):
        await rest.instruments(LINEAR)


async def test_bybits_time_in_milliseconds(rest):
    assert await rest.server_time_ms() == 1753000000123


async def test_the_venue_answers_with_what_was_wanted(url):
    found = await BybitVenue().instruments(LINEAR, ["ETH/USDT:USDT"], settings(url))
    assert {name: instrument.id for name, instrument in found.items()} == {"ETHUSDT": "bybit:ETH/USDT:USDT"}


async def test_a_symbol_that_does_not_trade_names_the_nearest(url):
    with pytest.raises(SettingsError, match=r"instruments\.bybit\.linear: BTC/USDT does not .* BTC/USDT:USDT\?"):
        await BybitVenue().instruments(LINEAR, ["BTC/USDT"], settings(url))


async def test_spot_asks_for_spot(venue, url):
    spot = {"basePrecision": "0.000001", "minOrderQty": "0.000048", "minOrderAmt": "5"}
    venue.pages = {"": ([row("BTC", lotSizeFilter=spot)], "")}
    found = await BybitVenue().instruments(SPOT, ["BTC/USDT"], settings(url))
    assert found["BTCUSDT"].settle is None
    assert venue.queries[0]["category"] == "spot"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (10002, ClockSkew),
        (10003, AuthenticationFailed),
        (10004, AuthenticationFailed),
        (10005, AuthenticationFailed),
        (10010, AuthenticationFailed),
        (10006, RateLimited),
        (10018, RateLimited),
        (10429, RateLimited),
        (20003, RateLimited),
        (170222, RateLimited),
        (10403, Banned),
        (429, VenueUnavailable),
        (10019, VenueUnavailable),
        (10009, Banned),
        (10016, VenueUnavailable),
        (10001, VenueError),
    ],
)
async def test_a_code_tells_what_to_do(venue, rest, code, kind):
    venue.reply = lambda: web.json_response(answer({}, code, "any words\x1b[2J"))
    with pytest.raises(VenueError) as caught:
        await rest.instruments(LINEAR)
    assert type(caught.value) is kind
    assert str(caught.value) == f"bybit: any words?[2J (code {code})"
    assert len(venue.queries) == 1, "pybit must not try again by itself"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, GeoBlocked), (429, RateLimited), (404, VenueError), (500, VenueUnavailable), (503, VenueUnavailable)],
)
async def test_a_status_tells_what_to_do(venue, rest, status, kind):
    venue.reply = lambda: web.Response(status=status, text="<html>")
    with pytest.raises(VenueError) as caught:
        await rest.server_time_ms()
    assert type(caught.value) is kind


async def test_403_names_both_of_its_causes(venue, rest):
    venue.reply = lambda: web.Response(status=403)
    with pytest.raises(GeoBlocked, match=r"does not serve this place.* 600 requests in 5 s"):
        await rest.instruments(LINEAR)


@pytest.mark.parametrize(
    "body", ["not json", "[]", "null", json.dumps({"retCode": 0}), json.dumps(answer({"list": 5, "timeNano": "now"}))]
)
async def test_an_answer_that_is_not_understood(venue, rest, body):
    venue.reply = lambda: web.Response(text=body, content_type="application/json")
    with pytest.raises(VenueUnavailable):
        await rest.instruments(LINEAR)
    with pytest.raises(VenueUnavailable):
        await rest.server_time_ms()


def test_missing_keys_are_told_from_a_broken_connection():
    assert type(venue_error(PermissionError("Authenticated endpoints require keys."))) is AuthenticationFailed


async def test_nobody_there():
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    rest = BybitRest(f"http://127.0.0.1:{port}")
    with pytest.raises(VenueUnavailable, match=r"cannot be asked: Connection refused$"):
        await rest.server_time_ms()
    rest.close()
