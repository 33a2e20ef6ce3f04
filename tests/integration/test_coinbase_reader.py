"""Coinbase's reader against a local server that speaks its public protocol, over real sockets."""

import random

import pytest

from bot.clock import SystemClock
from bot.domain.instrument import Feed
from bot.errors import SettingsError
from bot.ports import FeedState, MarketReader, Wiring
from bot.settings import ConnectionSettings, Settings
from exchanges.coinbase.reader import stream_plans
from exchanges.coinbase.venue import CoinbaseVenue
from tests.integration.kraken_coinbase_servers import AHEAD_NS, Heard, LocalCoinbase, served

SPOT = Feed.parse("coinbase.spot")
SLOTS = {"BTC-USD": 0, "ETH-USD": 1}


def reader(server: LocalCoinbase, sink: Heard, **limits: float) -> MarketReader:
    endpoint = {"stream_url": f"ws://{server.url}/", "rest_url": f"http://{server.url}"}
    settings = Settings(venues={"coinbase": {"spot": endpoint}}, connection=ConnectionSettings(**limits))
    return CoinbaseVenue().reader(SPOT, SLOTS, sink, Wiring(settings, SystemClock(), random.Random(1)))  # type: ignore[arg-type]


def tops(sink: Heard, slot: int) -> list[float]:
    return [quote.bid_price for at, quote in sink.quotes if at == slot]


async def test_every_product_is_quoted_and_the_clock_is_known() -> None:
    server, sink = LocalCoinbase(), Heard()
    async with served(server):
        one = reader(server, sink)
        await one.start()
        await sink.until(lambda: {slot for slot, _ in sink.quotes} == {0, 1} and bool(sink.offsets))
        await one.stop()
    venue, offset_ns, round_trip_ns = sink.offsets[0]
    assert venue == "coinbase"
    assert abs(offset_ns - AHEAD_NS) <= round_trip_ns
    assert server.asked == [
        {"type": "subscribe", "channel": "level2", "product_ids": sorted(SLOTS)},
        {"type": "subscribe", "channel": "market_trades", "product_ids": sorted(SLOTS)},
        {"type": "subscribe", "channel": "heartbeats"},
    ]
    assert not sink.malformed


async def test_a_lost_message_takes_the_quotes_back_and_brings_whole_books() -> None:
    server, sink = LocalCoinbase(), Heard()
    async with served(server):
        one = reader(server, sink, backoff_first_s=0.01)
        await one.start()
        await sink.until(lambda: tops(sink, 0) == tops(sink, 1) == [100.1])
        (socket,) = server.sockets
        await server.book(socket, "BTC-USD", ("bid", "100.15", "1"))
        await sink.until(lambda: tops(sink, 0) == [100.1, 100.15])
        server.numbers[socket] += 1
        await server.book(socket, "BTC-USD", ("bid", "100.16", "1"))
        await sink.until(lambda: tops(sink, 0) == [100.1, 100.15, 0.0, 100.1] and tops(sink, 1)[1:] == [0.0, 100.1])
        await one.stop()
    assert len(server.sockets) == 2
    assert FeedState.RECONNECTING in {state for state, _ in sink.states}
    assert "came where" in sink.malformed[0]


async def test_a_planned_reconnect_never_counts_two_connections_as_one() -> None:
    server, sink = LocalCoinbase(), Heard()
    async with served(server):
        one = reader(server, sink, planned_reconnect_h=0.5 / 3600)
        await one.start()
        await sink.until(lambda: len(server.sockets) >= 3 and len(tops(sink, 0)) >= 3)
        await one.stop()
    assert not sink.malformed
    assert set(tops(sink, 0)) == {100.1}


def test_a_simulated_market_never_reads_the_real_exchange() -> None:
    with pytest.raises(SettingsError, match="no simulated exchange"):
        CoinbaseVenue().reader(SPOT, SLOTS, Heard(), Wiring(Settings(), SystemClock(), random.Random(1)))  # type: ignore[arg-type]


def test_many_products_are_split_over_connections() -> None:
    plans = stream_plans([f"A{number}-USD" for number in range(25)], Settings(market="live"))
    assert [len(part) for part, _ in plans] == [10, 10, 5]
    assert {plan.url for _, plan in plans} == {"wss://advanced-trade-ws.coinbase.com"}
    assert len({plan.name for _, plan in plans}) == 3
