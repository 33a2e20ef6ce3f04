"""The depth readers against the simulated exchanges, over real sockets, through a proxy that loses and garbles.

The simulated Kraken has no books: a small server here speaks its v2 book channel, checksums included.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from zlib import crc32

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from bot.clock import SystemClock
from bot.domain.instrument import Feed
from bot.domain.order_book import BookChange, BookState, OrderBook
from bot.errors import Banned, RateLimited, VenueUnavailable
from bot.ports import FeedState, Wiring
from bot.settings import Settings
from exchanges.binance.depth_reader import BinanceDepthReader, fetch_snapshot
from exchanges.bybit.depth_reader import BybitDepthReader
from exchanges.common.requests.public_http import PublicHttp
from exchanges.kraken.depth_reader import KrakenDepthReader
from tests.integration.sim_binance_server import sim_binance
from tests.integration.sim_bybit_server import serving

QUICK = {"backoff_first_s": 0.01, "backoff_cap_s": 0.05, "first_frame_timeout_s": 5.0}
Fate = Callable[[str], list[str]]


class Heard:
    """Keeps what the sink is told, and looks at every book that may be used."""

    def __init__(self) -> None:
        self.states: list[tuple[int, BookState, str]] = []
        self.feed: list[tuple[FeedState, str]] = []
        self.malformed: list[str] = []
        self.whole: list[int] = []
        self.valid_changes = 0
        self.batches = 0
        self.changed = asyncio.Event()

    def on_book(self, slot: int, book: OrderBook | None, change: BookChange, ts_recv_ns: int) -> None:
        if change.whole:
            self.whole.append(slot)
        if book is not None:
            self.valid_changes += 1
            assert not book.is_crossed
            assert book.top() is not None
        self.changed.set()

    def on_book_state(self, slot: int, state: BookState, reason: str) -> None:
        self.states.append((slot, state, reason))
        self.changed.set()

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        self.malformed.append(reason)

    def on_feed_state(self, feed: Feed, state: FeedState, detail: str) -> None:
        self.feed.append((state, detail))
        self.changed.set()

    def on_batch_end(self, ts_recv_ns: int) -> None:
        self.batches += 1
        self.changed.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


class Proxy:
    """Hands everything on, text frames through `fate`; a fate answers with what goes out."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.fate: Fate = lambda text: [text]
        self.connections = 0
        self.is_down = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.is_down:
            return web.Response(status=503)
        self.connections += 1
        ours = web.WebSocketResponse(compress=False)
        await ours.prepare(request)
        async with aiohttp.ClientSession() as session, session.ws_connect(self.target + request.path_qs) as theirs:
            upstream = asyncio.create_task(self._upstream(ours, theirs))
            try:
                async for message in theirs:
                    for text in self.fate(message.data) if message.type is WSMsgType.TEXT else []:
                        await ours.send_str(text)
            except ConnectionResetError:
                pass
            finally:
                upstream.cancel()
        await ours.close()
        return ours

    @staticmethod
    async def _upstream(ours: web.WebSocketResponse, theirs: aiohttp.ClientWebSocketResponse) -> None:
        async for message in ours:
            if message.type is WSMsgType.TEXT:
                await theirs.send_str(message.data)
        await theirs.close()


@asynccontextmanager
async def served(handler: Callable[[web.Request], object]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def once(condition: Callable[[str], bool], what: Fate) -> Fate:
    """The first frame that meets the condition gets this fate, the others go through."""
    struck = False

    def fate(text: str) -> list[str]:
        nonlocal struck
        if struck or not condition(text):
            return [text]
        struck = True
        return what(text)

    return fate


def lost(_: str) -> list[str]:
    return []


def told(heard: Heard, state: BookState, slot: int = 0) -> list[str]:
    return [reason for of, found, reason in heard.states if (of, found) == (slot, state)]


@asynccontextmanager
async def binance(segment: str) -> AsyncIterator[tuple[Heard, Proxy, BinanceDepthReader, str]]:
    async with sim_binance(rate=1.0) as sim:
        proxy = Proxy(sim.ws)
        async with served(proxy.handle) as address:
            here = {"rest_url": sim.http, "stream_url": f"ws://{address}"}
            settings = Settings.model_validate({"venues": {"binance": {segment: here}}, "connection": QUICK})
            heard = Heard()
            reader = BinanceDepthReader(
                Feed.parse(f"binance.{segment}"), {"BTCUSDT": 0, "ETHUSDT": 1}, heard,
                Wiring(settings, SystemClock(), random.Random(1)),
            )  # fmt: skip
            await reader.start()
            try:
                await heard.until(lambda: told(heard, BookState.VALID) and told(heard, BookState.VALID, 1))
                yield heard, proxy, reader, sim.http
            finally:
                await reader.stop()


def is_depth(text: str) -> bool:
    return text.startswith('{"stream":"btcusdt@depth@100ms"')


@pytest.mark.parametrize("segment", ["spot", "linear"])
async def test_fault_06_a_message_of_binance_that_is_lost_costs_the_book_until_a_snapshot_is_joined(
    segment: str,
) -> None:
    async with binance(segment) as (heard, proxy, reader, _):
        proxy.fate = once(is_depth, lost)
        await heard.until(lambda: told(heard, BookState.INVALID))
        assert "missing" in told(heard, BookState.INVALID)[0]
        await heard.until(lambda: len(told(heard, BookState.VALID)) == 2)
        assert reader.book(0) is not None
        assert told(heard, BookState.INVALID, 1) == [], "the other book is not concerned"
        assert heard.whole.count(0) == 2
        assert proxy.connections == 1


async def test_fault_10_and_16_a_repeated_message_is_let_pass_and_a_truncated_one_costs_the_book() -> None:
    async with binance("linear") as (heard, proxy, _, _):
        before = heard.valid_changes
        proxy.fate = lambda text: [text, text]
        await heard.until(lambda: heard.valid_changes > before + 10)
        assert told(heard, BookState.INVALID) == []
        proxy.fate = once(is_depth, lambda text: [text[:-20]])
        await heard.until(lambda: told(heard, BookState.INVALID))
        await heard.until(lambda: len(told(heard, BookState.VALID)) == 2)
        proxy.fate = once(is_depth, lambda _: ["<html>"])
        await heard.until(lambda: len(told(heard, BookState.INVALID)) == 2)
        assert len(heard.malformed) == 1


@pytest.mark.parametrize("segment", ["spot", "linear"])
async def test_the_rebuilt_book_is_the_one_that_rest_shows(segment: str) -> None:
    async with binance(segment) as (heard, _, reader, url):
        http = PublicHttp("binance")
        feed = Feed.parse(f"binance.{segment}")
        try:
            for _ in range(50):
                answer = json.loads(await fetch_snapshot(http, url, feed, "BTCUSDT", 20))
                await heard.until(lambda: (book := reader.book(0)) and book.sequence >= answer["lastUpdateId"])  # noqa: B023
                book = reader.book(0)
                assert book is not None
                if book.sequence == answer["lastUpdateId"]:
                    break
            else:
                pytest.fail("no snapshot was taken at the id of a change")
        finally:
            await http.close()
        assert [list(level) for level in book.bids.printed(20)] == answer["bids"]
        assert [list(level) for level in book.asks.printed(20)] == answer["asks"]


async def test_a_cut_connection_takes_every_book_and_brings_them_back() -> None:
    async with binance("linear") as (heard, proxy, reader, _):

        def cut(text: str) -> list[str]:
            raise ConnectionResetError

        proxy.is_down, proxy.fate = True, cut
        await heard.until(lambda: told(heard, BookState.INVALID) and told(heard, BookState.INVALID, 1))
        assert (reader.book(0), reader.book(1)) == (None, None)
        assert heard.feed[-1][0] is FeedState.RECONNECTING
        proxy.is_down, proxy.fate = False, lambda text: [text]
        await heard.until(lambda: reader.book(0) and reader.book(1))


@asynccontextmanager
async def bybit(segment: str) -> AsyncIterator[tuple[Heard, Proxy, BybitDepthReader]]:
    async with serving() as sim:
        proxy = Proxy(sim.ws)
        async with served(proxy.handle) as address:
            here = {"rest_url": sim.http, "stream_url": f"ws://{address}"}
            settings = Settings.model_validate({"venues": {"bybit": {segment: here}}, "connection": QUICK})
            heard = Heard()
            reader = BybitDepthReader(
                Feed.parse(f"bybit.{segment}"), {"BTCUSDT": 0, "ETHUSDT": 1}, heard,
                Wiring(settings, SystemClock(), random.Random(1)),
            )  # fmt: skip
            await reader.start()
            try:
                await heard.until(lambda: told(heard, BookState.VALID) and told(heard, BookState.VALID, 1))
                yield heard, proxy, reader
            finally:
                await reader.stop()


def is_delta(text: str) -> bool:
    return '"orderbook.50.BTCUSDT"' in text and '"delta"' in text


@pytest.mark.parametrize("segment", ["spot", "linear"])
async def test_fault_06_a_message_of_bybit_that_is_lost_costs_the_book_until_a_new_subscription(segment: str) -> None:
    async with bybit(segment) as (heard, proxy, reader):
        proxy.fate = once(is_delta, lost)
        await heard.until(lambda: told(heard, BookState.INVALID, 1))
        assert "came after" in told(heard, BookState.INVALID)[0]
        assert told(heard, BookState.INVALID, 1) == told(heard, BookState.INVALID), "it goes with the connection"
        await heard.until(lambda: reader.book(0) and reader.book(1))
        before = heard.valid_changes
        await heard.until(lambda: heard.valid_changes > before + 10)
        assert proxy.connections == 2
        assert reader.book(0) is not None


async def test_fault_08_a_delisted_book_of_bybit_is_none() -> None:
    async with bybit("linear") as (heard, proxy, reader):

        def delisted(text: str) -> list[str]:
            message = json.loads(text)
            data = message["data"] | {"b": [], "a": []}
            return [json.dumps(message | {"type": "snapshot", "data": data})]

        proxy.fate = lambda text: delisted(text) if is_delta(text) else [text]
        await heard.until(lambda: told(heard, BookState.EMPTY))
        assert reader.book(0) is None
        assert reader.book(1) is not None


class Kraken:
    """A v2 book channel of one pair whose best bid moves; `skip` leaves out that many updates."""

    def __init__(self) -> None:
        self.skip = 0
        self.connections = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.connections += 1
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        async for message in socket:
            parameters = json.loads(message.data)["params"]
            if parameters["channel"] == "instrument":
                pair = {"symbol": "BTC/USD", "price_precision": 1, "qty_precision": 8, "status": "online"}
                await socket.send_json({"channel": "instrument", "type": "snapshot", "data": {"pairs": [pair]}})
            elif parameters["channel"] == "book":
                with contextlib.suppress(ConnectionResetError):
                    await self._books(socket)
        return socket

    async def _books(self, socket: web.WebSocketResponse) -> None:
        bids = {f"{100 - place / 2:.1f}": "1.50000000" for place in range(10)}
        asks = {f"{101 + place / 2:.1f}": "0.00250000" for place in range(10)}
        await socket.send_str(self._frame("snapshot", bids, asks, bids, asks))
        for number in range(1, 10_000):
            bids["100.0"] = f"{number}.00000001"
            if self.skip:
                self.skip -= 1
                # The next one moves another level, so that the hole stays open.
                bids["99.5"] = f"{number}.5"
                continue
            await socket.send_str(self._frame("update", {"100.0": bids["100.0"]}, {}, bids, asks))
            await asyncio.sleep(0.002)

    @staticmethod
    def _frame(kind: str, bids: dict[str, str], asks: dict[str, str], *whole: dict[str, str]) -> str:
        def levels(side: dict[str, str]) -> str:
            return ",".join(f'{{"price":{price},"qty":{quantity}}}' for price, quantity in side.items())

        numbers = [
            number.replace(".", "").lstrip("0")
            for side in reversed(whole) for price, quantity in side.items()
            for number in (price, f"{quantity.partition('.')[0]}.{quantity.partition('.')[2]:0<8}")
        ]  # fmt: skip
        return (
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"BTC/USD","bids":[{levels(bids)}],'
            f'"asks":[{levels(asks)}],"checksum":{crc32("".join(numbers).encode())}}}]}}'
        )


async def test_fault_09_a_wrong_checksum_of_kraken_costs_the_book_until_a_new_subscription() -> None:
    kraken = Kraken()
    async with served(kraken.handle) as address:
        here = {"stream_url": f"ws://{address}/v2"}
        settings = Settings.model_validate({"venues": {"kraken": {"spot": here}}, "connection": QUICK})
        heard = Heard()
        reader = KrakenDepthReader({"BTC/USD": 0}, heard, Wiring(settings, SystemClock(), random.Random(1)))
        await reader.start()
        try:
            await heard.until(lambda: heard.valid_changes > 5)
            book = reader.book(0)
            assert book is not None
            assert len(book.bids) == len(book.asks) == 10
            kraken.skip = 1
            await heard.until(lambda: told(heard, BookState.INVALID))
            assert "checksum" in told(heard, BookState.INVALID)[0]
            await heard.until(lambda: len(told(heard, BookState.VALID)) == 2)
            assert kraken.connections == 2
        finally:
            await reader.stop()


@pytest.mark.parametrize(("status", "kind"), [(429, RateLimited), (418, Banned), (503, VenueUnavailable)])
async def test_a_refused_question_says_how_long_to_wait(status: int, kind: type[Exception]) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Retry-After": "7"})

    http = PublicHttp("binance")
    async with served(refuse) as address:
        try:
            with pytest.raises(kind) as caught:
                await http.get(f"http://{address}/x")
        finally:
            await http.close()
    assert getattr(caught.value, "retry_after_s", None) == 7.0


async def test_a_snapshot_that_cannot_be_had_is_asked_for_until_it_can() -> None:
    refusals = 3

    async with sim_binance(rate=1.0) as sim:

        async def handle(request: web.Request) -> web.Response:
            nonlocal refusals
            if refusals:
                refusals -= 1
                return web.Response(status=503)
            async with aiohttp.ClientSession() as session, session.get(sim.http + request.path_qs) as answer:
                return web.Response(body=await answer.read())

        async with served(handle) as address:
            here = {"rest_url": f"http://{address}", "stream_url": sim.ws}
            settings = Settings.model_validate({"venues": {"binance": {"spot": here}}, "connection": QUICK})
            heard = Heard()
            reader = BinanceDepthReader(
                Feed.parse("binance.spot"), {"BTCUSDT": 0}, heard, Wiring(settings, SystemClock(), random.Random(1))
            )
            await reader.start()
            try:
                await heard.until(lambda: told(heard, BookState.VALID))
                assert refusals == 0
                assert sum("503" in words for _, words in heard.feed) == 3
            finally:
                await reader.stop()
