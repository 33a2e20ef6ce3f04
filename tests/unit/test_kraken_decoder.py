"""Kraken's frames in, calls on a sink out. Payloads are shaped like Kraken's documentation."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.instrument import Feed
from bot.domain.market import TopOfBook
from bot.errors import MalformedPayload
from bot.ports import FeedState
from exchanges.kraken.decoder import KrakenDecoder
from exchanges.kraken.normalize import printed, quoted_symbol
from exchanges.kraken.venue import KrakenVenue

SPOT = Feed.parse("kraken.spot")
NOW = 1_783_641_602_200_000_000
TICKER = (
    b'{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":64000.0,"bid_qty":1.20000000,'
    b'"ask":64000.10,"ask_qty":0.00000001,"last":64000.1,"timestamp":"2026-07-10T00:00:02.123456Z"}]}'
)
TRADE = (
    b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"sell","price":64000.1,"qty":0.25,'
    b'"ord_type":"market","trade_id":123,"timestamp":"2026-07-10T00:00:00.123456Z"}]}'
)
EVENT_NS = 1_783_641_602_123_456_000


class Heard:
    """Keeps every call."""

    def __init__(self):
        self.quotes = []
        self.trades = []
        self.timed = []
        self.malformed = []
        self.states = []

    def on_quote(self, slot, quote, ts_recv_ns, raw):
        assert isinstance(quote, TopOfBook)
        self.quotes.append((slot, quote, raw))

    def on_trade(self, slot, trade, ts_recv_ns):
        self.trades.append((slot, trade))

    def on_timed_frame(self, feed, ts_event_ns, ts_recv_ns):
        self.timed.append((feed, ts_event_ns))

    def on_malformed(self, feed, raw, reason):
        self.malformed.append(reason)

    def on_feed_state(self, feed, state, detail):
        self.states.append((state, detail))

    @property
    def silent(self):
        return not (self.quotes or self.trades or self.malformed or self.states)


def heard(*frames, slots=None, notes=None):
    sink = Heard()
    on_note = None if notes is None else notes.append
    decoder = KrakenDecoder({"BTC/USD": 7} if slots is None else slots, sink, on_note)
    for raw in frames:
        decoder.on_frame(raw, NOW)
    return sink


def test_a_ticker_is_a_top_of_book_with_the_venues_time() -> None:
    ((slot, quote, raw),) = heard(TICKER).quotes
    assert slot == 7
    assert (quote.bid_price, quote.bid_qty, quote.ask_price, quote.ask_qty) == (64000.0, 1.2, 64000.1, 1e-8)
    assert quote.ts_event_ns == quote.sequence == EVENT_NS
    assert raw == TICKER


def test_digits_stay_as_kraken_printed_them() -> None:
    quote = printed(TICKER)
    assert quote.symbol == "BTC/USD"
    assert (quote.top_bid, quote.top_bid_quantity) == ("64000.0", "1.20000000")
    assert (quote.top_ask, quote.top_ask_quantity) == ("64000.10", "0.00000001")


def test_each_row_of_a_frame_is_kept_with_its_own_digits() -> None:
    second = TICKER.replace(b"BTC/USD", b"ETH/USD").replace(b"64000.10", b"3000.50")
    row = second[second.index(b"[") + 1 : second.rindex(b"]")]
    both = TICKER.replace(b"}]}", b"}," + row + b"]}")
    quotes = heard(both, slots={"BTC/USD": 0, "ETH/USD": 1}).quotes
    assert [(slot, printed(raw).symbol, printed(raw).top_ask) for slot, _, raw in quotes] == [
        (0, "BTC/USD", "64000.10"),
        (1, "ETH/USD", "3000.50"),
    ]


def test_a_later_ticker_has_a_higher_sequence_and_one_without_a_time_is_never_out_of_order() -> None:
    later = TICKER.replace(b"02.123456Z", b"02.123457Z")
    untimed = TICKER.replace(b',"timestamp":"2026-07-10T00:00:02.123456Z"', b"")
    first, second, third = (quote for _, quote, _ in heard(TICKER, later, untimed).quotes)
    assert second.sequence > first.sequence
    assert (third.sequence, third.ts_event_ns) == (1, None)  # 1 is what the engine takes for a restart


def test_the_taker_of_a_trade_is_its_side() -> None:
    sink = heard(TRADE, TRADE.replace(b'"sell"', b'"buy"'))
    assert [(slot, trade.buyer_is_maker, trade.trade_id) for slot, trade in sink.trades] == [
        (7, True, "123"),
        (7, False, "123"),
    ]
    assert sink.timed == [(SPOT, EVENT_NS - 2_000_000_000)] * 2


def test_trades_from_before_the_subscription_are_not_news() -> None:
    assert heard(TRADE.replace(b'"update"', b'"snapshot"')).silent


@pytest.mark.parametrize(
    "raw",
    [
        b'{"channel":"heartbeat"}',
        b'{"method":"subscribe","result":{"channel":"ticker","symbol":"BTC/USD"},"success":true}',
        b'{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[],"asks":[],"checksum":1}]}',
        b'{"channel":"instrument","type":"snapshot","data":{"pairs":[]}}',
        TICKER.replace(b"BTC/USD", b"SOL/USD"),
        TRADE.replace(b"BTC/USD", b"SOL/USD"),
    ],
)
def test_what_says_nothing_of_our_pairs_is_let_pass(raw: bytes) -> None:
    assert heard(raw).silent


def test_a_frame_in_another_order_of_keys_is_the_same_frame() -> None:
    message = json.loads(TICKER)
    turned = json.dumps({"type": "update", "data": message["data"], "channel": "ticker"}).encode()
    ((_, quote, _),) = heard(turned).quotes
    assert quote.ask_price == 64000.1
    assert quoted_symbol(turned) == quoted_symbol(TICKER) == "BTC/USD"


def test_a_pong_tells_the_venues_time() -> None:
    pong = b'{"method":"pong","req_id":1,"time_in":"2026-07-10T00:00:02.1Z","time_out":"2026-07-10T00:00:02.123456Z"}'
    assert heard(pong).timed == [(SPOT, EVENT_NS)]


def test_a_refused_subscription_is_told_without_control_characters() -> None:
    refusal = b'{"error":"Currency pair not supported \\u001b[31mX/Y","method":"subscribe","success":false}'
    ((state, detail),) = heard(refusal).states
    assert state is FeedState.FAILED
    assert "subscribe refused: Currency pair not supported" in detail
    assert "\x1b" not in detail


def test_maintenance_is_noted() -> None:
    notes: list[str] = []
    status = b'{"channel":"status","type":"update","data":[{"system":"%s","version":"2.0.0"}]}'
    assert heard(status % b"online", status % b"maintenance", notes=notes).silent
    assert notes == ["kraken.spot: Kraken says that its trading is maintenance"]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'[325,["1","2","1633053779.9","1","1"],"spread","XBT/USD"]', "first protocol"),
        (b'{"event":"pong"}', "first protocol"),
        (b'{"feed":"ticker","product_id":"PI_XBTUSD"}', "Futures"),
        (b'{"error":[],"result":{}}', "neither a channel"),
        (b"{", "not JSON"),
        (TICKER.replace(b"64000.0,", b'"a",'), "bid"),
        (TICKER.replace(b'"bid":64000.0,', b""), "bid"),
        (TICKER.replace(b"2026-07-10T00:00:02.123456Z", b"yesterday"), "timestamp"),
        (TICKER.replace(b"02.123456Z", b"02.123456"), "zone"),
        (TRADE.replace(b'"sell"', b'"short"'), "side"),
        (TRADE.replace(b"0.25", b"NaN"), "finite"),
    ],
)
def test_what_cannot_be_used_is_refused_for_a_reason(raw: bytes, reason: str) -> None:
    sink = heard(raw)
    assert not sink.quotes
    assert not sink.trades
    (said,) = sink.malformed
    assert reason in said


@given(
    st.binary(max_size=200)
    | st.builds(lambda at, by: TICKER[:at] + by + TICKER[at:], st.integers(0, 200), st.binary(max_size=3))
)
def test_no_payload_makes_the_decoder_raise(raw: bytes) -> None:
    heard(raw)


def test_what_is_no_ticker_cannot_be_printed() -> None:
    with pytest.raises(MalformedPayload):
        printed(TRADE)


def test_the_shipped_pairs_are_those_that_the_stream_names() -> None:
    venue = KrakenVenue()
    shipped = venue.shipped_instruments(SPOT)
    assert set(shipped) == {f"{base}/{quote}" for base in ("BTC", "ETH") for quote in ("USD", "USDT", "USDC")}
    assert all(instrument.symbol == name and instrument.id == f"kraken:{name}" for name, instrument in shipped.items())
    fees = venue.published_fees(SPOT)
    assert fees is not None
    assert 0 < fees.maker_bps < fees.taker_bps
