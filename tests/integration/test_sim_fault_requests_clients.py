"""What the exchanges' official clients, and ccxt, make of faults of requests: the same as at the exchanges."""

import asyncio
import contextlib
import warnings
from collections.abc import AsyncIterator
from typing import Any

import pytest
import requests
from pybit.exceptions import FailedRequestError, InvalidRequestError
from pybit.unified_trading import HTTP

from bot.domain.instrument import Segment
from tests.integration.sim_fault_requests_rig import LOST, Sim, simulated

with warnings.catch_warnings():
    # These libraries, and what they pin, use calls and classes that their own dependencies have deprecated.
    warnings.simplefilter("ignore")
    import ccxt
    import ccxt.pro
    from binance import AsyncClient
    from binance.exceptions import BinanceAPIException, BinanceWebsocketUnableToConnect

# ccxt leaves sockets to the garbage collector when a connection ends under it.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
SPOT, LINEAR = Segment.SPOT, Segment.LINEAR


@contextlib.asynccontextmanager
async def python_binance() -> AsyncIterator[tuple[Sim, Any]]:
    async with simulated() as sim:
        kind = type("SimClient", (AsyncClient,), {
            "API_URL": sim.http + "/api", "MARGIN_API_URL": sim.http + "/sapi", "WEBSITE_URL": sim.http,
            "FUTURES_URL": sim.http + "/fapi", "FUTURES_DATA_URL": sim.http + "/futures/data",
            "WS_API_URL": sim.ws + "/ws-api/v3", "WS_FUTURES_URL": sim.ws + "/ws-fapi/v1",
        })  # fmt: skip
        client = await kind.create(sim.key, sim.secret)
        # How long it waits for an answer on a socket: ten seconds.
        client.ws_future.TIMEOUT = 0.5
        try:
            yield sim, client
        finally:
            await client.close_connection()


def binance_order(client_id: str) -> dict[str, str]:
    return {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01", "newClientOrderId": client_id}


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [("http-429", 429, -1003), ("http-418", 418, -1003), ("http-403", 403, 0), ("http-451", 451, 0),
     ("http-503", 503, -1008), ("maintenance", 503, 0)],
)  # fmt: skip
async def test_python_binance_raises_its_one_exception(kind: str, status: int, code: int) -> None:
    async with python_binance() as (sim, client):
        number = sim.order(f"{kind},venue=binance")
        for create in (client.create_order, client.futures_create_order):
            with pytest.raises(BinanceAPIException) as refused:
                await create(**binance_order("a"))
            assert (refused.value.status_code, refused.value.code) == (status, code)
            assert ("Retry-After" in refused.value.response.headers) == (kind in ("http-429", "http-418"))
        if kind == "maintenance":
            assert (await client.get_system_status())["msg"] == "system maintenance"
        sim.faults.end(number)
        assert sim.placed("binance", SPOT) == sim.placed("binance", LINEAR) == []


async def test_python_binance_finds_what_it_lost() -> None:
    async with python_binance() as (sim, client):
        sim.order("lost-answer,venue=binance,count=2")
        with pytest.raises(LOST):
            await client.create_order(**binance_order("a"))
        with pytest.raises(LOST):
            await client.futures_create_order(**binance_order("b"))
        assert (await client.get_order(symbol="BTCUSDT", origClientOrderId="a"))["status"] == "FILLED"
        assert (await client.futures_get_order(symbol="BTCUSDT", origClientOrderId="b"))["status"] == "FILLED"


async def test_python_binance_does_not_find_what_never_arrived() -> None:
    async with python_binance() as (sim, client):
        sim.order("lost-order,venue=binance,count=2")
        with pytest.raises(LOST):
            await client.create_order(**binance_order("a"))
        with pytest.raises(LOST):
            await client.futures_create_order(**binance_order("b"))
        for find, client_id in ((client.get_order, "a"), (client.futures_get_order, "b")):
            with pytest.raises(BinanceAPIException) as unknown:
                await find(symbol="BTCUSDT", origClientOrderId=client_id)
            assert unknown.value.code == -2013


async def test_python_binance_calls_a_lost_answer_on_a_socket_unable_to_connect() -> None:
    async with python_binance() as (sim, client):
        sim.order("lost-answer,venue=binance,match=order.place")
        with pytest.raises(BinanceWebsocketUnableToConnect):
            await client.ws_futures_create_order(**binance_order("a"))
        assert sim.placed("binance", LINEAR) == ["a"]


async def test_python_binance_reads_refusals_on_a_socket() -> None:
    async with python_binance() as (sim, client):
        sim.order("http-503,venue=binance")
        with pytest.raises(BinanceAPIException) as refused:
            await client.ws_futures_create_order(**binance_order("a"))
        assert refused.value.code == -1008


class Pybit:
    """pybit in a thread: it blocks."""

    def __init__(self, sim: Sim) -> None:
        self._http = HTTP(api_key=sim.key, api_secret=sim.secret, retry_codes={0}, max_retries=1, recv_window=20_000)
        self._http.endpoint = sim.http
        self._http.logger.handlers.clear()

    async def buy(self, client_id: str) -> Any:
        return await asyncio.to_thread(
            self._http.place_order, category="linear", symbol="BTCUSDT", side="Buy", orderType="Market", qty="0.01",
            orderLinkId=client_id,
        )  # fmt: skip

    async def find(self, client_id: str) -> list[str]:
        found = await asyncio.to_thread(
            self._http.get_open_orders, category="linear", symbol="BTCUSDT", orderLinkId=client_id
        )
        return [row["orderStatus"] for row in found["result"]["list"]]

    def close(self) -> None:
        self._http.client.close()


@contextlib.asynccontextmanager
async def pybit() -> AsyncIterator[tuple[Sim, Pybit]]:
    async with simulated() as sim:
        client = Pybit(sim)
        try:
            yield sim, client
        finally:
            client.close()


@pytest.mark.parametrize(
    ("kind", "error", "code"),
    [
        ("http-429", InvalidRequestError, 10006),
        ("http-503", InvalidRequestError, 429),
        ("maintenance", InvalidRequestError, 10016),
        ("http-418", FailedRequestError, 403),
        ("http-403", FailedRequestError, 403),
        ("http-451", FailedRequestError, 403),
    ],
)
async def test_pybit_tells_codes_from_statuses(kind: str, error: type[Exception], code: int) -> None:
    async with pybit() as (sim, client):
        sim.order(f"{kind},venue=bybit")
        with pytest.raises(error) as refused:
            await client.buy("a")
        assert refused.value.status_code == code  # type: ignore[attr-defined]
        assert sim.placed("bybit", LINEAR) == []


@pytest.mark.parametrize(("kind", "found"), [("lost-answer", ["Filled"]), ("lost-order", [])])
async def test_pybit_finds_what_arrived_of_what_it_lost(kind: str, found: list[str]) -> None:
    async with pybit() as (sim, client):
        sim.order(f"{kind},venue=bybit,count=1")
        with pytest.raises(requests.exceptions.ConnectionError):
            await client.buy("a")
        assert await client.find("a") == found


def ccxt_urls(sim: Sim) -> dict[str, Any]:
    binance = {
        name: f"{sim.http}/fapi/v{name[-1] if name[-2] == 'V' else 1}"
        for name in ("fapiPublic", "fapiPrivate", "fapiPublicV2", "fapiPrivateV2", "fapiPrivateV3")
    }
    sockets = {"public": {"linear": sim.ws}, "private": {"trade": sim.ws}}
    return binance | dict.fromkeys(("public", "private"), sim.http) | {"sapi": sim.http + "/sapi/v1", "ws": sockets}


@contextlib.asynccontextmanager
async def ccxt_client(kind: str) -> AsyncIterator[tuple[Sim, Any]]:
    async with simulated() as sim:
        client = getattr(ccxt.pro, kind)({
            "apiKey": sim.key, "secret": sim.secret, "enableRateLimit": False, "urls": {"api": ccxt_urls(sim)},
            "options": {"fetchMarkets": {"types": ["linear"]}},
        })  # fmt: skip
        client.has["fetchCurrencies"] = False
        try:
            await client.load_markets()
            if kind == "bybit":
                await client.is_unified_enabled()  # asked before its first order
            yield sim, client
        finally:
            await client.close()


@pytest.mark.parametrize(
    ("venue", "kind", "error"),
    [
        ("binanceusdm", "http-429", ccxt.DDoSProtection),
        ("binanceusdm", "http-418", ccxt.DDoSProtection),
        ("binanceusdm", "http-403", ccxt.ExchangeNotAvailable),
        ("binanceusdm", "http-451", ccxt.ExchangeNotAvailable),
        ("binanceusdm", "http-503", ccxt.ExchangeError),  # it knows -1008 by the hosts of Binance alone
        ("binanceusdm", "lost-answer", ccxt.ExchangeNotAvailable),
        ("bybit", "http-429", ccxt.RateLimitExceeded),
        ("bybit", "http-418", ccxt.RateLimitExceeded),
        ("bybit", "http-403", ccxt.RateLimitExceeded),
        ("bybit", "http-503", ccxt.ExchangeError),
        ("bybit", "maintenance", ccxt.ExchangeError),
        ("bybit", "lost-answer", ccxt.ExchangeNotAvailable),
    ],
)
async def test_ccxt_names_them_as_at_the_exchange(venue: str, kind: str, error: type[Exception]) -> None:
    async with ccxt_client(venue) as (sim, client):
        sim.order(f"{kind},venue={'bybit' if venue == 'bybit' else 'binance'}")
        with pytest.raises(error):
            await client.create_order("BTC/USDT:USDT", "market", "buy", 0.01)
        is_there = kind == "lost-answer"
        assert len(sim.placed("bybit" if venue == "bybit" else "binance", LINEAR)) == is_there
