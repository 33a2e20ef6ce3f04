"""Who listens to the simulated exchanges: the bot's own readers, and a bare socket that keeps every payload."""

import asyncio
import random
from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from bot.clock import SystemClock
from bot.domain.instrument import Feed
from bot.domain.market import FundingRate, PublicTrade, TopOfBook
from bot.ports import FeedState
from bot.settings import Settings
from exchanges.binance.reader import BinanceReader, stream_plans
from exchanges.bybit.reader import BybitReader, stream_plan
from exchanges.common.market.plan import StreamPlan
from exchanges.simulator.process import pointed_at
from exchanges.simulator.server import Address

SYMBOLS = ("BTCUSDT", "ETHUSDT")
FEEDS = tuple(Feed.parse(name) for name in ("binance.linear", "binance.spot", "bybit.linear", "bybit.spot"))


class CountingSink:
    """A `MarketSink` and tap: counts frames, and keeps the id of every quote by its slot."""

    def __init__(self) -> None:
        self.frames = 0
        self.ids = [array("q") for _ in FEEDS for _ in SYMBOLS]
        self.malformed = 0

    def on_raw(self, feed: Feed, raw: bytes, ts_recv_ns: int) -> None:
        """One more frame."""
        self.frames += 1

    def on_quote(self, slot: int, quote: TopOfBook, ts_recv_ns: int, raw: bytes) -> None:
        """Keep its id."""
        self.ids[slot].append(quote.sequence or 0)

    def on_trade(self, slot: int, trade: PublicTrade, ts_recv_ns: int) -> None:
        """Counted as a frame."""

    def on_funding(self, slot: int, funding: FundingRate, ts_recv_ns: int) -> None:
        """Counted as a frame."""

    def on_timed_frame(self, feed: Feed, ts_event_ns: int, ts_recv_ns: int) -> None:
        """Counted as a frame."""

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        """None may be."""
        self.malformed += 1

    def on_feed_state(self, feed: Feed, state: FeedState, detail: str) -> None:
        """A reader that cannot start raises."""

    def on_clock_offset(self, venue: str, offset_ns: int, round_trip_ns: int) -> None:
        """One clock for all."""

    def on_batch_end(self, ts_recv_ns: int) -> None:
        """Nothing is decided."""

    def take_ids(self, slot: int) -> list[int]:
        """Ids of quotes since the last time."""
        ids = self.ids[slot].tolist()
        del self.ids[slot][:]
        return ids


@asynccontextmanager
async def bot_reading(address: Address) -> AsyncIterator[CountingSink]:
    """The bot's own readers of all four feeds, as a run has them."""
    settings, sink, clock = pointed_at(Settings(), address), CountingSink(), SystemClock()
    async with AsyncExitStack() as stack:
        for place, feed in enumerate(FEEDS):
            kind = BinanceReader if feed.venue == "binance" else BybitReader
            slots = {symbol: place * len(SYMBOLS) + at for at, symbol in enumerate(SYMBOLS)}
            reader = kind(feed, slots, sink, settings, clock, random.Random(1), sink)
            stack.push_async_callback(reader.stop)
            await reader.start()
        yield sink


class BareSocket(WSListener):
    """Keeps every payload of one connection, and when it came."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.came_ns: list[int] = []
        self._now_ns = SystemClock().now_ns

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Keep it."""
        if frame.msg_type is WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.TEXT:
            self.payloads.append(frame.get_payload_as_bytes())
            self.came_ns.append(self._now_ns())

    def take(self) -> list[tuple[int, bytes]]:
        """What came since the last time: when, UTC ns, and the payload."""
        payloads, came_ns = self.payloads, self.came_ns
        self.payloads, self.came_ns = [], []
        return list(zip(came_ns, payloads, strict=True))


@asynccontextmanager
async def bare_reading(address: Address, feeds: Sequence[Feed] = FEEDS) -> AsyncIterator[dict[Feed, list[BareSocket]]]:
    """The same streams on sockets that decode nothing."""
    settings = pointed_at(Settings(), address)
    sockets: dict[Feed, list[BareSocket]] = {feed: [] for feed in feeds}
    transports: list[WSTransport] = []
    try:
        for feed in feeds:
            for plan in _plans(feed, settings):
                transport, listener = await ws_connect(BareSocket, plan.url)
                assert isinstance(listener, BareSocket)
                transports.append(transport)
                sockets[feed].append(listener)
                for message in plan.subscribe:
                    transport.send(WSMsgType.TEXT, message)
        yield sockets
    finally:
        for transport in transports:
            transport.disconnect()
        await asyncio.gather(*(transport.wait_disconnected() for transport in transports))


def _plans(feed: Feed, settings: Settings) -> Sequence[StreamPlan]:
    if feed.venue == "binance":
        return stream_plans(feed, SYMBOLS, settings)
    return [stream_plan(feed, {symbol: slot for slot, symbol in enumerate(SYMBOLS)}, settings)]
