"""Faults 13 and 16: whatever bytes come, every decoder of market data goes on, and only numbers become quotes.

Behind each decoder stands a real engine, so that what its gate refuses counts as refused.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.instrument import Feed, Instrument, Segment
from exchanges.binance.depth_frames import BinanceDepthFrames
from exchanges.bybit.depth_frames import BybitDepthFrames
from exchanges.kraken.order_book import KrakenBookBuilder
from exchanges.kraken.schemas import Pair
from exchanges.registry import all_venues
from tests.unit.test_engine_decisions import MS, START_MS, Bench

NOW = START_MS * MS
MS_NOW = START_MS
QUOTES = {
    "binance.spot": (
        b'{"stream":"ethusdt@bookTicker","data":{"u":400900217,"s":"ETHUSDT","b":"1000.10","B":"3.5",'
        b'"a":"1000.20","A":"4.1"}}'
    ),
    "binance.linear": (
        b'{"stream":"ethusdt@bookTicker","data":{"e":"bookTicker","u":400900217,"s":"ETHUSDT","b":"1000.10","B":"3.5",'
        b'"a":"1000.20","A":"4.1","T":%d,"E":%d}}' % (MS_NOW, MS_NOW)
    ),
    "bybit.spot": (
        b'{"topic":"orderbook.1.ETHUSDT","ts":%d,"type":"snapshot","data":{"s":"ETHUSDT","b":[["1000.10","3.5"]],'
        b'"a":[["1000.20","4.1"]],"u":400900217,"seq":480000000000},"cts":%d}' % (MS_NOW, MS_NOW)
    ),
    "kraken.spot": (
        b'{"channel":"ticker","type":"update","data":[{"symbol":"ETH/USDT","bid":1000.1,"bid_qty":3.5,'
        b'"ask":1000.2,"ask_qty":4.1,"last":1000.1,"timestamp":"2023-11-14T22:13:20.000000Z"}]}'
    ),
    "coinbase.spot": (
        b'{"channel":"l2_data","client_id":"","timestamp":"2023-11-14T22:13:20.000000000Z","sequence_num":0,'
        b'"events":[{"type":"snapshot","product_id":"ETH-USDT","updates":[{"side":"bid","event_time":'
        b'"2023-11-14T22:13:20.000000Z","price_level":"1000.10","new_quantity":"3.5"},{"side":"offer","event_time":'
        b'"2023-11-14T22:13:20.000000Z","price_level":"1000.20","new_quantity":"4.1"}]}]}'
    ),
}
QUOTES["bybit.linear"] = QUOTES["bybit.spot"]
SYMBOLS = {"kraken": "ETH/USDT", "coinbase": "ETH-USDT"}
NUMBER = re.compile(rb'(?<=[:\["])-?[0-9]+\.?[0-9]*(?=[,\]}"])')
ODD = [b"NaN", b'"NaN"', b"Infinity", b'"-Infinity"', b"null", b'""', b"0", b'"0"', b"-1", b'"-1"', b'"x"', b"1e999",
       b"[]", b"{}", b'"1e999"', b"true", b"9" * 400, b'"\\u0661"', b"-0.0", b'"1,5"', b'" 1"', b"1e-999"]  # fmt: skip
JUNK = [
    b"", b"\x00", b"{", b"[" * 20_000, b'{"stream":' * 3_000, b"<html><title>502 Bad Gateway</title></html>",
    b"\xff\xfe" * 50, b"null", b"[]", b"{}", b'"x"', b"1", b'{"data":null}', b'{"stream":null,"data":{}}',
    b'{"topic":"orderbook.1.ETHUSDT"}', b'{"channel":"ticker","data":[null]}', b'{"channel":"l2_data","events":[null]}',
]  # fmt: skip


def instrument(name: str) -> Instrument:
    feed = Feed.parse(name)
    is_spot = feed.segment is Segment.SPOT
    return Instrument(
        venue=feed.venue, symbol="ETH/USDT" if is_spot else "ETH/USDT:USDT", segment=feed.segment, base="ETH",
        quote="USDT", settle=None if is_spot else "USDT", tick_size=Decimal("0.01"), lot_size=Decimal("0.001"),
    )  # fmt: skip


class Fed:
    """An engine of one instrument behind the venue's decoder."""

    def __init__(self, name: str) -> None:
        self.one = instrument(name)
        self.engine = Bench(instruments=(self.one,), taker={}, quote_gate={"max_jump_bps": 1e9}).engine
        symbol = SYMBOLS.get(self.one.venue, "ETHUSDT")
        self.decoder = all_venues()[self.one.venue].decoder(self.one.feed, {symbol: 0}, self.engine)
        self.slot = self.engine.slots[0]

    def decode(self, raw: bytes) -> None:
        self.decoder.on_frame(raw, NOW)
        self.engine.on_batch_end(NOW)
        quote = self.slot.quote
        if quote is not None:
            numbers = (quote.bid_price, quote.bid_qty, quote.ask_price, quote.ask_qty)
            assert all(0.0 < number < inf for number in numbers)
            assert quote.bid_price < quote.ask_price


@pytest.mark.parametrize("name", QUOTES)
def test_fault_13_each_decoder_takes_its_frame_as_it_is(name: str) -> None:
    fed = Fed(name)
    fed.decode(QUOTES[name])
    assert fed.slot.quote is not None
    assert fed.slot.quote.ask_qty == 4.1


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", QUOTES)
def test_fault_13_no_number_of_a_frame_that_is_none_becomes_a_quote(name: str, odd: bytes) -> None:
    raw = QUOTES[name]
    for place in NUMBER.finditer(raw):
        fed = Fed(name)
        fed.decode(raw[: place.start()] + odd + raw[place.end() :])


def books() -> dict[str, Callable[[bytes], None]]:
    """Everything that builds order books, by name."""
    bench = Bench()
    feed, slots = Feed.parse("binance.linear"), {"ETHUSDT": 1}
    kraken = KrakenBookBuilder("ETH/USDT", 10, Silent(), Pair(symbol="ETH/USDT", price_precision=2, qty_precision=3))
    return {
        "binance": lambda raw: BinanceDepthFrames(feed, slots, bench.engine.books).on_frame(raw, NOW),
        "bybit": lambda raw: BybitDepthFrames(Feed.parse("bybit.linear"), slots, bench.engine.books).on_frame(raw, NOW),
        "kraken": lambda raw: kraken.on_frame(raw, NOW),
    }


class Silent:
    """Hears of a book."""

    def on_book_change(self, *heard: object) -> None: ...

    def on_book_state(self, *heard: object) -> None: ...

    def on_book_wanted(self, *heard: object) -> None: ...


STARTS = [raw[:at] for raw in QUOTES.values() for at in (9, 24, 40, 60)]
STARTS += [
    b'{"stream":"ethusdt@depth@100ms","data":',
    b'{"lastUpdateId":',
    b'{"channel":"book","type":"snapshot","data":',
    b'{"topic":"orderbook.50.ETHUSDT","type":"delta",',
]
frames = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda start, rest: start + rest, st.sampled_from(STARTS), st.binary(max_size=80)),
    st.builds(
        lambda raw, at, junk: raw[: at % len(raw)] + junk + raw[at % len(raw) + len(junk) :],
        st.sampled_from([*QUOTES.values()]), st.integers(0, 400), st.binary(min_size=1, max_size=4),
    ),
    st.builds(lambda raw, at: raw[: at % len(raw)], st.sampled_from([*QUOTES.values()]), st.integers(0, 400)),
)  # fmt: skip


@given(st.lists(frames, min_size=1, max_size=6))
def test_fault_16_no_bytes_make_a_decoder_raise_and_the_next_good_frame_counts(junk: list[bytes]) -> None:
    for name, raw in QUOTES.items():
        fed = Fed(name)
        for one in junk:
            fed.decode(one)
        if name != "coinbase.spot":  # numbers its messages, and has lost count
            fed.slot.sequence = -1
            fed.decode(raw)
            assert fed.slot.quote is not None
    for decode in books().values():
        for one in junk:
            decode(one)


@pytest.mark.parametrize("raw", JUNK, ids=range(len(JUNK)))
def test_fault_16_pages_of_errors_and_deep_nesting_are_counted_and_said(raw: bytes) -> None:
    for name in QUOTES:
        fed = Fed(name)
        fed.decode(raw)
        assert fed.slot.quote is None
    for decode in books().values():
        decode(raw)


@pytest.mark.parametrize("name", QUOTES)
def test_fault_16_what_does_not_decode_is_counted_as_malformed(name: str) -> None:
    fed = Fed(name)
    for raw in (b"<html>502 Bad Gateway</html>", QUOTES[name][:-20], b"[" * 20_000):
        before = fed.engine.feeds[fed.one.feed].malformed
        fed.decode(raw)
        assert fed.engine.feeds[fed.one.feed].malformed == before + 1
