"""Coinbase's frames in, calls on a sink out. Payloads are shaped like Coinbase's documentation."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.instrument import Feed
from bot.ports import FeedState
from exchanges.coinbase.decoder import CoinbaseDecoder
from exchanges.coinbase.normalize import printed, quoted_symbol
from exchanges.coinbase.venue import CoinbaseVenue

SPOT = Feed.parse("coinbase.spot")
NOW = 1_783_641_602_200_000_000
EVENT_NS = 1_783_641_602_123_456_000
BTC, ETH = "BTC-USD", "ETH-USD"
Level = tuple[str, str, str]


class Heard:
    """Keeps every call."""

    def __init__(self) -> None:
        self.quotes: list[Any] = []
        self.trades: list[Any] = []
        self.timed: list[int] = []
        self.malformed: list[str] = []
        self.states: list[Any] = []

    def on_quote(self, slot: int, quote: Any, ts_recv_ns: int, raw: bytes) -> None:
        self.quotes.append((slot, quote, raw))

    def on_trade(self, slot: int, trade: Any, ts_recv_ns: int) -> None:
        self.trades.append((slot, trade))

    def on_timed_frame(self, feed: Feed, ts_event_ns: int, ts_recv_ns: int) -> None:
        self.timed.append(ts_event_ns)

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        self.malformed.append(reason)

    def on_feed_state(self, feed: Feed, state: FeedState, detail: str) -> None:
        self.states.append((state, detail))


class Coinbase:
    """A decoder of two products, fed with frames that are numbered as Coinbase numbers them."""

    def __init__(self) -> None:
        self.sink = Heard()
        self.lost: list[str] = []
        self.number = 0
        self.decoder = CoinbaseDecoder({BTC: 0, ETH: 1}, self.sink, self.lost.append)  # type: ignore[arg-type]

    def frame(self, channel: str, *events: dict[str, Any]) -> bytes:
        envelope = {
            "channel": channel,
            "client_id": "",
            "timestamp": "2026-07-10T00:00:02.200000123Z",
            "sequence_num": self.number,
            "events": events,
        }
        self.number += 1
        return json.dumps(envelope, separators=(",", ":")).encode()

    def send(self, raw: bytes) -> None:
        self.decoder.on_frame(raw, NOW)

    def book(self, product: str, *levels: Level, whole: bool = False) -> None:
        self.send(self.book_frame(product, *levels, whole=whole))

    def book_frame(self, product: str, *levels: Level, whole: bool = False) -> bytes:
        time = "1970-01-01T00:00:00Z" if whole else "2026-07-10T00:00:02.123456Z"
        updates = [
            {"side": side, "event_time": time, "price_level": price, "new_quantity": quantity}
            for side, price, quantity in levels
        ]
        kind = "snapshot" if whole else "update"
        return self.frame("l2_data", {"type": kind, "product_id": product, "updates": updates})

    def opened(self) -> "Coinbase":
        self.book(BTC, ("bid", "100.00", "1.50"), ("offer", "100.10", "2"), whole=True)
        self.book(ETH, ("bid", "10.00", "3"), ("offer", "10.01", "4"), whole=True)
        return self

    def last(self, slot: int) -> tuple[float, float, float, float]:
        quote = next(quote for at, quote, _ in reversed(self.sink.quotes) if at == slot)
        return quote.bid_price, quote.bid_qty, quote.ask_price, quote.ask_qty


NOTHING = (0.0, 0.0, 0.0, 0.0)


def test_the_top_of_a_book_is_told_with_its_digits() -> None:
    coinbase = Coinbase().opened()
    slot, quote, raw = coinbase.sink.quotes[0]
    assert (slot, quote.bid_price, quote.bid_qty, quote.ask_price, quote.ask_qty) == (0, 100.0, 1.5, 100.1, 2.0)
    assert printed(raw).model_dump() == {
        "symbol": BTC,
        "top_bid": "100.00",
        "top_bid_quantity": "1.50",
        "top_ask": "100.10",
        "top_ask_quantity": "2",
    }


def test_a_change_of_the_top_is_told_with_the_matching_engines_time() -> None:
    coinbase = Coinbase().opened()
    coinbase.book(BTC, ("bid", "100.05", "0.1"))
    _, quote, _ = coinbase.sink.quotes[-1]
    assert (quote.bid_price, quote.ts_event_ns) == (100.05, EVENT_NS)
    sequences = [quote.sequence for slot, quote, _ in coinbase.sink.quotes if slot == 0]
    assert sequences == sorted(sequences)


def test_a_change_behind_the_top_is_not_told_and_shows_when_the_top_goes() -> None:
    coinbase = Coinbase().opened()
    coinbase.book(BTC, ("bid", "99.00", "5"))
    assert len(coinbase.sink.quotes) == 2
    coinbase.book(BTC, ("bid", "100.00", "0"))
    assert coinbase.last(0) == (99.0, 5.0, 100.1, 2.0)


def test_a_lost_message_takes_every_quote_back_before_anything_else() -> None:
    coinbase = Coinbase().opened()
    coinbase.number += 1  # one that never comes
    coinbase.book(BTC, ("bid", "100.05", "9"))
    assert coinbase.last(0) == coinbase.last(1) == NOTHING
    assert coinbase.sink.malformed == ["message 3 came where 2 was due"]
    assert coinbase.lost == coinbase.sink.malformed
    coinbase.book(ETH, ("bid", "10.00", "9"))
    assert coinbase.last(1) == NOTHING  # no change makes a book again
    coinbase.book(BTC, ("bid", "101.00", "1"), ("offer", "101.10", "2"), whole=True)
    assert coinbase.last(0) == (101.0, 1.0, 101.1, 2.0)
    assert len(coinbase.lost) == 1


@pytest.mark.parametrize("channel", ["heartbeats", "subscriptions", "ticker"])
def test_messages_of_every_channel_count(channel: str) -> None:
    coinbase = Coinbase().opened()
    coinbase.send(coinbase.frame(channel))
    coinbase.book(BTC, ("bid", "100.05", "9"))
    assert coinbase.last(0)[0] == 100.05
    coinbase.frame(channel)  # lost
    coinbase.send(coinbase.frame(channel))
    assert coinbase.last(0) == NOTHING


def test_a_message_that_comes_twice_is_a_gap() -> None:
    coinbase = Coinbase().opened()
    raw = coinbase.book_frame(BTC, ("bid", "100.05", "9"))
    coinbase.send(raw)
    coinbase.send(raw)
    assert coinbase.last(0) == NOTHING


def test_a_new_connection_begins_to_count_anew() -> None:
    coinbase = Coinbase().opened()
    coinbase.number = 0
    coinbase.book(BTC, ("bid", "99.00", "1"), ("offer", "99.10", "2"), whole=True)
    assert coinbase.last(0)[0] == 99.0
    assert not coinbase.lost


def test_a_reset_forgets_books_and_numbers() -> None:
    coinbase = Coinbase().opened()
    coinbase.decoder.reset()
    coinbase.number = 500
    coinbase.book(BTC, ("bid", "100.05", "9"))
    assert coinbase.sink.malformed == ["BTC-USD: a change came before any book"]


def test_a_crossed_book_is_lost_and_the_others_are_not() -> None:
    coinbase = Coinbase().opened()
    coinbase.book(BTC, ("bid", "100.20", "1"))
    assert (coinbase.last(0), coinbase.last(1)) == (NOTHING, (10.0, 3.0, 10.01, 4.0))
    assert coinbase.lost == ["BTC-USD: bids cross asks"]


def test_a_change_that_does_not_decode_takes_every_quote_back() -> None:
    coinbase = Coinbase().opened()
    coinbase.send(coinbase.book_frame(BTC, ("bid", "100.05", "9")).replace(b'"bid"', b'"left"'))
    assert coinbase.last(0) == coinbase.last(1) == NOTHING


def test_a_frame_of_a_book_names_its_product_however_it_is_spelt() -> None:
    raw = Coinbase().book_frame(BTC, ("bid", "1", "1"))
    assert quoted_symbol(raw) == quoted_symbol(json.dumps(json.loads(raw)).encode()) == BTC
    assert quoted_symbol(b'{"type":"l2update","product_id":"ETH-USD","changes":[]}') == ETH
    assert quoted_symbol(Coinbase().frame("market_trades", trade("BUY", "snapshot"))) is None


def test_an_empty_side_is_a_quote_of_nothing_there() -> None:
    coinbase = Coinbase().opened()
    coinbase.book(BTC, ("bid", "100.00", "0"))
    assert coinbase.last(0) == (0.0, 0.0, 100.1, 2.0)


def test_a_book_whose_known_levels_are_nearly_used_up_is_asked_for_again() -> None:
    coinbase = Coinbase()
    bids = [("bid", f"{5000 - at / 100:.2f}", "1") for at in range(6_000)]
    coinbase.book(BTC, ("offer", "5001", "1"), *bids, whole=True)
    assert coinbase.last(0)[0] == 5000.0
    coinbase.book(BTC, *((side, price, "0") for side, price, _ in bids[:2_600]))
    assert coinbase.last(0) == NOTHING
    assert "nearly used up" in coinbase.lost[0]


def trade(side: str, kind: str = "update") -> dict[str, Any]:
    row = {"trade_id": "9", "product_id": BTC, "price": "100.1", "size": "0.2", "side": side}
    return {"type": kind, "trades": [{**row, "time": "2026-07-10T00:00:02.123456Z"}]}


def test_the_side_of_a_trade_is_the_makers() -> None:
    coinbase = Coinbase().opened()
    coinbase.send(coinbase.frame("market_trades", trade("BUY"), trade("SELL")))
    assert [(slot, one.buyer_is_maker, one.quantity) for slot, one in coinbase.sink.trades] == [
        (0, True, 0.2),
        (0, False, 0.2),
    ]
    assert coinbase.sink.timed == [EVENT_NS] * 2


def test_trades_from_before_the_subscription_are_not_news() -> None:
    coinbase = Coinbase().opened()
    coinbase.send(coinbase.frame("market_trades", trade("BUY", "snapshot")))
    assert not coinbase.sink.trades
    assert not coinbase.sink.malformed


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"[]", "neither a channel"),
        (b"{", "not JSON"),
        (b'{"channel":"heartbeats"}', "sequence_num"),
        (b'{"type":"open","product_id":"BTC-USD","side":"sell"}', "order-by-order"),
        (b'{"type":"match","product_id":"BTC-USD"}', "required"),
    ],
)
def test_what_cannot_be_used_is_refused_for_a_reason(raw: bytes, reason: str) -> None:
    coinbase = Coinbase().opened()
    coinbase.send(raw)
    (said,) = coinbase.sink.malformed
    assert reason.lower() in said.lower()
    assert coinbase.last(0) != NOTHING


def test_a_refused_subscription_is_told_without_control_characters() -> None:
    coinbase = Coinbase()
    coinbase.send(b'{"type":"error","message":"\\u001b[1mFailed to subscribe","reason":"XX-YY is not a valid product"}')
    ((state, detail),) = coinbase.sink.states
    assert state is FeedState.FAILED
    assert "XX-YY is not a valid product" in detail
    assert "\x1b" not in detail


LEVELS = st.tuples(
    st.sampled_from(["bid", "offer"]), st.integers(1, 40), st.sampled_from(["0", "0.00", "1", "2.5", "3"])
)


@given(st.lists(st.lists(LEVELS, min_size=1, max_size=4), max_size=30))
def test_the_last_told_top_is_that_of_a_plain_book(batches: list[list[tuple[str, int, str]]]) -> None:
    coinbase = Coinbase().opened()
    bids, asks = {100.0: 1.5}, {100.1: 2.0}
    for batch in batches:
        # Bids stay below 100, asks above: crossing is another test.
        levels = [(side, f"{(59 if side == 'bid' else 100.05) + at:.2f}", quantity) for side, at, quantity in batch]
        coinbase.book(BTC, *levels)
        for side, price, quantity in levels:
            book = bids if side == "bid" else asks
            book[float(price)] = float(quantity)
        bids = {price: quantity for price, quantity in bids.items() if quantity}
        asks = {price: quantity for price, quantity in asks.items() if quantity}
        best_bid, best_ask = max(bids, default=0.0), min(asks, default=0.0)
        assert coinbase.last(0) == (best_bid, bids.get(best_bid, 0.0), best_ask, asks.get(best_ask, 0.0))


@given(st.binary(max_size=200), st.integers(0, 150), st.binary(max_size=3))
def test_no_payload_makes_the_decoder_raise(raw: bytes, at: int, inside: bytes) -> None:
    coinbase = Coinbase().opened()
    frame = coinbase.book_frame(BTC, ("bid", "100.05", "9"))
    for payload in (raw, frame[:at] + inside + frame[at:]):
        coinbase.send(payload)
        quoted_symbol(payload)


def test_the_shipped_products_are_those_that_the_stream_names() -> None:
    venue = CoinbaseVenue()
    shipped = venue.shipped_instruments(SPOT)
    assert set(shipped) == {f"{base}-{quote}" for base in ("BTC", "ETH") for quote in ("USD", "USDT", "USDC")}
    assert all(instrument.symbol == name.replace("-", "/") for name, instrument in shipped.items())
    fees = venue.published_fees(SPOT)
    assert fees is not None
    assert 0 < fees.maker_bps < fees.taker_bps
