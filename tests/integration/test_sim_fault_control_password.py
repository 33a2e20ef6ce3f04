"""Simulated exchanges that other machines reach: nobody comes in without the password, and the libraries can send it.

This machine's own address that is not loopback stands for the other machine.
"""

import asyncio
import contextlib
import functools
import queue
import socket
import warnings
from base64 import b64encode
from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
import pytest

from bot.clock import SystemClock
from bot.errors import SettingsError
from exchanges.simulator.doorkeeper import Doorkeeper, listening_address, source_of
from exchanges.simulator.server import Address, SimulatorServer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the libraries' imports, not ours
    import ccxt.pro
    import websocket
    from binance import AsyncClient, BinanceSocketManager
    from pybit.unified_trading import HTTP, WebSocket

PASSWORD = "correct horse: battery/staple é"
TIME = "/fapi/v1/time"


def own_address() -> str:
    """Of this machine, as others see it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no address but loopback")
        return str(probe.getsockname()[0])


@contextlib.asynccontextmanager
async def serving(password: str = PASSWORD, host: str | None = None) -> AsyncIterator[Address]:
    server = SimulatorServer("calm", 3, SystemClock(), password=password, rate=0.2)
    address = await server.start(0, own_address() if host is None else host)
    stop = asyncio.Event()
    running = asyncio.create_task(server.run(stop))
    try:
        yield address
    finally:
        stop.set()
        await running


@pytest.mark.parametrize(
    ("host", "password", "says"),
    [
        ("0.0.0.0", None, "CRYPTO_PIPE_SIMULATOR_PASSWORD"),
        ("0.0.0.0", "", "CRYPTO_PIPE_SIMULATOR_PASSWORD"),
        ("::", "elevenchars", "at least 12 characters"),
        ("192.0.2.7", "elevenchars", "at least 12 characters"),
        ("example.com", PASSWORD, "must be an IP address"),
        ("127.0.0.1:80", PASSWORD, "must be an IP address"),
        ("", PASSWORD, "must be an IP address"),
    ],
)
def test_an_address_that_cannot_be_is_one_line(host: str, password: str | None, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as told:
        listening_address(host, password)
    assert "\n" not in str(told.value)
    assert "elevenchars" not in str(told.value)


@pytest.mark.parametrize(
    ("host", "password", "listens"),
    [
        ("127.0.0.1", None, "127.0.0.1"),
        ("localhost", None, "127.0.0.1"),
        ("127.9.9.9", None, "127.9.9.9"),
        ("::1", None, "::1"),
        ("0.0.0.0", "a" * 12, "0.0.0.0"),
    ],
)
def test_loopback_needs_no_password(host: str, password: str | None, listens: str) -> None:
    assert listening_address(host, password) == listens


async def test_nobody_comes_in_without_the_password() -> None:
    async with serving() as at, aiohttp.ClientSession() as session:
        wrong = [{}, {"X-Simulator-Password": "wrong"}, {"Authorization": "Basic"}, {"Authorization": "Basic ä%"}]
        for headers in wrong:
            async with session.get(at.url + TIME, headers=headers) as response:
                assert response.status == 401
                assert response.headers["WWW-Authenticate"].startswith("Basic")
                assert "serverTime" not in await response.text()
        for path in ("/ws/btcusdt@bookTicker", "/v5/public/linear", "/v5/private", "/ws-fapi/v1"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(at.ws_url + path)
            assert refused.value.status == 401
        async with session.get(f"{at.url}/control/status", headers=bearer(at)) as response:
            assert response.status == 401, "the API secret is not the password"


def bearer(at: Address) -> dict[str, str]:
    return {"Authorization": f"Bearer {at.credentials.secret}"}


async def test_both_ways_to_send_it_open_requests_sockets_and_control() -> None:
    basic = "Basic " + b64encode(f"anybody:{PASSWORD}".encode()).decode()
    async with serving() as at, aiohttp.ClientSession() as session:
        for headers in ({"Authorization": basic}, {"X-Simulator-Password": PASSWORD}):
            async with session.get(at.url + TIME, headers=headers) as response:
                assert response.status == 200
            async with session.ws_connect(at.ws_url + "/public/ws/btcusdt@bookTicker", headers=headers) as ticker:
                assert "bookTicker" in (await asyncio.wait_for(ticker.receive_str(), 60))
        both = bearer(at) | {"X-Simulator-Password": PASSWORD}
        async with session.get(f"{at.url}/control/status", headers=both) as response:
            assert response.status == 200


async def test_who_guesses_waits_and_the_machine_itself_does_not() -> None:
    async with serving(host="0.0.0.0") as at, aiohttp.ClientSession() as session:
        outside = f"http://{own_address()}:{at.port}{TIME}"
        for _ in range(10):
            async with session.get(outside, headers={"X-Simulator-Password": "guess"}) as response:
                assert response.status == 401
        async with session.get(outside, headers={"X-Simulator-Password": PASSWORD}) as response:
            assert response.status == 429, "or the eleventh guess would be answered"
            assert 0 < int(response.headers["Retry-After"]) <= 60
        async with session.get(at.url + TIME) as response:
            assert response.status == 200
        assert at.url.startswith("http://127.0.0.1:")


async def test_ipv6_loopback_can_be_served() -> None:
    with contextlib.closing(socket.socket(socket.AF_INET6)) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6 loopback")
    async with serving(host="::1") as at, aiohttp.ClientSession() as session:
        assert at.url.startswith("http://[::1]:")
        async with session.get(at.url + TIME) as response:
            assert response.status == 200


PLAIN = "a password without signs"


async def test_ccxt_sends_it_as_a_header() -> None:
    header = {"X-Simulator-Password": PLAIN}
    async with serving(PLAIN) as at:
        fapi = {f"fapi{kind}{n and f'V{n}'}": f"{at.url}/fapi/v{n or 1}" for kind in KINDS for n in ("", 2, 3)}
        sockets = {"linear": f"{at.ws_url}/ws", "future": f"{at.ws_url}/ws"}
        exchange = ccxt.pro.binanceusdm(
            {
                "apiKey": at.credentials.api_key,
                "secret": at.credentials.secret,
                "urls": {"api": {**fapi, "ws": sockets}},
                "headers": header,
                "options": {"ws": {"options": {"headers": header}}},
            }
        )
        exchange.has["fetchCurrencies"] = False
        try:
            assert (await exchange.create_order("BTC/USDT:USDT", "market", "buy", 0.01))["filled"] == 0.01
            book = await asyncio.wait_for(exchange.watch_order_book("BTC/USDT:USDT"), 60)
            assert book["bids"]
        finally:
            await exchange.close()


KINDS = ("Public", "Private")


async def test_python_binance_sends_it_with_its_session_and_in_the_url_of_its_sockets() -> None:
    async with serving(PLAIN) as at:
        userinfo = f"ws://x:{quote(PLAIN)}@{at.ws_url.removeprefix('ws://')}/"
        client = AsyncClient(at.credentials.api_key, at.credentials.secret)
        client.FUTURES_URL = at.url + "/fapi"
        client.session.headers["X-Simulator-Password"] = PLAIN
        manager = BinanceSocketManager(client)
        manager.FSTREAM_URL = userinfo
        try:
            assert (await client.futures_order_book(symbol="BTCUSDT"))["bids"]
            async with manager.symbol_ticker_futures_socket("BTCUSDT") as ticker:
                assert "BTCUSDT" in str(await asyncio.wait_for(ticker.recv(), 60))
        finally:
            await client.close_connection()


async def test_pybit_sends_it_with_its_session_and_with_its_socket_library(monkeypatch: pytest.MonkeyPatch) -> None:
    header = {"X-Simulator-Password": PLAIN}

    def use(at: Address) -> None:
        rest = HTTP(api_key=at.credentials.api_key, api_secret=at.credentials.secret)
        rest.endpoint = at.url
        rest.client.headers.update(header)
        assert rest.get_wallet_balance(accountType="UNIFIED")["retCode"] == 0
        rest.client.close()
        assert any(topic_heard() == "tickers.BTCUSDT" for _ in range(3))

    def topic_heard() -> str:
        # The library notes a subscription after sending it: an answer that is faster ends its thread (pybit 5.17).
        heard: queue.Queue[dict[str, object]] = queue.Queue()
        opened = there(WebSocket)(testnet=True, channel_type="linear")
        opened.ticker_stream("BTCUSDT", heard.put)
        try:
            return str(heard.get(timeout=60)["topic"])
        except queue.Empty:
            return ""
        finally:
            opened.exit()

    def there(kind: type) -> type:
        class Local(kind):  # type: ignore[misc]
            def _connect(self, url: str) -> None:
                super()._connect(at.ws_url + url[url.find("/v5/") :])

        return Local

    async with serving(PLAIN) as at:
        monkeypatch.setattr(websocket, "WebSocketApp", functools.partial(websocket.WebSocketApp, header=header))
        await asyncio.to_thread(use, at)


def test_failures_are_forgotten_after_a_minute_and_counted_by_network() -> None:
    class Later(SystemClock):
        now = 0

        def monotonic_ns(self) -> int:
            return self.now

    clock = Later()
    keeper = Doorkeeper(PASSWORD, clock)
    for number in range(10):
        keeper._count(source_of(f"2001:db8::{number}"))
    neighbour = source_of("2001:db8::ffff")
    assert keeper._wait_s(neighbour) == 60, "a customer has a whole /64 to guess from"
    assert keeper._wait_s(source_of("2001:db8:0:1::1")) == 0
    clock.now = 60 * 10**9
    assert keeper._wait_s(neighbour) == 0
