"""A private stream whose new logins go wrong in ways that no answer of a venue's names."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from bot.clock import SystemClock
from bot.errors import MalformedPayload, VenueError, VenueUnavailable
from bot.settings import ConnectionSettings
from exchanges.bybit.private_stream import BybitPrivateStream, PrivateTopics
from exchanges.bybit.signed_rest import SignedRest
from exchanges.common.account.funding_desk import FundingDesk
from exchanges.common.account.order_desk import OrderDesk
from exchanges.common.account.private_stream import PrivateProtocol, PrivateStream
from exchanges.common.account.wallet_book import WalletBook
from exchanges.common.requests.venue_http import VenueHttp

_PATIENCE_S = 60.0


class Rest:
    def login(self) -> list[str]:
        return ["key", "1", "signature"]


class Watch:
    def __init__(self) -> None:
        self.unheard: list[str] = []
        self.heard = 0

    def on_unheard(self, stream: str, why: str) -> None:
        self.unheard.append(why)

    def on_heard(self, stream: str) -> None:
        self.heard += 1

    def on_error(self, error: VenueError) -> None:
        raise AssertionError("no key was refused")


class Bybit:
    """Its private socket, as far as the login; the first connection is cut, and `spoiled` ones answer `garbage`."""

    def __init__(self, garbage: str, spoiled: int) -> None:
        self.garbage = garbage
        self.spoiled = spoiled
        self.logins = 0
        self.served = asyncio.Event()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.logins += 1
        if 1 < self.logins <= 1 + self.spoiled:
            await socket.send_str(self.garbage)
        async for message in socket:
            asked = message.json()
            await socket.send_json({"op": asked["op"], "success": True})
            if asked["op"] == "subscribe" and self.logins == 1:
                return socket
            if asked["op"] == "subscribe":
                self.served.set()
        return socket


@asynccontextmanager
async def serving(bybit: Bybit) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/private", bybit.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = cast(Any, runner.addresses[0])[1]
        yield f"ws://127.0.0.1:{port}/private"
    finally:
        await runner.cleanup()


def protocol(url: str, http: VenueHttp) -> BybitPrivateStream:
    desk = OrderDesk(SystemClock())
    wallets = WalletBook(lambda instrument: "unified", {}, cast(Any, 0), locks_margin=False)
    topics = PrivateTopics({}, desk, wallets, FundingDesk(), lambda level, text: None)
    return BybitPrivateStream(url, cast(SignedRest, Rest()), http, topics)


def supervised(one: PrivateProtocol, watch: Watch, on_gap: Callable[[], None]) -> PrivateStream:
    return PrivateStream(
        one,
        settings=ConnectionSettings(backoff_first_s=0.01, backoff_cap_s=0.02),
        clock=SystemClock(),
        rng=random.Random(1),
        on_gap=on_gap,
        watch=watch,
        log=lambda level, text: None,
    )


@pytest.mark.parametrize("garbage", ["not JSON", '{"topic": "order", "data": [{"nothing": "of it"}]}'])
async def test_a_message_that_is_not_understood_during_a_new_login_does_not_end_the_stream(garbage: str) -> None:
    bybit, watch, gap = Bybit(garbage, spoiled=2), Watch(), asyncio.Event()
    http = VenueHttp("bybit", SystemClock())
    http.open()
    async with serving(bybit) as url:
        stream = supervised(protocol(url, http), watch, gap.set)
        await stream.start()
        async with asyncio.timeout(_PATIENCE_S):
            await bybit.served.wait()
            await gap.wait()
        await stream.stop()
        await http.close()
    assert (bybit.logins, stream.reconnects, watch.heard, len(watch.unheard)) == (4, 1, 1, 1)


class Breaking:
    """A protocol whose socket breaks under the login, `errors` one after another."""

    def __init__(self, inner: PrivateProtocol, errors: list[Exception]) -> None:
        self.venue = inner.venue
        self.name = inner.name
        self.beat_every_s = inner.beat_every_s
        self._inner = inner
        self._errors = errors
        self.connects = 0

    async def connect(self) -> aiohttp.ClientWebSocketResponse:
        self.connects += 1
        if self.connects > 1 and self._errors:
            raise self._errors.pop(0)
        return await self._inner.connect()

    async def beat(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await self._inner.beat(socket)

    def on_text(self, text: str) -> bool:
        return self._inner.on_text(text)


async def test_a_socket_that_breaks_under_a_new_login_does_not_end_the_stream() -> None:
    """What aiohttp raises when it is to write on a connection that was lost in this very moment."""
    bybit, watch, gap = Bybit("", spoiled=0), Watch(), asyncio.Event()
    http = VenueHttp("bybit", SystemClock())
    http.open()
    async with serving(bybit) as url:
        lost = aiohttp.ClientConnectionResetError("Cannot write to closing transport")
        breaking = Breaking(protocol(url, http), [lost, ConnectionResetError(), MalformedPayload("not JSON")])
        stream = supervised(breaking, watch, gap.set)
        await stream.start()
        async with asyncio.timeout(_PATIENCE_S):
            await gap.wait()
        await stream.stop()
        await http.close()
    assert (breaking.connects, stream.reconnects) == (5, 1)


async def test_a_first_login_that_breaks_is_said_as_an_error_of_the_venue() -> None:
    bybit = Bybit("not JSON", spoiled=1)
    bybit.logins = 1
    http = VenueHttp("bybit", SystemClock())
    http.open()
    async with serving(bybit) as url:
        with pytest.raises(VenueUnavailable) as failed:
            await supervised(protocol(url, http), Watch(), lambda: None).start()
        await http.close()
    assert failed.value.venue == "bybit"


async def test_a_handshake_that_nobody_answers_is_given_up() -> None:
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # to its end: the client lets go
        writer.close()
        await writer.wait_closed()
        gone.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    http = VenueHttp("bybit", SystemClock())
    http.open()
    port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(_PATIENCE_S):
        with pytest.raises(VenueUnavailable):
            await http.socket(f"ws://127.0.0.1:{port}/private", within_s=0.2)
        await http.close()
        await gone.wait()
    server.close()
    await server.wait_closed()
