"""The bot's own reader of Bybit against the simulated one."""

import asyncio
import random

import pytest

from bot.clock import SystemClock
from bot.domain.instrument import Feed
from bot.ports import Wiring
from bot.settings import Settings
from exchanges.bybit.venue import BybitVenue
from exchanges.simulator.market.listings import default_listings
from tests.integration.sim_bybit_server import serving


class Sink:
    """Remembers what the reader delivers."""

    def __init__(self):
        self.quotes, self.trades, self.fundings, self.malformed, self.states = [], [], [], [], []
        self.changed = asyncio.Event()

    def on_quote(self, slot, quote, ts_recv_ns, raw):
        self.quotes.append((slot, quote))
        self.changed.set()

    def on_trade(self, slot, trade, ts_recv_ns):
        self.trades.append((slot, trade))
        self.changed.set()

    def on_funding(self, slot, funding, ts_recv_ns):
        self.fundings.append(funding)
        self.changed.set()

    def on_malformed(self, feed, raw, why):
        self.malformed.append((raw, why))

    def on_feed_state(self, feed, state, why):
        self.states.append((state, why))

    def on_timed_frame(self, feed, ts_event_ns, ts_recv_ns):
        pass

    def on_clock_offset(self, venue, offset_ns, round_trip_ns):
        self.offset_ns = offset_ns

    def on_batch_end(self, ts_recv_ns):
        pass


@pytest.mark.parametrize("name", ["bybit.linear", "bybit.spot"])
async def test_the_bot_reads_it(name):
    feed = Feed.parse(name)
    async with serving() as server:
        here = {"rest_url": server.http, "stream_url": server.ws}
        settings = Settings.model_validate({"venues": {"bybit": {str(feed.segment): here}}})
        listed = await BybitVenue().instruments(feed, ["BTC/USDT:USDT" if "linear" in name else "BTC/USDT"], settings)
        known = [one.instrument for one in default_listings("bybit") if one.instrument.feed == feed]
        assert listed == {"BTCUSDT": known[0]}
        sink = Sink()
        slots = {"BTCUSDT": 0, "ETHUSDT": 1}
        reader = BybitVenue().reader(feed, slots, sink, Wiring(settings, SystemClock(), random.Random(1)))
        await reader.start()

        def is_enough():
            seen = {slot for slot, _ in sink.quotes}
            return seen == {0, 1} and sink.trades and (sink.fundings or "spot" in name) and len(sink.quotes) > 20

        async with asyncio.timeout(60):
            while not is_enough():
                sink.changed.clear()
                await sink.changed.wait()
        await reader.stop()
    assert not sink.malformed
    assert all(quote.bid_price < quote.ask_price for _, quote in sink.quotes)
    assert abs(sink.offset_ns) < 1e9
