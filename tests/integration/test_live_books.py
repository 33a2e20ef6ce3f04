"""One socket for everybody who follows a venue's order books."""

import asyncio

from bot.clock import SystemClock
from bot.domain.instrument import Feed
from bot.domain.order_book import BookState
from bot.ports import FeedState
from bot.settings import Settings
from exchanges.depth.books import HasBooks, LiveBooks
from exchanges.live.market import LiveVenues
from exchanges.registry import all_venues
from tests.integration.sim_binance_server import sim_binance
from tests.integration.test_order_book_readers import QUICK, Heard, Proxy, served, told

LINEAR = Feed.parse("binance.linear")


def watched(feed, *symbols):
    shipped = all_venues()[feed.venue].shipped_instruments(feed)
    return {feed: {symbol: shipped[symbol] for symbol in symbols}}


def settings_of(**more):
    return Settings.model_validate({"connection": QUICK} | more)


async def test_engine_and_recorder_hear_of_the_same_books_over_one_socket():
    async with sim_binance(rate=1.0) as sim:
        proxy = Proxy(sim.ws)
        async with served(proxy.handle) as address:
            here = {"rest_url": sim.http, "stream_url": f"ws://{address}"}
            settings = settings_of(venues={"binance": {"linear": here}})
            books = LiveBooks(watched(LINEAR, "BTCUSDT", "ETHUSDT"), settings, SystemClock())
            engine, recorder = Heard(), Heard()
            books.listen(books.wanted(settings.order_books), engine)
            books.listen([1], recorder)
            books.start()
            try:
                await engine.until(lambda: told(engine, BookState.VALID) and told(engine, BookState.VALID, 1))
                await recorder.until(lambda: told(recorder, BookState.VALID, 1) and recorder.valid_changes)
            finally:
                await books.stop()
            assert proxy.connections == 1
            assert not told(recorder, BookState.VALID)


async def test_books_that_cannot_be_had_are_told_and_stop_nothing():
    settings = settings_of(venues={"binance": {"linear": {"stream_url": "ws://127.0.0.1:9"}}})
    books = LiveBooks(watched(LINEAR, "BTCUSDT"), settings, SystemClock())
    heard = Heard()
    books.listen([0], heard)
    books.start()
    try:
        await heard.until(lambda: any(state is not FeedState.CONNECTING for state, _ in heard.feed))
    finally:
        await asyncio.wait_for(books.stop(), 30)


async def test_nobody_listens_and_nothing_is_connected():
    books = LiveBooks(watched(LINEAR, "BTCUSDT"), settings_of(), SystemClock())
    books.start()
    await books.stop()


def test_the_settings_choose_of_the_instruments_that_are_watched():
    by_feed = watched(LINEAR, "BTCUSDT", "ETHUSDT")
    market = LiveVenues(by_feed, all_venues(), settings_of(), run_s=None)
    assert isinstance(market, HasBooks)
    assert market.books.wanted(settings_of().order_books) == [0, 1]
    eth = settings_of(order_books={"symbols": ["ETH/USDT:USDT"]})
    assert market.books.wanted(eth.order_books) == [1]
    assert market.books.wanted(settings_of(order_books={"enabled": False}).order_books) == []
