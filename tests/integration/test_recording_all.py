"""ALL: what a venue's list of instruments brings, and what it must not bring."""

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.domain.instrument import Feed
from bot.errors import SettingsError
from bot.settings import EndpointSettings, Settings
from exchanges.binance.venue import BinanceVenue

LINEAR = Feed.parse("binance.linear")
RULES = [
    {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
    {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001"},
]


def row(symbol: str, base: str, **more: Any) -> dict[str, Any]:
    head = {"symbol": symbol, "status": "TRADING", "baseAsset": base, "quoteAsset": "USDT", "marginAsset": "USDT"}
    return head | {"filters": RULES} | more


ROWS = [
    row("BTCUSDT", "BTC"),
    row("1000PEPEUSDT", "1000PEPE"),
    row("BTCUSDT_261225", "BTC"),
    row("LUNAUSDT", "LUNA", status="SETTLING"),
    row("币安人生USDT", "币安人生"),
    row("A/../B?x=USDT", "A/../B?x="),
    row("NOGRIDUSDT", "NOGRID", filters=[]),
    {"symbol": "NOTHING MORE"},
]


async def test_all_pairs_that_trade_and_have_a_plain_name() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"symbols": ROWS})

    app = web.Application()
    app.router.add_get("/fapi/v1/exchangeInfo", answer)
    async with TestServer(app) as server:
        here = EndpointSettings(rest_url=f"http://127.0.0.1:{server.port}")
        settings = Settings.model_validate({"venues": {"binance": {"linear": here}}})
        found = await BinanceVenue().instruments(LINEAR, ["ALL"], settings)
        assert {name: one.symbol for name, one in found.items()} == {
            "BTCUSDT": "BTC/USDT:USDT",
            "1000PEPEUSDT": "1000PEPE/USDT:USDT",
        }
        with pytest.raises(SettingsError, match="LUNA/USDT:USDT"):
            await BinanceVenue().instruments(LINEAR, ["LUNA/USDT:USDT"], settings)
