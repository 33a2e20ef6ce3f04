"""The reader against a local server that speaks Bybit's public protocol, over real sockets."""

import asyncio
import json
import random

import pytest
from aiohttp import WSMsgType, web

from bot.clock import SystemClock
from bot.domain.instrument import Feed
from bot.errors import GeoBlocked, SettingsError, VenueUnavailable
from bot.ports import FeedState, Wiring
from bot.settings import Settings
from exchanges.bybit.reader import stream_plan
from exchanges.bybit.venue import BybitVenue

LINEAR = Feed.parse("bybit.linear")
SPOT = Feed.parse("bybit.spot")
AHEAD_NS = 1_270_000_000


def quote(symbol, u):
    data = {"s": symbol, "b": [["100.0", "1"]], "a": [["100.1", "2"]], "u": u, "seq": u}
    return json.dumps(
        {"topic": f"orderbook.1.{symbol}", "ts": 1_753_000_000_123, "type": "snapshot", "data": data, "cts": u},
        separators=(",", ":"),
    )


class LocalBybit:
    """Acknowledges every subscription and then sends a quote for each order book asked for."""

    def __init__(self):
        self.status = 200
        self.is_mute = False
        self.paths = []
        self.messages = []
        self.sockets = []
        self.sequence = 0

    async def time(self, request):
        now_ns = SystemClock().now_ns() + AHEAD_NS
        return web.json_response({"retCode": 0, "retMsg": "OK", "result": {"timeNano": str(now_ns)}, "time": 1})

    async def public(self, request):
        self.paths.append(request.path)
        if self.status != 200:
            return web.Response(status=self.status)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await self.answer(socket, json.loads(message.data))
        return socket

    async def answer(self, socket, message):
        self.messages.append(message)
        await socket.send_json({"success": True, "ret_msg": "", "conn_id": "x", "op": message["op"]})
        for topic in message.get("args", ()):
            if topic.startswith("orderbook.1.") and not self.is_mute:
                self.sequence += 1
                await socket.send_str(quote(topic.rpartition(".")[2], self.sequence))


class Heard:
    """Keeps calls and lets a test wait for what it needs."""

    def __init__(self):
        self.quotes = []
        self.states = []
        self.offsets = []
        self.batches = 0
        self._news = asyncio.Event()

    def on_quote(self, slot, quote, ts_recv_ns, raw):
        self.quotes.append((slot, quote))
        self._news.set()

    def on_feed_state(self, feed, state, detail):
        self.states.append(state)
        self._news.set()

    def on_clock_offset(self, venue, offset_ns, round_trip_ns):
        self.offsets.append((venue, offset_ns, round_trip_ns))

    def on_batch_end(self, ts_recv_ns):
        self.batches += 1

    async def until(self, condition):
        async with asyncio.timeout(60):
            while not condition():
                self._news.clear()
                await self._news.wait()


@pytest.fixture
def venue():
    return LocalBybit()


@pytest.fixture
async def port(venue):
    app = web.Application()
    app.router.add_get("/v5/market/time", venue.time)
    app.router.add_get("/v5/public/{segment}", venue.public)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


def settings(port, **connection):
    there = {"rest_url": f"http://127.0.0.1:{port}", "stream_url": f"ws://127.0.0.1:{port}/"}
    return Settings.model_validate(
        {"venues": {"bybit": {"linear": there, "spot": there}}, "connection": {"backoff_first_s": 0.01, **connection}}
    )


def reader(feed, symbols, heard, told):
    slots = {symbol: slot for slot, symbol in enumerate(symbols)}
    return BybitVenue().reader(feed, slots, heard, Wiring(told, SystemClock(), random.Random(7)))


async def test_quotes_come_from_the_feeds_own_route(venue, port):
    heard = Heard()
    linear = reader(LINEAR, ["BTCUSDT", "ETHUSDT"], heard, settings(port))
    await linear.start()
    await heard.until(lambda: len(heard.quotes) == 2)
    await linear.stop()
    assert venue.paths == ["/v5/public/linear"]
    assert venue.messages[0]["args"] == [
        f"{kind}.{symbol}" for kind in ("orderbook.1", "publicTrade", "tickers") for symbol in ("BTCUSDT", "ETHUSDT")
    ]
    assert [(slot, quote.sequence) for slot, quote in heard.quotes] == [(0, 1), (1, 2)]
    assert heard.batches > 0
    assert heard.states == [FeedState.CONNECTING, FeedState.LIVE, FeedState.CLOSED]


async def test_the_clock_offset_is_measured_before_the_first_quote(port):
    heard = Heard()
    linear = reader(LINEAR, ["BTCUSDT"], heard, settings(port))
    await linear.start()
    await linear.stop()
    venue_id, offset_ns, round_trip_ns = heard.offsets[0]
    assert venue_id == "bybit"
    # Bybit's time is asked for in ms.
    assert abs(offset_ns - AHEAD_NS) <= round_trip_ns / 2 + 1_000_000


async def test_at_most_ten_topics_a_message_and_no_tickers_for_spot(venue, port):
    heard = Heard()
    symbols = [f"C{number}USDT" for number in range(12)]
    spot = reader(SPOT, symbols, heard, settings(port))
    await spot.start()
    await heard.until(lambda: len(heard.quotes) == 12)
    await spot.stop()
    assert venue.paths == ["/v5/public/spot"]
    sent = [message["args"] for message in venue.messages if message["op"] == "subscribe"]
    assert [len(args) for args in sent] == [10, 10, 4]
    assert [topic.rpartition(".")[0] for args in sent for topic in args] == ["orderbook.1"] * 12 + ["publicTrade"] * 12


async def test_a_lost_connection_is_made_again_and_subscribed_again(venue, port):
    heard = Heard()
    linear = reader(LINEAR, ["BTCUSDT"], heard, settings(port))
    await linear.start()
    await venue.sockets[0].close()
    await heard.until(lambda: len(heard.quotes) == 2)
    await linear.stop()
    assert FeedState.RECONNECTING in heard.states
    assert len(venue.messages) == 2


async def test_acknowledged_and_silent_names_the_streams_and_the_route(venue, port):
    venue.is_mute = True
    linear = reader(LINEAR, ["BTCUSDT"], Heard(), settings(port, first_frame_timeout_s=2.0))
    with pytest.raises(VenueUnavailable, match=r"acknowledged, but no frame.*orderbook\.1\.BTCUSDT.*/v5/public/linear"):
        await linear.start()
    await linear.stop()


async def test_403_at_the_handshake_is_not_tried_again(venue, port):
    venue.status = 403
    heard = Heard()
    linear = reader(LINEAR, ["BTCUSDT"], heard, settings(port))
    with pytest.raises(GeoBlocked, match=r"does not serve this place.* 600 requests in 5 s"):
        await linear.start()
    await linear.stop()
    assert len(venue.paths) == 1
    assert FeedState.FAILED in heard.states


async def test_nothing_is_connected_where_the_time_cannot_be_asked(venue, port):
    there = {"rest_url": "http://127.0.0.1:1", "stream_url": f"ws://127.0.0.1:{port}"}
    nowhere = Settings.model_validate({"venues": {"bybit": {"linear": there}}})
    linear = reader(LINEAR, ["BTCUSDT"], Heard(), nowhere)
    with pytest.raises(VenueUnavailable, match="cannot be asked"):
        await linear.start()
    await linear.stop()
    assert venue.paths == []


def test_the_heartbeat_and_the_default_host():
    plan = stream_plan(SPOT, {"BTCUSDT": 0}, Settings())
    assert plan.url == "wss://stream.bybit.com/v5/public/spot"
    assert (plan.heartbeat, plan.heartbeat_every_s) == (b'{"op":"ping"}', 20.0)
    assert plan.data_prefix == b'{"topic"'


def test_more_topics_than_one_connection_may_carry():
    with pytest.raises(SettingsError, match="400 instruments are too many"):
        stream_plan(LINEAR, {f"SYMBOL{number}USDT": number for number in range(400)}, Settings())
