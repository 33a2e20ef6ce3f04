"""Any sequence of snapshots and deltas gives the top that a plain dictionary book has."""

import json

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.instrument import Feed
from exchanges.bybit.decoder import BybitDecoder
from exchanges.bybit.normalize import printed, quoted_symbol

SYMBOL = "BTCUSDT"

prices = st.integers(1, 12).map(lambda cents: f"{cents / 10:.2f}")
quantities = st.integers(0, 3).map(lambda lots: f"{lots}.000" if lots else "0")
levels = st.dictionaries(prices, quantities, max_size=4)
held = st.dictionaries(prices, quantities.filter(lambda quantity: quantity != "0"), max_size=1)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("snapshot"), held, held),
        st.tuples(st.just("delta"), levels, levels),
    ),
    max_size=25,
)


class Quotes:
    def __init__(self):
        self.seen = []
        self.malformed = 0

    def on_quote(self, slot, quote, ts_recv_ns, raw):
        self.seen.append((quote, raw))

    def on_malformed(self, feed, raw, reason):
        self.malformed += 1


def frame(kind, bids, asks, u):
    message = {
        "topic": f"orderbook.1.{SYMBOL}",
        "ts": 1_753_000_000_000 + u,
        "type": kind,
        "data": {"s": SYMBOL, "b": list(bids.items()), "a": list(asks.items()), "u": u, "seq": u},
        "cts": 1_753_000_000_000 + u,
    }
    return json.dumps(message, separators=(",", ":")).encode()


def merge(side, changes):
    for price, quantity in changes.items():
        side[price] = quantity
        if quantity == "0":
            del side[price]


def best(side, pick):
    if not side:
        return "0", "0"
    price = pick(side, key=float)
    return price, side[price]


@given(steps)
def test_the_top_is_that_of_a_dictionary_book(script):
    sink = Quotes()
    decoder = BybitDecoder(Feed.parse("bybit.linear"), {SYMBOL: 0}, sink)
    book = None
    refused = 0
    for u, (kind, bids, asks) in enumerate(script, start=1):
        decoder.on_frame(frame(kind, bids, asks, u), 0)
        if kind == "snapshot":
            book = (dict(bids), dict(asks))
        elif book is None:
            refused += 1
            continue
        else:
            merge(book[0], bids)
            merge(book[1], asks)
        quote, raw = sink.seen[-1]
        bid, ask = best(book[0], max), best(book[1], min)
        assert (quote.bid_price, quote.bid_qty) == tuple(map(float, bid))
        assert (quote.ask_price, quote.ask_qty) == tuple(map(float, ask))
        assert quote.sequence == u
        assert quote.ts_event_ns == (1_753_000_000_000 + u) * 1_000_000
        text = printed(raw)
        assert ((text.top_bid, text.top_bid_quantity), (text.top_ask, text.top_ask_quantity)) == (bid, ask)
        assert quoted_symbol(raw) == SYMBOL
    assert sink.malformed == refused
    assert len(sink.seen) == len(script) - refused


@given(st.one_of(st.binary(max_size=80), st.text(max_size=40).map(str.encode)), st.integers(0, 200))
def test_no_payload_makes_it_raise(junk, cut):
    class Anything:
        def __getattr__(self, name):
            return lambda *_: None

    decoder = BybitDecoder(Feed.parse("bybit.linear"), {SYMBOL: 0}, Anything())
    whole = frame("delta", {"1.00": "1"}, {"2.00": "1"}, 2)
    for payload in (junk, whole[:cut] + junk + whole[cut:], whole[:cut] + junk, b'{"topic":"' + junk + b'"}'):
        decoder.on_frame(frame("snapshot", {"1.00": "1"}, {"2.00": "1"}, 1), 0)
        decoder.on_frame(payload, 0)
        quoted_symbol(payload)
