"""Frames in, calls on a sink out. Payloads are shaped like Bybit's documentation unless a test says otherwise."""

import gzip
import json
import math
import os
from pathlib import Path

import pytest

from bot.domain.instrument import Feed
from bot.domain.market import FundingRate, PublicTrade, TopOfBook
from bot.ports import FeedState
from exchanges.bybit.decoder import BybitDecoder
from exchanges.bybit.normalize import printed

LINEAR = Feed.parse("bybit.linear")
SPOT = Feed.parse("bybit.spot")
MS = 1_000_000
NOW = 1_753_000_000_200 * MS
SNAPSHOT = (
    b'{"topic":"orderbook.1.BTCUSDT","ts":1753000000123,"type":"snapshot","data":{"s":"BTCUSDT",'
    b'"b":[["118052.00","3.047"]],"a":[["118052.10","25.433"]],"u":70033051,"seq":501935406811},"cts":1753000000120}'
)


class Heard:
    """Keeps every call."""

    def __init__(self):
        self.quotes = []
        self.trades = []
        self.fundings = []
        self.timed = []
        self.malformed = []
        self.states = []

    def on_quote(self, slot, quote, ts_recv_ns, raw):
        assert isinstance(quote, TopOfBook)
        self.quotes.append((slot, quote, raw))

    def on_trade(self, slot, trade, ts_recv_ns):
        assert isinstance(trade, PublicTrade)
        self.trades.append((slot, trade))

    def on_funding(self, slot, funding, ts_recv_ns):
        assert isinstance(funding, FundingRate)
        self.fundings.append((slot, funding))

    def on_timed_frame(self, feed, ts_event_ns, ts_recv_ns):
        self.timed.append(ts_event_ns)

    def on_malformed(self, feed, raw, reason):
        self.malformed.append((raw, reason))

    def on_feed_state(self, feed, state, detail):
        self.states.append((state, detail))

    @property
    def silent(self):
        return not any((self.quotes, self.trades, self.fundings, self.timed, self.malformed, self.states))


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def decoder(heard):
    return BybitDecoder(LINEAR, {"BTCUSDT": 3, "ETHUSDT": 5, "BTCUSD": 7}, heard)


def shared(*parts):
    root = Path(os.environ.get("CRYPTO_PIPE_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
    path = root.joinpath("fixtures", *parts)
    if not path.exists():
        pytest.skip(f"{path} is absent: set CRYPTO_PIPE_SHARED to the folder with the exchanges' payloads")
    return path


def book(kind, bids, asks, u, **more):
    message = {
        "topic": "orderbook.1.BTCUSDT",
        "type": kind,
        "ts": 1_680_673_820_717,
        "data": {"s": "BTCUSDT", "b": bids, "a": asks, "u": u, "seq": 1},
        **more,
    }
    return json.dumps(message, separators=(",", ":")).encode()


def ticker(kind, ts=1_680_673_821_770, **data):
    message = {
        "topic": "tickers.BTCUSDT",
        "type": kind,
        "data": {"symbol": "BTCUSDT", **data},
        "cs": 1,
        "ts": ts,
    }
    return json.dumps(message).encode()


def sides(quote):
    return quote.bid_price, quote.bid_qty, quote.ask_price, quote.ask_qty


def test_a_snapshot_becomes_a_quote_with_the_matching_engines_time(decoder, heard):
    decoder.on_frame(SNAPSHOT, NOW)
    slot, quote, raw = heard.quotes[0]
    assert slot == 3
    assert sides(quote) == (118052.0, 3.047, 118052.1, 25.433)
    assert quote.sequence == 70033051
    assert quote.ts_event_ns == 1753000000120 * MS
    assert raw is SNAPSHOT


def test_a_snapshot_without_cts_has_the_gateways_time(decoder, heard):
    decoder.on_frame(book("snapshot", [["1", "2"]], [["3", "4"]], 5), NOW)
    assert heard.quotes[0][1].ts_event_ns == 1_680_673_820_717 * MS


@pytest.mark.parametrize("indent", [None, 4])
def test_key_order_and_blanks_do_not_matter(decoder, heard, indent):
    turned = dict(reversed(json.loads(SNAPSHOT).items()))
    decoder.on_frame(json.dumps(turned, indent=indent).encode(), NOW)
    assert sides(heard.quotes[0][1]) == (118052.0, 3.047, 118052.1, 25.433)
    assert heard.malformed == []


def test_unknown_fields_are_accepted(decoder, heard):
    decoder.on_frame(SNAPSHOT.replace(b'"u":', b'"new":{"x":[1]},"u":'), NOW)
    assert len(heard.quotes) == 1


@pytest.mark.parametrize(
    ("text", "read"), [("NaN", math.nan), ("inf", math.inf), ("0", 0.0), ("-1.5", -1.5), ("118053", 118053.0)]
)
def test_what_is_a_number_is_left_to_the_gate(decoder, heard, text, read):
    decoder.on_frame(SNAPSHOT.replace(b"118052.00", text.encode()), NOW)
    assert heard.quotes[0][1].bid_price == pytest.approx(read, nan_ok=True)
    assert heard.malformed == []


@pytest.mark.parametrize(
    "frame",
    [
        SNAPSHOT.replace(b"118052.00", b"1l8052"),
        SNAPSHOT.replace(b'"118052.00"', b"null"),
        SNAPSHOT.replace(b'"u":70033051', b'"u":9223372036854775808'),
        SNAPSHOT.replace(b'"cts":1753000000120', b'"cts":17530000001200000000'),
        SNAPSHOT.replace(b'"u":70033051,', b""),
        SNAPSHOT[:-20],
        SNAPSHOT + b"}",
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"topic":' + b"9" * 10_000 + b"}",
        b"[]",
        b"7",
        b'"topic"',
    ],
)
def test_what_does_not_decode_is_reported_and_skipped(decoder, heard, frame):
    decoder.on_frame(frame, NOW)
    assert [raw for raw, _ in heard.malformed] == [frame]
    assert "\n" not in heard.malformed[0][1]
    assert heard.quotes == []
    decoder.on_frame(SNAPSHOT, NOW)
    assert len(heard.quotes) == 1


def test_a_reason_repeats_nothing_of_the_payload(decoder, heard):
    decoder.on_frame(SNAPSHOT.replace(b"118052.00", b"\\u001b[31mred"), NOW)
    assert heard.malformed[0][1] == "a price or quantity is not a number"


def test_an_empty_book_is_delivered_as_zeros(decoder, heard):
    frame = book("snapshot", [], [], 9, cts=1_680_673_820_700)
    decoder.on_frame(frame, NOW)
    _, quote, raw = heard.quotes[0]
    assert sides(quote) == (0.0, 0.0, 0.0, 0.0)
    assert quote.ts_event_ns == 1_680_673_820_700 * MS
    assert raw is frame
    assert printed(raw).top_ask == "0"


class TestDeltas:
    def test_an_empty_side_is_unchanged(self, decoder, heard):
        decoder.on_frame(book("snapshot", [["28552.00", "0.047"]], [["28552.10", "25.433"]], 7), NOW)
        decoder.on_frame(book("delta", [["28552.00", "0.012"]], [], 8), NOW)
        _, quote, raw = heard.quotes[1]
        assert sides(quote) == (28552.0, 0.012, 28552.1, 25.433)
        assert quote.sequence == 8
        quote_text = printed(raw)
        assert (quote_text.symbol, quote_text.top_bid, quote_text.top_bid_quantity) == ("BTCUSDT", "28552.00", "0.012")
        assert (quote_text.top_ask, quote_text.top_ask_quantity) == ("28552.10", "25.433")

    def test_quantity_0_deletes_and_the_best_of_the_rest_counts(self, decoder, heard):
        decoder.on_frame(book("snapshot", [["27994.60", "1"]], [["27994.80", "2"]], 7), NOW)
        decoder.on_frame(
            book("delta", [["27994.60", "0"], ["27991.70", "0.777"]], [["27994.40", "0.058"], ["27994.80", "0"]], 8),
            NOW,
        )
        assert sides(heard.quotes[1][1]) == (27991.7, 0.777, 27994.4, 0.058)

    def test_an_emptied_side_is_delivered_as_zero(self, decoder, heard):
        decoder.on_frame(book("snapshot", [["10", "1"]], [["11", "2"]], 7), NOW)
        decoder.on_frame(book("delta", [["10.0", "0"]], [], 8), NOW)
        assert sides(heard.quotes[1][1]) == (0.0, 0.0, 11.0, 2.0)
        decoder.on_frame(book("delta", [["9", "3"]], [], 9), NOW)
        assert sides(heard.quotes[2][1]) == (9.0, 3.0, 11.0, 2.0)

    def test_a_delta_before_any_snapshot_is_malformed(self, decoder, heard):
        decoder.on_frame(book("delta", [["10", "1"]], [["11", "2"]], 8), NOW)
        assert heard.quotes == []
        assert heard.malformed[0][1] == "delta before snapshot"

    def test_symbols_have_books_of_their_own(self, decoder, heard):
        decoder.on_frame(book("snapshot", [["10", "1"]], [["11", "2"]], 7), NOW)
        decoder.on_frame(book("delta", [["10", "3"]], [], 8).replace(b"BTCUSDT", b"ETHUSDT"), NOW)
        assert heard.malformed[0][1] == "delta before snapshot"

    def test_a_repeated_delta_changes_nothing(self, decoder, heard):
        decoder.on_frame(book("snapshot", [["10", "1"]], [["11", "2"]], 7), NOW)
        decoder.on_frame(book("delta", [["10", "3"]], [], 8), NOW)
        decoder.on_frame(book("delta", [["10", "3"]], [], 8), NOW)
        assert len(heard.quotes) == 2
        assert heard.malformed == []

    @pytest.mark.parametrize(
        ("spoiler", "reason"),
        [
            (book("delta", [["10", "3"]], [], 9), "sequence gap: delta 9 after 7"),
            (book("delta", [["10", "inf"]], [], 8), "a delta's price or quantity is not finite"),
            (book("delta", [["ten", "1"]], [], 8), "a price or quantity is not a number"),
            (book("snapshot", [["10", "1"]], [["11"]], 8), "data.a.0: List should have at least 2 items"),
        ],
    )
    def test_a_hole_makes_the_book_unknown_until_the_next_snapshot(self, decoder, heard, spoiler, reason):
        decoder.on_frame(book("snapshot", [["10", "1"]], [["11", "2"]], 7), NOW)
        decoder.on_frame(spoiler, NOW)
        decoder.on_frame(book("delta", [["10", "4"]], [], 10), NOW)
        assert [why for _, why in heard.malformed][1] == "delta before snapshot"
        assert heard.malformed[0][1].startswith(reason)
        assert len(heard.quotes) == 1
        decoder.on_frame(book("snapshot", [["10", "5"]], [["11", "2"]], 11), NOW)
        decoder.on_frame(book("delta", [["10", "6"]], [], 12), NOW)
        assert heard.quotes[-1][1].bid_qty == 6.0

    def test_a_restart_of_the_service_resets_the_sequence(self, decoder, heard):
        decoder.on_frame(book("snapshot", [["10", "1"]], [["11", "2"]], 7), NOW)
        decoder.on_frame(book("delta", [["10", "3"]], [], 8), NOW)
        decoder.on_frame(book("snapshot", [["9", "1"]], [["12", "2"]], 1), NOW)
        decoder.on_frame(book("delta", [], [["12", "5"]], 2), NOW)
        assert sides(heard.quotes[-1][1]) == (9.0, 1.0, 12.0, 5.0)

    def test_the_delivered_payload_decodes_to_the_delivered_quote(self, decoder, heard):
        decoder.on_frame(book("snapshot", [["10", "1"]], [["11", "2"]], 7), NOW)
        decoder.on_frame(book("delta", [["10", "3"]], [], 8, cts=1_680_673_820_716), NOW)
        _, quote, raw = heard.quotes[1]
        again = Heard()
        BybitDecoder(LINEAR, {"BTCUSDT": 3}, again).on_frame(raw, NOW)
        assert again.quotes[0][1].model_dump() == quote.model_dump()


class TestTrades:
    def test_the_side_is_the_takers(self, decoder, heard):
        rows = [
            {"T": 1672304486865, "s": "BTCUSDT", "S": side, "v": "0.001", "p": "16578.50", "i": side, "BT": False}
            for side in ("Buy", "Sell")
        ]
        frame = {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 1672304486868, "data": rows}
        decoder.on_frame(json.dumps(frame).encode(), NOW)
        assert heard.timed == [1672304486868 * MS]
        assert [(slot, t.trade_id, t.buyer_is_maker) for slot, t in heard.trades] == [
            (3, "Buy", False),
            (3, "Sell", True),
        ]
        assert heard.trades[0][1].price == 16578.5
        assert heard.trades[0][1].quantity == 0.001
        assert heard.trades[0][1].ts_event_ns == 1672304486865 * MS

    @pytest.mark.parametrize("spoiled", [{"S": "Short"}, {"p": "NaN"}, {"v": "inf"}, {"T": "soon"}])
    def test_a_frame_with_an_odd_trade_is_malformed_as_a_whole(self, decoder, heard, spoiled):
        row = {"T": 1, "s": "BTCUSDT", "S": "Buy", "v": "1", "p": "2", "i": "x"}
        frame = {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 2, "data": [row, row | spoiled]}
        decoder.on_frame(json.dumps(frame).encode(), NOW)
        assert heard.trades == []
        assert heard.malformed[0][1].startswith(f"data.1.{next(iter(spoiled))}: ")


TERMS = {"fundingRate": "0.0001", "nextFundingTime": "1680681600000", "fundingIntervalHour": "8"}


class TestFunding:
    def test_a_snapshot_tells_the_rate(self, decoder, heard):
        decoder.on_frame(ticker("snapshot", markPrice="28552.81", **TERMS), NOW)
        slot, funding = heard.fundings[0]
        assert slot == 3
        assert funding == FundingRate(
            rate=0.0001,
            next_funding_ns=1680681600000 * MS,
            interval_h=8.0,
            mark_price=28552.81,
            ts_event_ns=1680673821770 * MS,
        )
        assert heard.timed == [1680673821770 * MS]

    def test_a_delta_keeps_what_it_does_not_mention(self, decoder, heard):
        decoder.on_frame(ticker("snapshot", markPrice="28552.81", **TERMS), NOW)
        decoder.on_frame(ticker("delta", fundingRate="-0.0002"), NOW + 1)
        funding = heard.fundings[1][1]
        assert (funding.rate, funding.interval_h, funding.mark_price) == (-0.0002, 8.0, 28552.81)

    def test_ticks_with_nothing_new_are_not_delivered(self, decoder, heard):
        decoder.on_frame(ticker("snapshot", markPrice="28552.81", **TERMS), NOW)
        for _ in range(3):
            decoder.on_frame(ticker("delta", bid1Price="1", fundingRate="0.0001"), NOW + 5_000 * MS)
        assert len(heard.fundings) == 1
        assert len(heard.timed) == 4

    def test_a_mark_price_is_refreshed_once_a_second(self, decoder, heard):
        decoder.on_frame(ticker("snapshot", markPrice="1", **TERMS), NOW)
        for tick in range(1, 25):
            decoder.on_frame(ticker("delta", markPrice=str(1 + tick)), NOW + tick * 100 * MS)
        assert [funding.mark_price for _, funding in heard.fundings] == [1.0, 11.0, 21.0]

    def test_nothing_is_said_before_rate_and_time_are_known(self, decoder, heard):
        decoder.on_frame(ticker("delta", markPrice="1"), NOW)
        decoder.on_frame(ticker("delta", fundingRate="0.0001"), NOW)
        assert heard.fundings == []
        decoder.on_frame(ticker("delta", nextFundingTime="1680681600000"), NOW)
        assert heard.fundings[0][1].interval_h is None

    def test_a_snapshot_forgets_what_was_known(self, decoder, heard):
        decoder.on_frame(ticker("snapshot", **TERMS), NOW)
        decoder.on_frame(ticker("snapshot", fundingRate="", nextFundingTime="", markPrice="2"), NOW)
        decoder.on_frame(ticker("delta", fundingRate="0.5"), NOW)
        assert len(heard.fundings) == 1

    @pytest.mark.parametrize("odd", [{"fundingRate": "NaN"}, {"markPrice": "inf"}, {"nextFundingTime": "noon"}])
    def test_a_rate_that_is_no_number_is_malformed(self, decoder, heard, odd):
        decoder.on_frame(ticker("snapshot", **TERMS | odd), NOW)
        assert heard.fundings == []
        assert len(heard.malformed) == 1

    def test_spot_tickers_are_ignored(self, heard):
        BybitDecoder(SPOT, {"BTCUSDT": 3}, heard).on_frame(ticker("snapshot", **TERMS), NOW)
        assert heard.silent


class TestControl:
    def test_acknowledgements_and_pongs_are_not_data(self, decoder, heard):
        for frame in (
            b'{"success":true,"ret_msg":"subscribe","conn_id":"2324d924","req_id":"1","op":"subscribe"}',
            b'{"success":true,"ret_msg":"pong","conn_id":"36f5","op":"ping"}',
            b'{"req_id":"1","op":"pong","args":["1672916271846"],"conn_id":"36f5"}',
            b'{"topic":"orderbook.1.DOGEUSDT","type":"snapshot"}',
            b'{"topic":"orderbook.50.BTCUSDT","type":"snapshot"}',
            b'{"topic":5}',
        ):
            decoder.on_frame(frame, NOW)
        assert heard.silent

    def test_a_refused_subscription_fails_the_feed(self, decoder, heard):
        decoder.on_frame(
            b'{"success":false,"ret_msg":"error:handler not found,topic:orderbook.1.X\\u001b[2J","op":"subscribe"}', NOW
        )
        (state, detail) = heard.states[0]
        assert state is FeedState.FAILED
        assert detail == "bybit.linear: subscribe refused: error:handler not found,topic:orderbook.1.X?[2J"


def test_every_recorded_v5_message_decodes(heard):
    lines = shared("tardis-node", "bybit.jsonl").read_bytes().splitlines()
    decoder = BybitDecoder(LINEAR, {"BTCUSDT": 3, "BTCUSD": 7, "LTCUSDT": 8}, heard)
    for line in lines:
        decoder.on_frame(line, NOW)
    # The third delta belongs to another recording: it is older than the book.
    assert [sides(quote) for _, quote, _ in heard.quotes] == [
        (28552.0, 0.047, 28552.1, 25.433),
        (28552.0, 0.012, 28552.1, 25.433),
    ]
    assert [slot for slot, _ in heard.trades] == [7, 7, 7, 8]
    assert [(slot, funding.rate, funding.mark_price) for slot, funding in heard.fundings] == [
        (7, 0.0001, 28560.0),
        (3, 0.0001, 28552.81),
    ]
    assert heard.malformed == []


def test_every_recorded_spot_message_decodes(heard):
    lines = shared("tardis-node", "bybit_spot.jsonl").read_bytes().splitlines()
    decoder = BybitDecoder(SPOT, {"BTCUSDT": 3}, heard)
    for line in lines:
        decoder.on_frame(line, NOW)
    assert [sides(quote) for _, quote, _ in heard.quotes] == [
        (28165.07, 0.175231, 28165.08, 0.996816),
        (28165.07, 0.166754, 28165.08, 0.996816),
    ]
    assert [trade.buyer_is_maker for _, trade in heard.trades] == [True] * 4
    assert heard.malformed == []


def test_recorded_tickers_of_2024_tell_the_rate(decoder, heard):
    path = shared("gocryptotrader", "bybit_wsTicker.json.gz")
    for line in gzip.decompress(path.read_bytes()).splitlines():
        if line.strip():
            decoder.on_frame(line, NOW)
    assert (3, 0.00008055) in [(slot, funding.rate) for slot, funding in heard.fundings]
    assert heard.malformed == []


@pytest.mark.parametrize("name", ["Trades", "Ticker"])
def test_documented_messages_decode(decoder, heard, name):
    text = shared("jkorf", "Bybit", "Subscriptions", "V5", "Linear", f"{name}.txt").read_text("utf-8-sig")
    decoder.on_frame(text.partition("= ")[2].strip().encode(), NOW)
    assert heard.malformed == []
    assert len(heard.trades) + len(heard.fundings) == 1
