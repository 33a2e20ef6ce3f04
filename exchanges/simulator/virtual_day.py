"""A day of the simulated exchanges on a virtual clock: as a market, as fast as it can be computed.

The frames are those that a bot reads at the served exchanges, made by the same hubs; no socket and no account is
behind them. So orders go to a paper venue, and change nothing of the market.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence

from bot.clock import VirtualClock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument
from bot.domain.market import PrintedQuote
from bot.errors import SettingsError
from bot.ports import FeedState, FrameTap, LiveVenueModule, MarketEnd, MarketSink
from bot.settings import Settings
from exchanges.binance.reader import stream_plans
from exchanges.bybit.reader import stream_plan
from exchanges.simulator.binance.desk import Desk
from exchanges.simulator.binance.hub import Hub as BinanceHub
from exchanges.simulator.binance.outlet import Outlet
from exchanges.simulator.bybit.catalogue import Catalogue
from exchanges.simulator.bybit.connection import Connection
from exchanges.simulator.bybit.hub import Hub as BybitHub
from exchanges.simulator.bybit.options import BybitOptions
from exchanges.simulator.bybit.public_socket import PublicSocket
from exchanges.simulator.core.ports import Account, Market
from exchanges.simulator.core.setup import Setup
from exchanges.simulator.core.values import Listing, MarketEvent
from exchanges.simulator.market.listings import cross_listings, default_listings
from exchanges.simulator.market.market import SimulatedMarket

START_NS = 1_767_571_200_000_000_000
"""2026-01-05T00:00:00Z. Prices come from the seed alone; of the start depends only when funding is due."""
_STEPS_A_TURN = 2_000
"""Steps of the market between two turns of the asyncio loop: some 50 ms of computing."""


class VirtualDay:
    """Implements `bot.ports.Market`: the listings of `feeds`, from the first moment of a seed's day.

    Args:
        feeds: Feed -> unified symbols to watch.
        venues: Whose decoders to use.
        settings: What the readers ask for.
        scenario: How the day goes.
        seed: Of the day.
        play_s: Seconds of it.

    Raises:
        SettingsError: If there is no such scenario, or a symbol that the simulated venues do not list.
    """

    name = "simulated"

    def __init__(
        self,
        feeds: Mapping[Feed, Sequence[str]],
        venues: Mapping[str, LiveVenueModule],
        settings: Settings,
        *,
        scenario: str,
        seed: int,
        play_s: float,
    ) -> None:
        self._venues = venues
        self._settings = settings
        self._end_ns = START_NS + round(play_s * 1e9)
        listings = [_listing(feed, symbol) for feed, symbols in feeds.items() for symbol in symbols]
        self.instruments: Sequence[Instrument] = [listing.instrument for listing in listings]
        self.by_feed: Mapping[Feed, Mapping[str, Instrument]] = {
            feed: {one.symbol: one.instrument for one in listings if one.instrument.feed == feed} for feed in feeds
        }
        self.tap: FrameTap | None = None
        self.clock = VirtualClock(START_NS)
        self.published_fees: Mapping[Feed, FeeSchedule] = {
            feed: fees for feed in feeds if (fees := venues[feed.venue].published_fees(feed)) is not None
        }
        self._market = SimulatedMarket(listings, seed=seed, start_ns=START_NS, scenario=scenario)
        self._exchanges = {venue: _Exchange(venue, self._market, self.clock) for venue in ("binance", "bybit")}
        self._wires: list[_Wire] = []
        self._outlets: list[Outlet] = []

    def printed(self, feed: Feed, raw: bytes) -> PrintedQuote:
        """A delivered quote again, with the digits that the venue printed."""
        return self._venues[feed.venue].printed(feed, raw)

    def progress(self) -> float | None:
        """Part of the time that has been played."""
        return (self.clock.now_ns() - START_NS) / (self._end_ns - START_NS)

    async def run(self, sink: MarketSink, stop: asyncio.Event) -> MarketEnd:
        """Play to the end, or to `stop`."""
        slots = {instrument.id: slot for slot, instrument in enumerate(self.instruments)}
        for feed, found in self.by_feed.items():
            decoder = self._venues[feed.venue].decoder(feed, {name: slots[i.id] for name, i in found.items()}, sink)
            self._subscribe(feed, sorted(found), decoder.on_frame)
            sink.on_feed_state(feed, FeedState.LIVE, "simulated")
        while self.clock.now_ns() < self._end_ns and not stop.is_set():
            self._play(sink, _STEPS_A_TURN)
            await asyncio.sleep(0)
        return MarketEnd(complete=not stop.is_set(), stopped=stop.is_set())

    def _play(self, sink: MarketSink, steps: int) -> None:
        clock, market = self.clock, self._market
        for _ in range(steps):
            at_ns = min(market.next_event_ns(), self._end_ns)
            clock.advance_to(at_ns)
            events = market.advance_to(at_ns)
            for exchange in self._exchanges.values():
                exchange.tell(events)
            for outlet in self._outlets:
                outlet.flush()
            for wire in self._wires:
                wire.deliver(at_ns)
            sink.on_batch_end(at_ns)
            if at_ns >= self._end_ns:
                return

    def _subscribe(self, feed: Feed, symbols: Sequence[str], on_frame: Callable[[bytes, int], None]) -> None:
        if feed.venue == "binance":
            self._subscribe_binance(feed, symbols, on_frame)
        else:
            self._subscribe_bybit(feed, symbols, on_frame)

    def _subscribe_binance(self, feed: Feed, symbols: Sequence[str], on_frame: Callable[[bytes, int], None]) -> None:
        hub = BinanceHub(Desk(self._exchanges["binance"], self.clock), feed.segment)
        for plan in stream_plans(feed, symbols, self._settings):
            wire = self._wire(plan.data_prefix, on_frame)
            outlet = Outlet(wire)
            self._outlets.append(outlet)
            for stream in plan.streams:
                topic = hub.topic(stream)
                assert topic is not None, f"the reader asks for {stream}, which the simulated Binance does not serve"
                hub.join(topic, outlet, combined=True)

    def _subscribe_bybit(self, feed: Feed, symbols: Sequence[str], on_frame: Callable[[bytes, int], None]) -> None:
        exchange = self._exchanges["bybit"]
        catalogue, options = Catalogue("bybit", self._market.listings), BybitOptions()
        hub = BybitHub(exchange, catalogue, self.clock, options)
        plan = stream_plan(feed, dict.fromkeys(symbols, 0), self._settings)
        connection = Connection(self._wire(plan.data_prefix, on_frame), "virtual", options.max_unsent)
        socket = PublicSocket(str(feed.segment), connection, hub, catalogue, options)
        for message in plan.subscribe:
            socket.on_message(json.loads(message))

    def _wire(self, data_prefix: bytes, on_frame: Callable[[bytes, int], None]) -> "_Wire":
        wire = _Wire(data_prefix, on_frame)
        self._wires.append(wire)
        return wire


def _listing(feed: Feed, symbol: str) -> Listing:
    known = [one for one in (*default_listings(feed.venue), *cross_listings()) if one.instrument.feed == feed]
    for listing in known:
        if listing.instrument.symbol == symbol:
            return listing
    names = ", ".join(one.instrument.symbol for one in known) or "nothing"
    raise SettingsError(f"the simulated {feed} does not list {symbol}; it lists {names}")


class _Exchange:
    """One venue of the market with nobody on it: implements `core.ports.Exchange`."""

    def __init__(self, venue: str, market: Market, clock: VirtualClock) -> None:
        self.venue = venue
        self.market = market
        self.setup = Setup()
        self.now_ns = clock.now_ns
        self._listeners: list[Callable[[Sequence[MarketEvent]], None]] = []

    def account(self, api_key: str) -> Account | None:
        """Nobody has one."""

    def secret(self, api_key: str) -> str | None:
        """Nobody has one."""

    def subscribe(self, listener: Callable[[Sequence[MarketEvent]], None]) -> Callable[[], None]:
        """Hear what the market does."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def tell(self, events: Sequence[MarketEvent]) -> None:
        """Hand a batch on."""
        for listener in self._listeners:
            listener(events)


class _Wire(asyncio.Transport):
    """The connection of a client that is this program itself: what is written waits for `deliver`."""

    def __init__(self, data_prefix: bytes, on_frame: Callable[[bytes, int], None]) -> None:
        super().__init__()
        self._data_prefix = data_prefix
        self._on_frame = on_frame
        self._written = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self._written += data

    def is_closing(self) -> bool:
        """It never is."""
        return False

    def get_write_buffer_size(self) -> int:
        """Nothing is ever in the way."""
        return 0

    def deliver(self, ts_recv_ns: int) -> None:
        """Hand every market-data frame on that was written since the last call."""
        if not self._written:
            return
        written, self._written = bytes(self._written), bytearray()
        at = 0
        while at < len(written):
            at, end = _payload(written, at)
            payload = written[at:end]
            if payload.startswith(self._data_prefix):
                self._on_frame(payload, ts_recv_ns)
            at = end


def _payload(written: bytes, at: int) -> tuple[int, int]:
    """Begin and end of the payload of the server's frame at `at` (RFC 6455: unmasked, in one piece)."""
    size = written[at + 1]
    if size < 126:
        return at + 2, at + 2 + size
    begin = at + (4 if size == 126 else 10)
    return begin, begin + int.from_bytes(written[at + 2 : begin], "big")
