"""A simulated day on a virtual clock: the frames are the venues', the quotes the market's, every time the same."""

import asyncio
from collections import defaultdict
from typing import Any

import pytest

from bot.domain.instrument import Feed, Segment
from bot.domain.market import FundingRate, PublicTrade, TopOfBook
from bot.errors import SettingsError
from bot.ports import FeedState
from bot.settings import Settings
from exchanges.registry import all_venues
from exchanges.simulator.market.listings import default_listings
from exchanges.simulator.market.market import SimulatedMarket
from exchanges.simulator.virtual_day import START_NS, VirtualDay

FEEDS = {Feed(venue=venue, segment=segment): ["BTC/USDT:USDT" if segment is Segment.LINEAR else "BTC/USDT"]
         for venue in ("binance", "bybit") for segment in (Segment.LINEAR, Segment.SPOT)}  # fmt: skip


class Sink:
    """Keeps everything that is delivered."""

    def __init__(self) -> None:
        self.quotes: dict[int, list[tuple[int, TopOfBook, bytes]]] = defaultdict(list)
        self.trades: dict[int, int] = defaultdict(int)
        self.funding: dict[int, FundingRate] = {}
        self.malformed: list[bytes] = []
        self.states: list[tuple[str, FeedState]] = []
        self.batches = 0

    def on_quote(self, slot: int, quote: TopOfBook, ts_recv_ns: int, raw: bytes) -> None:
        self.quotes[slot].append((ts_recv_ns, quote, raw))

    def on_trade(self, slot: int, trade: PublicTrade, ts_recv_ns: int) -> None:
        self.trades[slot] += 1

    def on_funding(self, slot: int, funding: FundingRate, ts_recv_ns: int) -> None:
        self.funding[slot] = funding

    def on_timed_frame(self, feed: Feed, ts_event_ns: int, ts_recv_ns: int) -> None:
        assert ts_event_ns <= ts_recv_ns

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        self.malformed.append(raw)

    def on_feed_state(self, feed: Feed, state: FeedState, detail: str) -> None:
        self.states.append((str(feed), state))

    def on_clock_offset(self, venue: str, offset_ns: int, round_trip_ns: int) -> None:
        raise AssertionError("nobody measures a virtual clock")

    def on_batch_end(self, ts_recv_ns: int) -> None:
        self.batches += 1


def day(seconds: float = 5.0, seed: int = 3, scenario: str = "calm", feeds: Any = None) -> VirtualDay:
    return VirtualDay(feeds or FEEDS, all_venues(), Settings(), scenario=scenario, seed=seed, play_s=seconds)


async def played(**asked: Any) -> tuple[VirtualDay, Sink]:
    market, sink = day(**asked), Sink()
    end = await market.run(sink, asyncio.Event())
    assert end.complete
    return market, sink


async def test_every_feed_delivers_what_its_reader_asks_for() -> None:
    market, sink = await played()
    assert sink.malformed == []
    assert {feed for feed, _ in sink.states} == {str(feed) for feed in FEEDS}
    for slot, instrument in enumerate(market.instruments):
        assert len(sink.quotes[slot]) > 10, instrument.id
        assert sink.trades[slot] > 0, instrument.id
        if instrument.is_perpetual:
            assert sink.funding[slot].rate is not None
    assert market.progress() == 1.0
    assert market.clock.now_ns() == START_NS + 5 * 10**9
    times = [ts_ns for quotes in sink.quotes.values() for ts_ns, _, _ in quotes]
    assert START_NS <= min(times) <= max(times) <= START_NS + 5 * 10**9


async def test_the_quotes_are_those_of_the_simulated_market() -> None:
    """Binance tells every change of the top: the last quote is the book, and its id the book's."""
    market, sink = await played()
    listings = [one for one in default_listings("binance") if one.instrument.symbol == "BTC/USDT:USDT"]
    other = SimulatedMarket(listings, seed=3, start_ns=START_NS, scenario="calm")
    other.advance_to(START_NS + 5 * 10**9)
    ((bid, _),), ((ask, _),) = other.levels(0, 1)
    tick = float(listings[0].instrument.tick_size)
    slot = [instrument.id for instrument in market.instruments].index("binance:BTC/USDT:USDT")
    _, last, _ = sink.quotes[slot][-1]
    assert (last.bid_price, last.ask_price) == pytest.approx((bid * tick, ask * tick))


async def test_a_seed_repeats_its_day_and_another_does_not() -> None:
    frames = [
        [raw for rows in (await played(seed=seed))[1].quotes.values() for _, _, raw in rows] for seed in (3, 3, 4)
    ]
    assert frames[0] == frames[1]
    assert frames[0] != frames[2]


async def test_a_stop_ends_it() -> None:
    market, stop = day(seconds=3600.0), asyncio.Event()
    running = asyncio.create_task(market.run(Sink(), stop))
    await asyncio.sleep(0)
    stop.set()
    async with asyncio.timeout(60):
        end = await running
    assert end.stopped
    assert not end.complete


def test_what_the_venues_do_not_list_is_refused() -> None:
    feed = Feed(venue="binance", segment=Segment.LINEAR)
    with pytest.raises(SettingsError, match="does not list DOGE/USDT:USDT; it lists BTC/USDT:USDT"):
        day(feeds={feed: ["DOGE/USDT:USDT"]})
    with pytest.raises(SettingsError, match=r"no scenario 'clam'; .*; did you mean calm\?"):
        day(scenario="clam")
