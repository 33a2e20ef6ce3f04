"""What the official clients, and ccxt, make of faults of orders and venues: the same as at the exchanges."""

import asyncio
import contextlib
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pybit.exceptions import InvalidRequestError
from pybit.unified_trading import HTTP

from tests.integration.sim_fault_venue_rig import LINEAR, Here, connected

with warnings.catch_warnings():
    # These libraries, and what they pin, use calls and classes that their own dependencies have deprecated.
    warnings.simplefilter("ignore")
    import ccxt
    import ccxt.pro
    from binance import AsyncClient, BinanceSocketManager
    from binance.exceptions import BinanceAPIException

# ccxt leaves sockets to the garbage collector when it is closed in the middle of an await.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
PATIENCE_S = 60


@contextlib.asynccontextmanager
async def python_binance() -> AsyncIterator[tuple[Here, Any, Any]]:
    async with connected() as here:
        http, ws = here.sim.http, here.sim.ws
        kind = type("SimClient", (AsyncClient,), {
            "API_URL": http + "/api", "MARGIN_API_URL": http + "/sapi", "WEBSITE_URL": http,
            "FUTURES_URL": http + "/fapi", "FUTURES_DATA_URL": http + "/futures/data",
            "WS_API_URL": ws + "/ws-api/v3", "WS_FUTURES_URL": ws + "/ws-fapi/v1",
        })  # fmt: skip
        sockets = type("SimBSM", (BinanceSocketManager,), {"STREAM_URL": ws + "/", "FSTREAM_URL": ws + "/"})
        client = await kind.create(here.sim.key, here.sim.secret)
        try:
            yield here, client, sockets(client)
        finally:
            await client.close_connection()


@contextlib.asynccontextmanager
async def ccxt_pro(venue: str) -> AsyncIterator[tuple[Here, Any]]:
    async with connected() as here:
        http, ws = here.sim.http, here.sim.ws
        binance = {
            "fapiPublic": http + "/fapi/v1", "fapiPrivate": http + "/fapi/v1", "fapiPublicV2": http + "/fapi/v2",
            "fapiPrivateV2": http + "/fapi/v2", "fapiPrivateV3": http + "/fapi/v3", "sapi": http + "/sapi/v1",
            "ws": {"linear": ws + "/ws", "future": ws + "/ws"},
        }  # fmt: skip
        bybit = dict.fromkeys(("public", "private"), http) | {"ws": {
            "public": {"linear": ws + "/v5/public/linear"},
            "private": {"contract": ws + "/v5/private", "trade": ws + "/v5/trade"},
        }}  # fmt: skip
        client = getattr(ccxt.pro, "binanceusdm" if venue == "binance" else "bybit")({
            "apiKey": here.sim.key, "secret": here.sim.secret, "enableRateLimit": False,
            "urls": {"api": binance if venue == "binance" else bybit},
            "options": {"fetchMarkets": {"types": ["linear"]}, "fetchMargins": False},
        })  # fmt: skip
        client.has["fetchCurrencies"] = False
        try:
            await client.load_markets()
            yield here, client
        finally:
            await client.close()


async def test_python_binance_tells_the_codes() -> None:
    async with python_binance() as (here, client, _):
        number = here.sim.order("key-revoked,venue=binance")
        with pytest.raises(BinanceAPIException) as unknown:
            await client.get_account()
        assert (unknown.value.status_code, unknown.value.code) == (401, -2015)
        here.sim.faults.end(number)
        price = here.price("binance", LINEAR, 0.995)
        await client.futures_create_order(
            symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.01", price=price,
            newClientOrderId="slow",
        )  # fmt: skip
        here.sim.order("fill-on-cancel,venue=binance")
        with pytest.raises(BinanceAPIException) as late:
            await client.futures_cancel_order(symbol="BTCUSDT", origClientOrderId="slow")
        assert late.value.code == -2011
        assert (await client.futures_get_order(symbol="BTCUSDT", origClientOrderId="slow"))["status"] == "FILLED"
        here.sim.order("clock-drift,venue=binance,amount=15000")
        with pytest.raises(BinanceAPIException) as behind:
            await client.futures_account()
        assert (behind.value.status_code, behind.value.code) == (400, -1021)
        client.timestamp_offset = 15_000  # as its user has to correct it: it asks for the time only once
        assert (await client.futures_account())["assets"]


async def test_python_binance_hears_a_fill_twice_and_that_its_listen_key_expired() -> None:
    async with python_binance() as (here, client, sockets), sockets.futures_user_socket() as socket:
        socket.TIMEOUT = 0.5  # how long it waits for a message before it notices that it was told to close
        here.sim.order("duplicate-fill,venue=binance")
        await client.futures_create_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.002")
        fills = [await _heard(socket, _is_fill) for _ in range(2)]
        assert fills[0] == fills[1]
        known = await client.futures_account_trades(symbol="BTCUSDT")
        assert fills[0]["o"]["t"] in [one["id"] for one in known]
        assert len({one["id"] for one in known}) == len(known)
        here.sim.order("listen-key-expiry,venue=binance")
        assert (await _heard(socket, lambda one: one["e"] == "listenKeyExpired"))["listenKey"]


def _is_fill(message: Any) -> bool:
    return message["e"] == "ORDER_TRADE_UPDATE" and message["o"]["x"] == "TRADE"


async def _heard(socket: Any, wanted: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            message = await socket.recv()
            if wanted(message):
                return message


@pytest.mark.parametrize("venue", ["binance", "bybit"])
async def test_ccxt_raises_its_kinds_of_error(venue: str) -> None:
    async with ccxt_pro(venue) as (here, client):
        number = here.sim.order(f"key-revoked,venue={venue}")
        with pytest.raises(ccxt.AuthenticationError):
            await client.fetch_balance()
        here.sim.faults.end(number)
        price = float(here.price(venue, LINEAR, 0.995))
        order = await client.create_order("BTC/USDT:USDT", "limit", "buy", 0.01, price)
        here.sim.order(f"fill-on-cancel,venue={venue}")
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order(order["id"], "BTC/USDT:USDT")
        trades = await client.fetch_my_trades("BTC/USDT:USDT")
        assert [(one["takerOrMaker"], one["price"]) for one in trades] == [("maker", price)]
        assert (await client.fetch_positions(["BTC/USDT:USDT"]))[0]["contracts"] == 0.01
        here.sim.order(f"clock-drift,venue={venue},amount=15000")
        with pytest.raises(ccxt.InvalidNonce):
            await client.fetch_balance()
        await client.load_time_difference()
        assert (await client.fetch_balance())["USDT"]["total"] > 0


@pytest.mark.parametrize("venue", ["binance", "bybit"])
async def test_ccxt_sees_a_listing_go_and_a_network_change(venue: str) -> None:
    async with ccxt_pro(venue) as (here, client):
        number = here.sim.order(f"delisting,venue={venue},match=BTC/USDT:USDT")
        markets = await client.load_markets(reload=True)
        # Bybit lists what trades, and no more, unless it is asked for a symbol or a status.
        is_told = "BTC/USDT:USDT" in markets
        assert (is_told, is_told and markets["BTC/USDT:USDT"]["active"]) == (venue == "binance", False)
        assert markets["ETH/USDT:USDT"]["active"]
        with pytest.raises(ccxt.ExchangeError):
            await client.create_order("BTC/USDT:USDT", "market", "buy", 0.01)
        here.sim.faults.end(number)
        assert (await client.load_markets(reload=True))["BTC/USDT:USDT"]["active"]
        here.sim.order(f"withdrawal-halt,venue={venue},match=tron")
        networks = (await client.fetch_currencies())["USDT"]["networks"]
        assert {name for name, one in networks.items() if not one["withdraw"]} == {"TRC20"}


async def test_pybit_tells_the_codes() -> None:
    async with connected() as here:
        # It tries some codes again by itself, for seconds, unless it is told not to.
        client = HTTP(api_key=here.sim.key, api_secret=here.sim.secret, retry_codes={0}, max_retries=1)
        client.endpoint = here.sim.http

        async def refused(call: Any, **parameters: object) -> int:
            with pytest.raises(InvalidRequestError) as error:
                await asyncio.to_thread(call, **parameters)
            return int(error.value.status_code)

        number = here.sim.order("key-revoked,venue=bybit")
        assert await refused(client.get_account_info) == 10003
        here.sim.faults.end(number)
        link = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "slow"}
        price = here.price("bybit", LINEAR, 0.995)
        await asyncio.to_thread(client.place_order, side="Buy", orderType="Limit", qty="0.01", price=price, **link)
        here.sim.order("fill-on-cancel,venue=bybit")
        assert await refused(client.cancel_order, **link) == 110001
        here.sim.order("clock-drift,venue=bybit,amount=15000")
        assert await refused(client.get_wallet_balance, accountType="UNIFIED") == 10002
