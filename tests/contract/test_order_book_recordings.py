"""Order books rebuilt from what exchanges sent, against the tops and checksums that they sent beside it."""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import pytest

from bot.domain.order_book import BookChange, BookState
from bot.errors import MalformedPayload, SequenceGap
from exchanges.binance.order_book import BinanceBookBuilder
from exchanges.bybit.order_book import BybitBookBuilder
from exchanges.kraken.order_book import KrakenBookBuilder
from exchanges.kraken.schemas import Pair

SHARED = Path(os.environ.get("CRYPTO_PIPE_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
RECORDED = SHARED / "recordings" / "binance-2024-08-08"
FIXTURES = SHARED / "fixtures"

needs_recordings = pytest.mark.skipif(not RECORDED.is_dir(), reason=f"no recordings: {RECORDED} is not there")
needs_fixtures = pytest.mark.skipif(not FIXTURES.is_dir(), reason=f"no recorded payloads: {FIXTURES} is not there")

MARKETS = {
    "spot": ("spot-ethusdt_20240808.gz", "spot-ethusdt_20240809.gz"),
    "usdm": ("usdm-ethusdt_20240808.gz",),
    "cm": ("cm-ethusd_perp_20240808.gz", "cm-ethusd_perp_20240809.gz"),
}
Top = tuple[str, str, str, str]


class Events:
    """Counts what a builder wants, and keeps its states and changes."""

    def __init__(self) -> None:
        self.states: list[BookState] = []
        self.changes: list[BookChange] = []
        self.wanted = 0

    def on_book_change(self, change: BookChange, ts_recv_ns: int) -> None:
        self.changes.append(change)

    def on_book_state(self, state: BookState, reason: str) -> None:
        self.states.append(state)

    def on_book_wanted(self, reason: str) -> None:
        self.wanted += 1


def frames(market: str) -> Iterator[bytes]:
    for name in MARKETS[market]:
        with gzip.open(RECORDED / name) as file:
            for line in file:
                yield line.rstrip().partition(b" ")[2]


def deltas(market: str, count: int) -> list[bytes]:
    found: list[bytes] = []
    for raw in frames(market):
        if b"@depth" in raw[:40]:
            found.append(raw)
            if len(found) == count:
                break
    return found


def top_of(builder: BinanceBookBuilder) -> Top:
    assert builder.book is not None
    printed = builder.book.printed_top("")
    assert printed is not None
    return printed.top_bid, printed.top_bid_quantity, printed.top_ask, printed.top_ask_quantity


def ticker(raw: bytes) -> tuple[int, Top]:
    data = json.loads(raw)["data"]
    return data["u"], (data["b"], data["B"], data["a"], data["A"])


def compare(tops: dict[int, Top], tickers: dict[int, Top]) -> tuple[int, int]:
    """Assert that every rebuilt top is the ticker that was in force at its id; how many, and with how many ids equal.

    A ticker comes whenever the top changes: in force is the newest whose id is not above the book's.
    """
    compared = 0
    ids = iter([*sorted(tickers), 2**63])
    newest, upcoming = -1, next(ids)
    for sequence in sorted(tops):
        while upcoming <= sequence:
            newest, upcoming = upcoming, next(ids)
        if newest >= 0:
            assert tops[sequence] == tickers[newest], (sequence, newest)
            compared += 1
    return compared, len(tops.keys() & tickers.keys())


@needs_recordings
@pytest.mark.parametrize(("market", "books", "with_equal_id"), [("spot", 6_000, 1_000), ("usdm", 6_000, 500),
                                                                 ("cm", 39_000, 2_000)])  # fmt: skip
def test_every_rebuilt_top_is_the_recorded_ticker_to_the_digit(market: str, books: int, with_equal_id: int) -> None:
    events = Events()
    builder = BinanceBookBuilder(1_000, events)
    tops: dict[int, Top] = {}
    tickers: dict[int, Top] = {}
    for raw in frames(market):
        if b"@depth" in raw[:40]:
            builder.on_frame(raw, 0)
        elif b"@bookTicker" in raw[:40]:
            tickers.update([ticker(raw)])
        elif raw.startswith(b'{"lastUpdateId"'):
            builder.on_snapshot(raw, 0)
        events.changes.clear()
        if builder.book is not None and builder.book.sequence not in tops:
            tops[builder.book.sequence or 0] = top_of(builder)
    assert events.states == [BookState.SYNCING, BookState.VALID]
    compared, equal = compare(tops, tickers)
    assert compared > books
    assert equal > with_equal_id


def as_snapshot(builder: BinanceBookBuilder) -> bytes:
    assert builder.book is not None
    image = builder.book.image(50)
    assert image is not None
    return json.dumps({"lastUpdateId": image.sequence, "bids": image.bids, "asks": image.asks}).encode()


def snapshot_of(market: str) -> bytes:
    return next(raw for raw in frames(market) if raw.startswith(b'{"lastUpdateId"'))


@needs_recordings
@pytest.mark.parametrize("lost", [0, 1, 2])
@pytest.mark.parametrize("market", MARKETS)
def test_fault_06_any_message_that_is_dropped_is_detected_at_the_next_one(market: str, lost: int) -> None:
    whole = BinanceBookBuilder(1_000, Events())
    victim = BinanceBookBuilder(50, Events())
    reference = snapshot_of(market)
    is_missing, detected = False, 0
    for number, raw in enumerate(deltas(market, 900)):
        whole.on_frame(raw, 0)
        if number == 30:
            whole.on_snapshot(reference, 0)
        if whole.book is None:
            continue
        if victim.book is not None and number % 3 == lost:
            is_missing = True
            continue
        victim.on_frame(raw, 0)
        if is_missing:
            assert victim.book is None
            assert isinstance(victim.error, SequenceGap)
            is_missing, detected = False, detected + 1
        if victim.book is None:
            victim.on_snapshot(as_snapshot(whole), 0)
        assert top_of(victim) == top_of(whole)
    assert detected > 200


def recorded_ws(name: str) -> Iterator[tuple[float, bytes]]:
    with gzip.open(FIXTURES / "cryptofeed-v2" / name) as file:
        for line in file:
            stamp, _, raw = line.rstrip().partition(b": ")
            if raw.startswith((b"{", b"[")) and not stamp.startswith(b"wss"):
                yield float(stamp), raw


def recorded_snapshots(name: str) -> Iterator[tuple[float, str, bytes]]:
    with gzip.open(FIXTURES / "cryptofeed-v2" / name) as file:
        for line in file:
            url, _, answer = line.rstrip().partition(b" -> ")
            stamp, _, raw = answer.partition(b": ")
            if b"lastUpdateId" in raw:
                yield float(stamp), url.partition(b"symbol=")[2].partition(b"&")[0].decode(), raw


@needs_fixtures
@pytest.mark.parametrize("venue", ["BINANCE", "BINANCE_FUTURES"])
def test_eight_small_markets_of_2021_rebuild_to_their_tickers(venue: str) -> None:
    snapshots = list(recorded_snapshots(f"{venue}.http.0.0.gz"))
    builders = {symbol: BinanceBookBuilder(1_000, Events()) for _, symbol, _ in snapshots}
    tops: dict[str, dict[int, Top]] = {symbol: {} for symbol in builders}
    tickers: dict[str, dict[int, Top]] = {symbol: {} for symbol in builders}
    for stamp, raw in recorded_ws(f"{venue}.ws.1.0.gz"):
        while snapshots and snapshots[0][0] < stamp:
            _, symbol, answer = snapshots.pop(0)
            builders[symbol].on_snapshot(answer, 0)
        stream = json.loads(raw)["stream"]
        symbol = stream.partition("@")[0].upper()
        if "@depth" in stream:
            builder = builders[symbol]
            builder.on_frame(raw, 0)
            if builder.book is not None:
                tops[symbol][builder.book.sequence or 0] = top_of(builder)
        elif "@bookTicker" in stream:
            tickers[symbol].update([ticker(raw)])
    assert [builder.state for builder in builders.values()] == [BookState.VALID] * 4
    assert sum(compare(tops[symbol], tickers[symbol])[0] for symbol in builders) > (700 if "FUT" in venue else 80)


def kraken_v2(symbol: str, parts: list[dict[str, list[list[str]]]], checksum: int, kind: str) -> bytes:
    sides = {"bids": "b", "asks": "a"}
    data = {
        name: "[" + ",".join(
            f'{{"price":{level[0]},"qty":{level[1]}}}'
            for part in parts for key in (short, f"{short}s") for level in part.get(key, ())
        ) + "]"
        for name, short in sides.items()
    }  # fmt: skip
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{symbol}","bids":{data["bids"]},'
        f'"asks":{data["asks"]},"checksum":{checksum}}}]}}'
    ).encode()


def plain_checksum(bids: list[list[str]], asks: list[list[str]]) -> int:
    numbers = [number for level in asks[:10] + bids[:10] for number in level[:2]]
    return crc32("".join(number.replace(".", "").lstrip("0") for number in numbers).encode())


@needs_fixtures
def test_fault_09_every_recorded_checksum_of_kraken_is_met() -> None:
    # Recorded in the older form, whose checksums are made in the same way over digits that are printed in full.
    builders: dict[str, KrakenBookBuilder] = {}
    changes = 0
    for _, raw in recorded_ws("KRAKEN.ws.50.0.gz"):
        message = json.loads(raw)
        if not isinstance(message, list):
            continue
        parts, symbol = message[1:-2], message[-1]
        if "as" in parts[0]:
            price, quantity = (len(number.partition(".")[2]) for number in parts[0]["as"][0][:2])
            pair = Pair(symbol=symbol, price_precision=price, qty_precision=quantity)
            builders[symbol] = KrakenBookBuilder(symbol, 1_000, Events(), pair)
            checksum, kind = plain_checksum(parts[0]["bs"], parts[0]["as"]), "snapshot"
        else:
            checksum, kind = int(next(part["c"] for part in parts if "c" in part)), "update"
            changes += 1
        builders[symbol].on_frame(kraken_v2(symbol, parts, checksum, kind), 0)
        assert builders[symbol].state is BookState.VALID, (symbol, changes, builders[symbol].error)
    assert len(builders) == 10
    assert changes > 4_000


def samples(name: str) -> list[bytes]:
    return (FIXTURES / "tardis-node" / name).read_bytes().splitlines()


@needs_fixtures
@pytest.mark.parametrize(("name", "symbol"), [("bybit.jsonl", b"BTCPERP"), ("bybit_spot.jsonl", b"BTCUSDT")])
def test_recorded_frames_of_bybit_follow_each_other(name: str, symbol: bytes) -> None:
    builder = BybitBookBuilder(50, Events())
    lines = [raw for raw in samples(name) if raw.startswith(b'{"topic":"orderbook.50.' + symbol)]
    assert len(lines) >= 2
    for raw in lines[:2]:
        builder.on_frame(raw, 0)
        assert builder.state is BookState.VALID
    assert builder.book is not None
    assert builder.book.sequence == json.loads(lines[1])["data"]["u"]


@needs_fixtures
def test_kraken_frames_without_or_with_a_wrong_checksum_make_no_book() -> None:
    books = [raw for raw in samples("kraken_v2.jsonl") if b'"channel":"book"' in raw]
    pair = {"price_precision": 1, "qty_precision": 8}
    for raw, error in zip(books, (SequenceGap, MalformedPayload), strict=True):
        symbol = json.loads(raw)["data"][0]["symbol"]
        builder = KrakenBookBuilder(symbol, 10, Events(), Pair(symbol=symbol, **pair))
        builder.on_frame(raw, 0)
        assert builder.book is None
        assert isinstance(builder.error, error)
