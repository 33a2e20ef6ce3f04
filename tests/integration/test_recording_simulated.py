"""Every pair of two simulated exchanges recorded over real sockets, order books and views too."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from bot.clock import SystemClock
from bot.domain.instrument import Feed
from bot.errors import SettingsError, VenueUnavailable
from bot.ports import Wiring
from bot.recording.record import FeedRates, FrameCounter, record
from bot.recording.recorder import Recorder
from bot.settings import Settings
from bot.storage.archive.channels import Channel
from exchanges.binance.reader import stream_plans as binance_plans
from exchanges.bybit import metadata
from exchanges.bybit.reader import stream_plans as bybit_plans
from exchanges.common.market.wanted import ALL
from exchanges.depth.readers import depth_readers
from exchanges.live.market import LiveVenues, ask_instruments
from exchanges.registry import all_venues
from exchanges.simulator.market.listings import many_listings
from exchanges.simulator.process import pointed_at
from exchanges.simulator.server import SimulatorServer
from tests.unit.recording_memory import MemoryStore

FEEDS = [Feed.parse(name) for name in ("binance.spot", "binance.linear", "bybit.spot", "bybit.linear")]
metadata._TIMEOUT_S = 60  # a busy machine takes its time to answer
BTC = "BTC/USDT:USDT"
MOST = 450


@asynccontextmanager
async def simulated(listings: int) -> AsyncIterator[tuple[LiveVenues, Settings, SimulatorServer]]:
    server = SimulatorServer("calm", 1, SystemClock(), listings=listings)
    address = await server.start(0)
    stop = asyncio.Event()
    running = asyncio.create_task(server.run(stop))
    settings, venues = pointed_at(Settings(), address), all_venues()
    try:
        found = await ask_instruments({feed: [ALL] for feed in FEEDS}, venues, settings)
        yield LiveVenues(found, venues, settings, run_s=None, name="simulated"), settings, server
    finally:
        stop.set()
        await running


async def test_five_hundred_instruments_are_recorded() -> None:
    async with simulated(500) as (market, settings, _):
        assert len(market.instruments) == 500
        store, told = MemoryStore(), []
        recorder = Recorder(store, market.instruments, market.clock)
        books = {
            feed: {"BTCUSDT": market.instruments.index(found["BTCUSDT"])} for feed, found in market.by_feed.items()
        }
        counter = FrameCounter()
        sink = recorder.keep_books([slot for found in books.values() for slot in found.values()])
        depth = depth_readers(books, sink, Wiring(settings, market.clock, random.Random(1), counter))
        recorder.sample_views([BTC], market.printed, per_s=5.0)
        stop = asyncio.Event()

        def look(rates: list[FeedRates]) -> None:
            told.append(rates)
            # Quiet coins of Binance say nothing before they change, which takes some of them a while.
            if len(told) >= 3 and np.count_nonzero(recorder.quotes.newest_ns()) >= MOST:
                stop.set()

        summary = await record(market, recorder, stop, depth=depth, counter=counter, for_s=30.0, on_rates=look)
    assert summary["stopped"], "before the time was over"
    assert summary["complete"], summary
    assert summary["instruments"] == 500
    assert summary["rows"] == sum(info.rows for info, _ in store.tables)
    assert_rates(told, summary)
    for feed, found in market.by_feed.items():
        scope = [info for info in store.segments() if info.scope == str(feed)]
        assert {info.channel for info in scope} >= {Channel.QUOTES, Channel.TRADES, Channel.DEPTH}, feed
        assert sum(info.size_bytes for info in scope) == summary["feeds"][str(feed)]["size_bytes"]
        quoted = {name for name in store.instruments(Channel.QUOTES) if name in {one.id for one in found.values()}}
        assert len(quoted) > MOST - 375
        rows = store.of(Channel.DEPTH, found["BTCUSDT"].id)
        assert rows[0]["kind"] == "snapshot"
        assert {row["kind"] for row in rows[:-1]} == {"snapshot", "delta"}
        assert rows[-1]["kind"] == "invalid", "the readers have stopped: nobody knows the book any more"
    views = store.of(Channel.VIEWS, BTC)
    assert len(views) >= 5
    assert '"binance":{"symbol":"BTCUSDT"' in str(views[-1]["view"])
    assert '"bybit":{"symbol":"BTCUSDT"' in str(views[-1]["view"])


def assert_rates(told: list[list[FeedRates]], summary: dict[str, object]) -> None:
    assert len(told) >= 2
    assert {str(one.feed) for one in told[-1]} == set(map(str, FEEDS))
    for one in told[-1]:
        assert one.state == "live"
        assert one.frames_per_s > 0
        assert one.rows_per_s > 0
        assert one.lag_s >= 0
        feeds = summary["feeds"]
        assert isinstance(feeds, dict)
        assert feeds[str(one.feed)]["frames"] >= one.frames > one.frames_per_s


async def test_a_person_ends_it_and_what_came_is_durable() -> None:
    async with simulated(8) as (market, _, _):
        store, stop = MemoryStore(), asyncio.Event()
        recorder = Recorder(store, market.instruments, market.clock)
        summary = await record(market, recorder, stop, on_rates=lambda rates: stop.set())
    assert summary["stopped"]
    assert summary["complete"]
    assert summary["rows"] == sum(recorder.received(feed) for feed in FEEDS) > 0


async def test_a_feed_that_cannot_be_read_ends_it_with_its_error() -> None:
    async with simulated(8) as (market, _, server):
        await server.close()
        store = MemoryStore()
        recorder = Recorder(store, market.instruments, market.clock)
        with pytest.raises(VenueUnavailable):
            await record(market, recorder, asyncio.Event())
        assert recorder.status().waiting_rows == 0


def test_connections_are_split_by_the_limits_of_the_venues() -> None:
    symbols = {f"SYMBOL{number}USDT": number for number in range(1_200)}
    for feed in FEEDS[:2]:
        plans = binance_plans(feed, sorted(symbols), Settings())
        assert max(len(plan.streams) for plan in plans) <= 200
        assert max(len(plan.url) for plan in plans) < 8_000
        assert len({plan.name for plan in plans}) == len(plans)
    for feed in FEEDS[2:]:
        several = bybit_plans(feed, symbols, Settings())
        assert sum(len(plan.streams) for plan in several) == len(symbols) * (2 if feed.segment == "spot" else 3)
        assert max(sum(len(topic) + 3 for topic in plan.streams) for plan in several) <= 21_000
        assert len({plan.name for plan in several}) == len(several) > 1
        assert [plan.name for plan in bybit_plans(feed, ["BTCUSDT"], Settings())] == [
            f"{feed} /v5/public/{feed.segment}"
        ]


def test_depth_readers_are_split_and_only_of_venues_that_have_books() -> None:
    slots = {f"SYMBOL{number}USDT": number for number in range(450)}
    clock, rng, sink = SystemClock(), random.Random(1), Recorder(MemoryStore(), [], SystemClock()).keep_books([])
    assert len(depth_readers({FEEDS[0]: slots, FEEDS[3]: slots}, sink, Wiring(Settings(), clock, rng))) == 6
    with pytest.raises(SettingsError, match=r"coinbase\.spot has no order books"):
        depth_readers({Feed.parse("coinbase.spot"): slots}, sink, Wiring(Settings(), clock, rng))


def test_listings_are_as_many_as_asked_for() -> None:
    listings = many_listings(11)
    assert [one.instrument.id for one in listings[8:]] == [
        "binance:ALT001/USDT", "binance:ALT001/USDT:USDT", "bybit:ALT001/USDT",
    ]  # fmt: skip
    assert len({one.instrument.id for one in many_listings(500)}) == 500
    with pytest.raises(ValueError, match="7 listings are too few"):
        many_listings(7)
