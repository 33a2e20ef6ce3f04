"""The live reader against a server on this machine that speaks Binance's streams and REST."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from bot.clock import SystemClock
from bot.domain.instrument import Feed
from bot.domain.market import FundingRate, PublicTrade, TopOfBook
from bot.errors import GeoBlocked, SettingsError, VenueUnavailable
from bot.ports import FeedState, Wiring
from bot.settings import ConnectionSettings, EndpointSettings, Settings
from exchanges.binance.reader import BinanceReader, stream_plans
from exchanges.binance.venue import BinanceVenue

SPOT, LINEAR, INVERSE = (Feed.parse(f"binance.{segment}") for segment in ("spot", "linear", "inverse"))
FUTURE_MS = 3_600_000
BODIES = {
    "bookTicker": '{"u":%d,"E":9,"T":8,"s":"BTCUSDT","b":"1.0","B":"2","a":"1.1","A":"3"}',
    "aggTrade": '{"e":"aggTrade","E":9,"a":%d,"s":"BTCUSDT","p":"1.0","q":"2","T":8,"m":true}',
    "trade": '{"e":"trade","E":9,"t":%d,"s":"BTCUSDT","p":"1.0","q":"2","T":8,"m":true}',
    "markPrice@1s": '{"e":"markPriceUpdate","E":%d,"s":"BTCUSDT","p":"1.0","r":"0.0001","T":8}',
}
SERVED = {"/stream": {"bookTicker", "trade"}, "/public/stream": {"bookTicker"},
          "/market/stream": {"aggTrade", "markPrice@1s"}}  # fmt: skip


class Heard:
    """Keeps every call."""

    def __init__(self) -> None:
        self.quotes: list[tuple[int, TopOfBook]] = []
        self.trades: list[PublicTrade] = []
        self.fundings: list[FundingRate] = []
        self.malformed: list[str] = []
        self.states: list[tuple[FeedState, str]] = []
        self.offsets: list[tuple[str, int, int]] = []
        self.raw: list[bytes] = []
        self.batches = 0
        self.changed = asyncio.Event()

    def on_quote(self, slot: int, quote: TopOfBook, ts_recv_ns: int, raw: bytes) -> None:
        self.quotes.append((slot, quote))

    def on_trade(self, slot: int, trade: PublicTrade, ts_recv_ns: int) -> None:
        self.trades.append(trade)

    def on_funding(self, slot: int, funding: FundingRate, ts_recv_ns: int) -> None:
        self.fundings.append(funding)

    def on_timed_frame(self, feed: Feed, ts_event_ns: int, ts_recv_ns: int) -> None: ...

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        self.malformed.append(reason)

    def on_feed_state(self, feed: Feed, state: FeedState, detail: str) -> None:
        self.states.append((state, detail))
        self.changed.set()

    def on_clock_offset(self, venue: str, offset_ns: int, round_trip_ns: int) -> None:
        self.offsets.append((venue, offset_ns, round_trip_ns))
        self.changed.set()

    def on_batch_end(self, ts_recv_ns: int) -> None:
        self.batches += 1
        self.changed.set()

    def on_raw(self, feed: Feed, raw: bytes, ts_recv_ns: int) -> None:
        self.raw.append(raw)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@dataclass
class FakeBinance:
    """Serves a stream only on its route, as Binance does; `refuse` and `extra` are faults by path."""

    refuse: dict[str, int] = field(default_factory=dict)
    extra: dict[str, list[str]] = field(default_factory=dict)
    drop_first: bool = False
    time_status: int = 200
    first_frame_timeout_s: float = 30.0
    asked: list[str] = field(default_factory=list)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    number: int = 0

    async def stream(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        if request.path in self.refuse:
            return web.Response(status=self.refuse[request.path])
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        self.sockets.append(socket)
        for name in request.query["streams"].split("/"):
            kind = name.split("@", 1)[1]
            if kind in SERVED[request.path]:
                self.number += 1
                await socket.send_str(f'{{"stream":"{name}","data":{BODIES[kind] % self.number}}}')
        for text in self.extra.get(request.path, []):
            await socket.send_str(text)
        if self.drop_first:
            self.drop_first = False
            await socket.close()
            return socket
        async for message in socket:
            assert message.type is not WSMsgType.ERROR
        return socket

    async def time(self, request: web.Request) -> web.StreamResponse:
        now_ms = SystemClock().now_ns() // 1_000_000
        return web.json_response({"serverTime": now_ms + FUTURE_MS}, status=self.time_status)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Settings]:
        app = web.Application()
        for path in ("/stream", "/public/stream", "/market/stream"):
            app.router.add_get(path, self.stream)
        for path in ("/api/v3/time", "/fapi/v1/time"):
            app.router.add_get(path, self.time)
        async with TestServer(app) as server:
            base = str(server.make_url("/"))
            here = EndpointSettings(rest_url=base, stream_url=base.replace("http", "ws"))
            limits = ConnectionSettings(
                first_frame_timeout_s=self.first_frame_timeout_s, backoff_first_s=0.01, backoff_cap_s=0.05
            )
            yield Settings(venues={"binance": {"spot": here, "linear": here}}, connection=limits)
            for socket in self.sockets:
                await socket.close()


@asynccontextmanager
async def reading(server: FakeBinance, feed: Feed, slots: dict[str, int]) -> AsyncIterator[Heard]:
    async with server.running() as settings:
        sink = Heard()
        reader = BinanceVenue().reader(feed, slots, sink, Wiring(settings, SystemClock(), random.Random(1), sink))
        try:
            await reader.start()
            yield sink
        finally:
            await reader.stop()


async def test_linear_is_read_over_both_routes() -> None:
    server = FakeBinance()
    async with reading(server, LINEAR, {"BTCUSDT": 0, "ETHUSDT": 1}) as sink:
        await sink.until(lambda: len(sink.quotes) == 2 and len(sink.trades) == 2 and len(sink.fundings) == 2)
        assert sorted(slot for slot, _ in sink.quotes) == [0, 1]
        assert sorted(server.asked) == [
            "/market/stream?streams=btcusdt@aggTrade/ethusdt@aggTrade/btcusdt@markPrice@1s/ethusdt@markPrice@1s",
            "/public/stream?streams=btcusdt@bookTicker/ethusdt@bookTicker",
        ]
        assert sink.malformed == []
        assert len(sink.raw) == 6
        assert sink.batches
        assert sink.states[-1][0] is FeedState.LIVE


async def test_spot_is_read_over_one_connection() -> None:
    server = FakeBinance()
    async with reading(server, SPOT, {"BTCUSDT": 4}) as sink:
        await sink.until(lambda: sink.quotes and sink.trades)
        assert server.asked == ["/stream?streams=btcusdt@bookTicker/btcusdt@trade"]
        assert sink.quotes[0][1].ts_event_ns is None


async def test_the_offset_of_the_venues_clock_is_reported() -> None:
    async with reading(FakeBinance(), LINEAR, {"BTCUSDT": 0}) as sink:
        ((venue, offset_ns, round_trip_ns),) = sink.offsets
    assert venue == "binance"
    assert abs(offset_ns - FUTURE_MS * 1_000_000) <= round_trip_ns / 2 + 1_000_000


async def test_a_clock_that_cannot_be_asked_is_a_note_and_not_the_end() -> None:
    async with reading(FakeBinance(time_status=503), LINEAR, {"BTCUSDT": 0}) as sink:
        await sink.until(lambda: sink.quotes)
        assert any("clock offset could not be measured" in words for _, words in sink.states)
        assert sink.offsets == []
        assert FeedState.FAILED not in [state for state, _ in sink.states]


async def test_a_stream_on_the_wrong_route_stops_the_start_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SERVED, "/market/stream", set())
    with pytest.raises(VenueUnavailable) as caught:
        async with reading(FakeBinance(first_frame_timeout_s=2.0), LINEAR, {"BTCUSDT": 0}):
            pass
    for words in ("/market", "btcusdt@aggTrade", "bookTicker on /public", "stream_url"):
        assert words in str(caught.value)


async def test_one_geo_blocked_route_stops_everything_at_once() -> None:
    server = FakeBinance(refuse={"/market/stream": 451})
    with pytest.raises(GeoBlocked, match="does not serve this place"):
        async with reading(server, LINEAR, {"BTCUSDT": 0}):
            pass
    assert len(server.asked) == 2
    assert all(socket.closed for socket in server.sockets)


async def test_a_dropped_route_comes_back_with_all_its_streams() -> None:
    server = FakeBinance(drop_first=True)
    async with reading(server, SPOT, {"BTCUSDT": 0}) as sink:
        await sink.until(lambda: len(sink.quotes) == 2 and len(sink.trades) == 2)
        assert server.asked == ["/stream?streams=btcusdt@bookTicker/btcusdt@trade"] * 2
        assert FeedState.RECONNECTING in [state for state, _ in sink.states]


async def test_garbage_between_the_frames_is_reported_and_the_rest_is_read() -> None:
    quote = '{"stream":"btcusdt@bookTicker","data":' + BODIES["bookTicker"] % 99 + "}"
    server = FakeBinance(extra={"/stream": ["<html>", '{"stream":"btcusdt@depth","data":', quote]})
    async with reading(server, SPOT, {"BTCUSDT": 0}) as sink:
        await sink.until(lambda: len(sink.quotes) == 2)
        assert len(sink.malformed) == 2
        assert len(server.asked) == 1


async def test_the_feed_is_as_well_as_its_worst_route() -> None:
    server = FakeBinance()
    async with reading(server, LINEAR, {"BTCUSDT": 0}) as sink:
        server.refuse["/public/stream"] = 503
        await server.sockets[[path.startswith("/public") for path in server.asked].index(True)].close()
        await sink.until(lambda: sink.states[-1][0] is FeedState.RECONNECTING)
        assert sink.states[-1][1].startswith("/public: ")  # the feed and its state are told beside the words
        server.refuse.clear()
        await sink.until(lambda: sink.states[-1][0] is FeedState.LIVE)
    assert sink.states[-1][0] is FeedState.CLOSED


async def test_no_more_than_200_streams_share_a_connection() -> None:
    symbols = [f"C{number}USDT" for number in range(150)]
    plans = stream_plans(LINEAR, symbols, Settings())
    assert [(plan.name, len(plan.streams)) for plan in plans] == [
        ("binance.linear /public", 150),
        ("binance.linear /market #1", 200),
        ("binance.linear /market #2", 100),
    ]
    assert plans[0].url.startswith("wss://fstream.binance.com/public/stream?streams=c0usdt@bookTicker/c1usdt@")
    assert stream_plans(SPOT, symbols, Settings())[0].url.startswith("wss://stream.binance.com:9443/stream?streams=")


async def test_a_reader_of_nothing_starts_and_stops() -> None:
    async with reading(FakeBinance(), SPOT, {}) as sink:
        assert sink.quotes == []


def test_inverse_cannot_be_read_live() -> None:
    with pytest.raises(SettingsError, match="recordings only"):
        BinanceReader(INVERSE, {"BTCUSD_PERP": 0}, Heard(), Wiring(Settings(), SystemClock(), random.Random(1)))
