"""Every recorded payload of Kraken and Coinbase: it decodes, or is refused for a reason that is stated."""

import gzip
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.domain.instrument import Feed
from exchanges.coinbase.venue import CoinbaseVenue
from exchanges.kraken.venue import KrakenVenue

SHARED = Path(os.environ.get("CRYPTO_PIPE_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
FIXTURES = SHARED / "fixtures"
KRAKEN, COINBASE = Feed.parse("kraken.spot"), Feed.parse("coinbase.spot")

CONNECTED = "2021-04-17T16:43:37.061"

pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason=f"no recorded payloads: {FIXTURES} is not there")


class Heard:
    """Keeps every call."""

    def __init__(self) -> None:
        self.quotes: list[Any] = []
        self.trades: list[Any] = []
        self.malformed: list[str] = []
        self.states: list[Any] = []

    def on_quote(self, slot: int, quote: Any, ts_recv_ns: int, raw: bytes) -> None:
        self.quotes.append((slot, quote, raw))

    def on_trade(self, slot: int, trade: Any, ts_recv_ns: int) -> None:
        self.trades.append((slot, trade))

    def on_timed_frame(self, feed: Feed, ts_event_ns: int, ts_recv_ns: int) -> None:
        assert ts_event_ns > 0

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        self.malformed.append(reason)

    def on_feed_state(self, feed: Feed, state: Any, detail: str) -> None:
        self.states.append((state, detail))


def session(name: str) -> list[bytes]:
    """What was received in one recorded connection."""
    with gzip.open(FIXTURES / "cryptofeed-v2" / name) as file:
        lines = (re.match(rb"\d+\.\d+: (.*)", line.rstrip()) for line in file)
        return [line[1] for line in lines if line is not None]


def samples(name: str) -> list[bytes]:
    lines = (FIXTURES / name).read_bytes().splitlines()
    if name.startswith("tardis"):
        return lines
    return [json.loads(line)["raw"].encode() for line in lines]


def kraken_of_the_first_protocol() -> Iterator[bytes]:
    for number in (48, 49, 50):
        yield from session(f"KRAKEN.ws.{number}.0.gz")
    yield from samples("tardis-node/kraken.jsonl")
    for path in sorted((FIXTURES / "gocryptotrader").glob("kraken_ws*.gz")):
        yield from (line for line in gzip.decompress(path.read_bytes()).splitlines() if line)


def test_every_frame_of_krakens_first_protocol_is_refused_by_that_name() -> None:
    heard, count = Heard(), 0
    decoder = KrakenVenue().decoder(KRAKEN, {"XBT/USD": 0, "BTC/USD": 0, "XMR/USD": 1}, heard)  # type: ignore[arg-type]
    for count, raw in enumerate(kraken_of_the_first_protocol(), start=1):
        decoder.on_frame(raw, 1)
        assert len(heard.malformed) == count, raw
    assert count > 4_000
    assert not heard.quotes
    assert set(heard.malformed) == {"a frame of Kraken's first protocol: only version 2 is read"}


def test_other_frames_of_kraken_are_refused_for_a_reason() -> None:
    reasons = Counter[str]()
    for raw in samples("crypto-msg-parser/kraken.jsonl"):
        heard = Heard()
        KrakenVenue().decoder(KRAKEN, {"XBT/USD": 0}, heard).on_frame(raw, 1)  # type: ignore[arg-type]
        assert not heard.quotes
        reasons.update(heard.malformed)
    assert sum(reasons.values()) == len(samples("crypto-msg-parser/kraken.jsonl"))
    assert len(reasons) == 3  # first protocol, futures, answers of REST


def test_frames_of_version_2_decode() -> None:
    heard = Heard()
    decoder = KrakenVenue().decoder(KRAKEN, {"BTC/USD": 0, "ANETx/USD": 1}, heard)  # type: ignore[arg-type]
    for raw in samples("tardis-node/kraken_v2.jsonl"):
        decoder.on_frame(raw, 1)
    assert not heard.malformed
    (slot, quote, _), (other, nothing, _) = heard.quotes
    assert (slot, quote.bid_price, quote.ask_qty) == (0, 99.9, 2.3)
    assert (other, nothing.bid_qty, nothing.ts_event_ns) == (1, 0.0, None)  # the quote gate refuses it
    assert [trade.trade_id for _, trade in heard.trades] == ["123"]  # 122 was before the subscription


def test_the_tops_of_rebuilt_books_are_those_of_coinbases_own_tickers() -> None:
    frames = session("COINBASE.ws.28.0.gz")
    venue, heard = CoinbaseVenue(), Heard()
    products = [json.loads(raw)["product_id"] for raw in frames if raw.startswith(b'{"type":"snapshot"')]
    decoder = venue.decoder(COINBASE, {name: slot for slot, name in enumerate(products)}, heard)  # type: ignore[arg-type]
    tops: dict[str, tuple[float, float]] = {}
    checked = 0
    for raw in frames:
        before = len(heard.quotes)
        decoder.on_frame(raw, 1)
        for slot, quote, payload in heard.quotes[before:]:
            shown = venue.printed(COINBASE, payload)
            assert (float(shown.top_bid), float(shown.top_ask)) == (quote.bid_price, quote.ask_price)
            assert shown.symbol == products[slot]
            tops[shown.symbol] = quote.bid_price, quote.ask_price
        said = json.loads(raw)
        # The first tickers are of trades before the connection, and their tops old: that is why they are not used.
        if said["type"] == "ticker" and said["time"] > CONNECTED:
            checked += 1
            assert tops[said["product_id"]] == (float(said["best_bid"]), float(said["best_ask"])), said
    assert not heard.malformed
    assert not heard.states
    assert len(products) == 10
    assert len(heard.trades) == 97
    assert checked > 90


def test_no_quote_of_a_rebuilt_book_is_crossed() -> None:
    frames, heard = session("COINBASE.ws.28.0.gz"), Heard()
    products = {json.loads(raw)["product_id"]: 0 for raw in frames if raw.startswith(b'{"type":"snapshot"')}
    decoder = CoinbaseVenue().decoder(COINBASE, products, heard)  # type: ignore[arg-type]
    for raw in frames:
        decoder.on_frame(raw, 1)
    assert len(heard.quotes) > 1_000
    assert all(quote.bid_price < quote.ask_price for _, quote, _ in heard.quotes)


def test_single_frames_of_coinbase_decode_or_are_refused_for_a_reason() -> None:
    reasons = []
    for raw in samples("tardis-node/coinbase.jsonl") + samples("crypto-msg-parser/coinbase_pro.jsonl"):
        heard = Heard()
        slots = dict.fromkeys(("BTC-USD", "ETC-GBP", "ETH-USD", "BAT-USDC", "YFI-USD", "BTC-EUR"), 0)
        CoinbaseVenue().decoder(COINBASE, slots, heard).on_frame(raw, 1)  # type: ignore[arg-type]
        reasons += heard.malformed
    stated = (
        "a change came before any book",
        "a level's price or quantity is not a number",  # "0.-10000" was recorded
        "order-by-order",
        "neither a channel nor a type",
    )
    assert len(reasons) == 7
    assert all(any(words in reason for words in stated) for reason in reasons)
