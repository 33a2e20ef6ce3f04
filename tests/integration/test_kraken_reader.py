"""Kraken's reader against a local server that speaks its public protocol, over real sockets."""

import random

import pytest

from bot.clock import SystemClock
from bot.domain.instrument import Feed
from bot.errors import SettingsError, VenueUnavailable
from bot.ports import FeedState, MarketReader, Wiring
from bot.settings import ConnectionSettings, Settings
from exchanges.kraken.reader import stream_plans
from exchanges.kraken.venue import KrakenVenue
from tests.integration.kraken_coinbase_servers import AHEAD_NS, Heard, LocalKraken, served

SPOT = Feed.parse("kraken.spot")
SLOTS = {"BTC/USD": 0, "ETH/USDT": 1}


def settings(server: LocalKraken, **limits: float) -> Settings:
    endpoint = {"stream_url": f"ws://{server.url}/v2"}
    return Settings(venues={"kraken": {"spot": endpoint}}, connection=ConnectionSettings(**limits))


def reader(server: LocalKraken, sink: Heard, **limits: float) -> MarketReader:
    rng = random.Random(1)
    return KrakenVenue().reader(SPOT, SLOTS, sink, Wiring(settings(server, **limits), SystemClock(), rng))  # type: ignore[arg-type]


async def test_every_pair_is_quoted_when_it_has_started_and_the_clock_is_known() -> None:
    server, sink = LocalKraken(), Heard()
    async with served(server):
        one = reader(server, sink)
        await one.start()
        await sink.until(lambda: {slot for slot, _ in sink.quotes} == {0, 1} and bool(sink.offsets))
        await one.stop()
    venue, offset_ns, round_trip_ns = sink.offsets[0]
    assert venue == "kraken"
    assert abs(offset_ns - AHEAD_NS) <= round_trip_ns
    channels = [asked["params"] for asked in server.asked if asked["method"] == "subscribe"]
    assert channels == [
        {"channel": "ticker", "event_trigger": "bbo", "snapshot": True, "symbol": sorted(SLOTS)},
        {"channel": "trade", "snapshot": False, "symbol": sorted(SLOTS)},
    ]
    assert not sink.malformed


async def test_a_lost_connection_is_made_and_subscribed_anew() -> None:
    server, sink = LocalKraken(), Heard()
    async with served(server):
        one = reader(server, sink, backoff_first_s=0.01)
        await one.start()
        await sink.until(lambda: bool(sink.offsets) and len(sink.quotes) == 2)
        for socket in list(server.sockets):
            await socket.close()
        await sink.until(lambda: len(sink.quotes) >= 4)
        await one.stop()
    assert FeedState.RECONNECTING in {state for state, _ in sink.states}


async def test_a_quiet_pair_is_no_dead_connection_while_heartbeats_come() -> None:
    server, sink = LocalKraken(), Heard()
    async with served(server):
        one = reader(server, sink, stale_after_s=0.4, silence_timeout_s=30.0)
        await one.start()
        await sink.until(lambda: len(sink.quotes) == 2)
        await sink.until(lambda: FeedState.SILENT in {state for state, _ in sink.states})
        silent = len(sink.states)
        assert server.feeding is not None
        await server.feeding.send_str('{"channel":"heartbeat"}')
        await sink.until(lambda: any(state is FeedState.LIVE for state, _ in sink.states[silent:]))
        await one.stop()
    assert len(sink.quotes) == 2


async def test_one_that_stays_silent_is_told_by_what_to_check() -> None:
    server, sink = LocalKraken(), Heard()
    server.is_mute = True
    async with served(server):
        one = reader(server, sink, first_frame_timeout_s=2.0)
        with pytest.raises(VenueUnavailable, match="stream_url"):
            await one.start()


def test_a_simulated_market_never_reads_the_real_exchange() -> None:
    with pytest.raises(SettingsError, match=r"no simulated exchange without simulator\.kraken=true"):
        KrakenVenue().reader(SPOT, SLOTS, Heard(), Wiring(Settings(), SystemClock(), random.Random(1)))  # type: ignore[arg-type]


def test_many_pairs_are_split_over_messages_and_connections() -> None:
    symbols = [f"A{number}/USD" for number in range(450)]
    plans = stream_plans(symbols, Settings(market="live"))
    assert [len(plan.streams) for plan in plans] == [200, 200, 50]
    assert [len(plan.subscribe) for plan in plans] == [4, 4, 2]
    assert plans[0].url == "wss://ws.kraken.com/v2"
    assert len({plan.name for plan in plans}) == 3
