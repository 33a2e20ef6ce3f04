"""Frames in, calls on a sink out. Payloads are shaped like Binance's documentation unless a test says otherwise."""

import gzip
import json
import math
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from bot.domain.instrument import Feed
from bot.domain.market import FundingRate, PublicTrade, TopOfBook
from bot.ports import FeedState
from exchanges.binance.decoder import BinanceDecoder

SPOT, LINEAR, INVERSE = (Feed.parse(f"binance.{segment}") for segment in ("spot", "linear", "inverse"))
MS = 1_000_000
NOW = 1_753_000_000_200 * MS
SHARED = Path(os.environ.get("CRYPTO_PIPE_SHARED", Path(__file__).parents[2].parent / "shared"))
RECORDINGS = SHARED / "recordings" / "binance-2024-08-08"
LINEAR_TICKER = (
    b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":400900217,"E":1568014460893,"T":1568014460891,'
    b'"s":"BTCUSDT","b":"25.35190000","B":"31.21000000","a":"25.36520000","A":"40.66000000"}}'
)
SPOT_TICKER = (
    b'{"stream":"btcusdt@bookTicker","data":{"u":400900217,"s":"BTCUSDT","b":"25.35190000","B":"31.21000000",'
    b'"a":"25.36520000","A":"40.66000000"}}'
)
SPOT_TRADE = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1672515782136,"s":"BTCUSDT","t":12345,"p":"0.001","q":"100",'
    b'"T":1672515782134,"m":true,"M":true}}'
)
AGG_TRADE = (
    b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1672515782136,"s":"BTCUSDT","a":164325,"p":"0.001",'
    b'"q":"100","f":100,"l":105,"T":1672515782133,"m":false,"nq":"100","st":1,"ps":"BTCUSDT"}}'
)
MARK_PRICE = (
    b'{"stream":"btcusdt@markPrice@1s","data":{"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSDT",'
    b'"p":"11794.15000000","ap":"11794.15","i":"11784.62659091","P":"11784.25641265","r":"0.00038167",'
    b'"T":1562306400000}}'
)


class Heard:
    """Keeps every call."""

    def __init__(self) -> None:
        self.quotes: list[tuple[int, TopOfBook, int, bytes]] = []
        self.trades: list[tuple[int, PublicTrade]] = []
        self.fundings: list[tuple[int, FundingRate]] = []
        self.timed: list[tuple[Feed, int, int]] = []
        self.malformed: list[tuple[bytes, str]] = []

    def on_quote(self, slot: int, quote: TopOfBook, ts_recv_ns: int, raw: bytes) -> None:
        assert isinstance(quote, TopOfBook)
        self.quotes.append((slot, quote, ts_recv_ns, raw))

    def on_trade(self, slot: int, trade: PublicTrade, ts_recv_ns: int) -> None:
        self.trades.append((slot, trade))

    def on_funding(self, slot: int, funding: FundingRate, ts_recv_ns: int) -> None:
        self.fundings.append((slot, funding))

    def on_timed_frame(self, feed: Feed, ts_event_ns: int, ts_recv_ns: int) -> None:
        self.timed.append((feed, ts_event_ns, ts_recv_ns))

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        assert reason
        self.malformed.append((raw, reason))

    def on_feed_state(self, feed: Feed, state: FeedState, detail: str) -> None: ...

    def on_clock_offset(self, venue: str, offset_ns: int, round_trip_ns: int) -> None: ...

    def on_batch_end(self, ts_recv_ns: int) -> None: ...

    def nothing(self) -> bool:
        return not (self.quotes or self.trades or self.fundings or self.timed or self.malformed)


def heard(*frames: bytes, feed: Feed = LINEAR, slots: dict[str, int] | None = None) -> Heard:
    sink = Heard()
    decoder = BinanceDecoder(feed, {"BTCUSDT": 7} if slots is None else slots, sink)
    for frame in frames:
        decoder.on_frame(frame, NOW)
    return sink


def test_a_linear_ticker_carries_the_matching_engines_time() -> None:
    ((slot, quote, ts_recv_ns, raw),) = heard(LINEAR_TICKER).quotes
    assert (slot, ts_recv_ns, raw) == (7, NOW, LINEAR_TICKER)
    assert (quote.bid_price, quote.bid_qty, quote.ask_price, quote.ask_qty) == (25.3519, 31.21, 25.3652, 40.66)
    assert (quote.sequence, quote.ts_event_ns) == (400900217, 1568014460891 * MS)


def test_a_spot_ticker_carries_no_time() -> None:
    ((_, quote, _, _),) = heard(SPOT_TICKER, feed=SPOT).quotes
    assert (quote.bid_price, quote.ask_qty, quote.ts_event_ns) == (25.3519, 40.66, None)


def test_an_inverse_perpetual_is_found_under_its_own_spelling() -> None:
    frame = LINEAR_TICKER.replace(b"btcusdt", b"btcusd_perp").replace(b"BTCUSDT", b"BTCUSD_PERP")
    assert [slot for slot, *_ in heard(frame, feed=INVERSE, slots={"BTCUSD_PERP": 3}).quotes] == [3]


def test_trades_of_both_kinds_also_date_the_feed() -> None:
    sink = heard(SPOT_TRADE, AGG_TRADE, feed=SPOT)
    (_, trade), (_, aggregate) = sink.trades
    assert (trade.price, trade.quantity, trade.buyer_is_maker, trade.trade_id) == (0.001, 100.0, True, "12345")
    assert (aggregate.trade_id, aggregate.buyer_is_maker) == ("164325", False)
    assert aggregate.ts_event_ns == 1672515782133 * MS
    assert sink.timed == [(SPOT, 1672515782134 * MS, NOW), (SPOT, 1672515782133 * MS, NOW)]


@pytest.mark.parametrize("stream", [b"markPrice@1s", b"markPrice"])
def test_a_mark_price_tells_the_funding_rate(stream: bytes) -> None:
    ((slot, funding),) = heard(MARK_PRICE.replace(b"markPrice@1s", stream)).fundings
    assert (slot, funding.rate, funding.mark_price) == (7, 0.00038167, 11794.15)
    assert (funding.next_funding_ns, funding.ts_event_ns) == (1562306400000 * MS, 1562305380000 * MS)
    assert funding.interval_h is None


def test_a_mark_price_without_a_rate_is_let_pass() -> None:
    known = b'"r":"0.00038167","T":1562306400000'
    assert heard(MARK_PRICE.replace(known, b'"r":"","T":0')).nothing()
    assert heard(MARK_PRICE.replace(b"," + known, b"")).nothing()


def test_an_empty_rate_does_not_hide_another_defect() -> None:
    sink = heard(MARK_PRICE.replace(b'"r":"0.00038167","T":1562306400000', b'"r":"","T":"soon"'))
    assert len(sink.malformed) == 1


@pytest.mark.parametrize("rate", [b'"NaN"', b'"inf"', b'"none"', b"null"])
def test_a_rate_that_is_no_number_is_malformed(rate: bytes) -> None:
    assert [why[:2] for _, why in heard(MARK_PRICE.replace(b'"0.00038167"', rate)).malformed] == ["r:"]


@pytest.mark.parametrize("text", ["NaN", "inf", "-1", "0", "1e400"])
def test_prices_that_are_numbers_pass_on_to_the_quote_gate(text: str) -> None:
    ((_, quote, _, _),) = heard(SPOT_TICKER.replace(b'"25.35190000"', json.dumps(text).encode()), feed=SPOT).quotes
    assert math.isnan(quote.bid_price) if text == "NaN" else quote.bid_price == float(text)


@pytest.mark.parametrize("broken", [b'""', b'"abc"', b"null", b"[]", b'"0x10"', b'"1,5"', b"{}"])
def test_what_is_no_number_is_malformed_and_kept(broken: bytes) -> None:
    frame = SPOT_TICKER.replace(b'"25.35190000"', broken)
    sink = heard(frame, feed=SPOT)
    assert sink.quotes == []
    assert [(raw, why.split(":")[0]) for raw, why in sink.malformed] == [(frame, "b")]


@pytest.mark.parametrize("field", [b'"u":400900217', b'"T":1568014460891'])
@pytest.mark.parametrize("number", [str(2**63).encode(), b"-1", b"1.5", b'"x"', b"1e30"])
def test_ids_and_times_that_no_column_holds_are_malformed(field: bytes, number: bytes) -> None:
    sink = heard(LINEAR_TICKER.replace(field, field.split(b":")[0] + b":" + number))
    assert (len(sink.quotes), len(sink.malformed)) == (0, 1)


def test_a_missing_field_is_malformed_and_the_next_frame_is_read() -> None:
    sink = heard(LINEAR_TICKER.replace(b',"A":"40.66000000"', b""), LINEAR_TICKER)
    assert [why for _, why in sink.malformed] == ["A: Field required"]
    assert len(sink.quotes) == 1


def test_quotes_are_delivered_as_they_come_and_their_order_is_the_sinks_business() -> None:
    def ticker(sequence: int) -> bytes:
        return LINEAR_TICKER.replace(b"400900217", b"%d" % sequence)

    sink = heard(ticker(5), ticker(7), ticker(6), ticker(7))
    assert [quote.sequence for _, quote, _, _ in sink.quotes] == [5, 7, 6, 7]
    assert sink.malformed == []


def test_the_order_of_one_symbol_says_nothing_about_another() -> None:
    other = LINEAR_TICKER.replace(b"btcusdt", b"ethusdt").replace(b"400900217", b"3")
    assert [slot for slot, *_ in heard(LINEAR_TICKER, other, slots={"BTCUSDT": 0, "ETHUSDT": 1}).quotes] == [0, 1]


def unusual_spellings() -> list[bytes]:
    frame = json.loads(LINEAR_TICKER)
    data, stream = json.dumps(frame["data"], separators=(",", ":")), frame["stream"]
    return [
        json.dumps(frame).encode(),
        json.dumps(frame, indent=2).encode(),
        f'{{"data":{data},"stream":"{stream}"}}'.encode(),
        f'{{"stream":"{stream}","data":{data},"more":1}}'.encode(),
        f'{{"stream":"{stream}","data":{data}}}\n'.encode(),
        f'{{"stream":"{stream}","new":"field","data":{data}}}'.encode(),
        rf'{{"stream":"btcusdt\u0040bookTicker","data":{data}}}'.encode(),
        data.encode(),
        json.dumps(frame["data"]).encode(),
    ]


@pytest.mark.parametrize("frame", unusual_spellings())
def test_other_spellings_of_the_same_frame_are_the_same_quote(frame: bytes) -> None:
    ((slot, quote, _, raw),) = heard(frame).quotes
    assert (slot, raw) == (7, frame)
    assert quote == heard(LINEAR_TICKER).quotes[0][1]


def test_a_spot_ticker_without_an_envelope_is_known_by_its_fields() -> None:
    bare = json.dumps(json.loads(SPOT_TICKER)["data"]).encode()
    ((slot, quote, _, _),) = heard(bare, feed=SPOT).quotes
    assert (slot, quote.sequence) == (7, 400900217)


@pytest.mark.parametrize(("frame", "kept"), [(AGG_TRADE, "trades"), (MARK_PRICE, "fundings"), (SPOT_TRADE, "trades")])
def test_other_payloads_without_an_envelope_are_read_too(frame: bytes, kept: str) -> None:
    sink = heard(json.dumps(json.loads(frame)["data"]).encode())
    assert len(getattr(sink, kept)) == 1
    assert sink.malformed == []


def test_unknown_fields_are_accepted() -> None:
    assert len(heard(LINEAR_TICKER.replace(b'"e":', b'"st":2,"ps":"BTCUSDT","e":')).quotes) == 1


@pytest.mark.parametrize("frame", [b'{"result":null,"id":1}', b'{"id":1,"result":["a@trade"]}', b"{}"])
def test_acknowledgements_are_let_pass(frame: bytes) -> None:
    assert heard(frame, feed=SPOT).nothing()


def test_a_complaint_of_the_venue_is_told() -> None:
    frame = b'{"error":{"code":2,"msg":"Invalid request: unknown variant \\u001b[2J"},"id":1}'
    ((raw, why),) = heard(frame).malformed
    assert raw == frame
    assert "error 2" in why
    assert "Invalid request" in why
    assert why.isprintable()


DEPTH = b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255308,"s":"BTCUSDT","b":[],"a":[]}}'


def test_depth_of_spot_dates_the_feed_and_that_of_futures_need_not() -> None:
    assert heard(DEPTH, feed=SPOT).timed == [(SPOT, 1723161255308 * MS, NOW)]
    assert heard(DEPTH, feed=LINEAR).nothing()
    assert heard(json.dumps(json.loads(DEPTH)["data"]).encode(), feed=SPOT).timed == [(SPOT, 1723161255308 * MS, NOW)]


@pytest.mark.parametrize(
    "frame",
    [
        b"", b"x", b"null", b"[]", b"<html>503</html>", b"\xff\xfe", DEPTH[:-1], LINEAR_TICKER[:-1], LINEAR_TICKER[:-2],
        LINEAR_TICKER[:40], LINEAR_TICKER[:-1] + b"x", LINEAR_TICKER + b"}", LINEAR_TICKER.replace(b"}}", b"}]"),
        b'{"stream":"btcusdt@bookTicker","data":null}', b'{"stream":"btcusdt@bookTicker"}',
        b'{"stream":"btcusdt@bookTicker","data":' + b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_message_is_malformed(frame: bytes) -> None:
    sink = heard(frame, feed=SPOT)
    assert [raw for raw, _ in sink.malformed] == [frame]
    assert len(sink.quotes) == len(sink.timed) == 0


@given(
    st.sampled_from([LINEAR_TICKER, SPOT_TICKER, SPOT_TRADE, AGG_TRADE, MARK_PRICE, DEPTH]),
    st.integers(0, 400),
    st.integers(0, 8),
    st.binary(max_size=6),
    st.sampled_from([SPOT, LINEAR]),
)
def test_no_damage_raises_and_nothing_that_is_not_json_counts(
    frame: bytes, at: int, cut: int, put: bytes, feed: Feed
) -> None:
    damaged = frame[:at] + put + frame[at + cut :]
    sink = heard(damaged, feed=feed)
    try:
        from_json(damaged)
    except ValueError:
        assert [raw for raw, _ in sink.malformed] == [damaged]
        assert sum(map(len, (sink.quotes, sink.trades, sink.fundings, sink.timed))) == 0


def test_a_bug_in_the_consumer_is_not_taken_for_a_malformed_frame() -> None:
    class Broken(Heard):
        def on_quote(self, slot: int, quote: TopOfBook, ts_recv_ns: int, raw: bytes) -> None:
            raise KeyError("ours")

    decoder = BinanceDecoder(LINEAR, {"BTCUSDT": 0}, Broken())
    with pytest.raises(KeyError, match="ours"):
        decoder.on_frame(LINEAR_TICKER, NOW)


@pytest.mark.parametrize(
    ("feed", "name", "symbol"),
    [
        (SPOT, "spot-ethusdt_20240808.gz", "ETHUSDT"),
        (LINEAR, "usdm-ethusdt_20240808.gz", "ETHUSDT"),
        (INVERSE, "cm-ethusd_perp_20240808.gz", "ETHUSD_PERP"),
    ],
)
def test_every_frame_of_a_recording_is_accounted_for(feed: Feed, name: str, symbol: str) -> None:
    path = RECORDINGS / name
    if not path.exists():
        pytest.skip(f"no recordings at {path}; set CRYPTO_PIPE_SHARED")
    sink = Heard()
    decoder = BinanceDecoder(feed, {symbol: 0}, sink)
    kinds: Counter[str] = Counter()
    with gzip.open(path) as lines:
        for line in lines:
            ts_recv_ns, _, raw = line.rstrip(b"\n").partition(b" ")
            kinds[json.loads(raw).get("stream", "bare").split("@")[-1 if b"@depth@" not in raw[:60] else -2]] += 1
            decoder.on_frame(raw, int(ts_recv_ns))
    assert sink.malformed == []
    assert (len(sink.quotes), len(sink.trades)) == (kinds["bookTicker"], kinds["trade"])
    assert len(sink.timed) == kinds["trade"] + (kinds["depth"] if feed == SPOT else 0)
    assert kinds["bare"] == 1
    for _, quote, ts_recv_ns, raw in sink.quotes[:: max(1, len(sink.quotes) // 500)]:
        data = json.loads(raw)["data"]
        assert [quote.bid_price, quote.bid_qty, quote.ask_price, quote.ask_qty] == [float(data[key]) for key in "bBaA"]
        assert quote.sequence == data["u"]
        assert quote.ts_event_ns == (None if feed == SPOT else data["T"] * MS)
        assert ts_recv_ns > 0


def fixture_frames() -> list[tuple[Feed, bytes]]:
    frames = []
    for feed, name in ((SPOT, "binance"), (LINEAR, "binance_futures"), (INVERSE, "binance_delivery")):
        path = SHARED / "fixtures" / "tardis-node" / f"{name}.jsonl"
        if path.exists():
            frames += [(feed, line) for line in path.read_bytes().splitlines() if line]
    return frames


def test_messages_that_others_captured_decode_or_pass() -> None:
    frames = fixture_frames()
    if not frames:
        pytest.skip(f"no fixtures at {SHARED}; set CRYPTO_PIPE_SHARED")
    kept: Counter[str] = Counter()
    complaints = 0
    for feed, frame in frames:
        symbol = json.loads(frame).get("stream", "x").split("@")[0].upper()
        sink = heard(frame, feed=feed, slots={symbol: 0})
        kept.update(quotes=len(sink.quotes), trades=len(sink.trades), fundings=len(sink.fundings))
        # One frame of 2019 lacks the id that Binance documents.
        assert [why for _, why in sink.malformed] in ([], ["a: Field required"])
        complaints += len(sink.malformed)
    assert complaints <= 1
    assert kept["quotes"] >= 3
    assert kept["trades"] >= 3
    assert kept["fundings"] >= 2
