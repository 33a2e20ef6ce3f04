"""Recorded markets in a window: what comes back, and how little it takes."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from bot.domain.instrument import Feed
from bot.domain.market import TopOfBook
from bot.market.row_store import SEGMENT_ROWS
from bot.market.segment import Grids, Segment
from bot.market.window import Window
from exchanges.binance.decoder import BinanceDecoder

SHARED = Path(os.environ.get("CRYPTO_PIPE_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
FOLDER = SHARED / "recordings" / "binance-2024-08-08"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no recordings at {FOLDER}; set CRYPTO_PIPE_SHARED")


class Sink:
    """Quotes into a window that seals nearly all of them, and into a list."""

    def __init__(self, grid: tuple[float, float] | None) -> None:
        self.window = Window(rolling_s=1.0, grid=grid)
        self.kept: list[tuple[int, TopOfBook]] = []

    def __getattr__(self, name: str) -> object:
        return lambda *_: None

    def on_quote(self, slot: int, quote: TopOfBook, ts_recv_ns: int, raw: bytes) -> None:
        self.window.append(ts_recv_ns, quote)
        self.kept.append((self.window.last_recv_ns, quote))


def played(name: str, feed: str, symbol: str, grid: tuple[float, float] | None) -> Sink:
    sink = Sink(grid)
    decoder = BinanceDecoder(Feed.parse(feed), {symbol: 0}, sink)
    with gzip.open(FOLDER / name) as lines:
        for line in lines:
            ts_recv_ns, _, raw = line.partition(b" ")
            if b"@bookTicker" in raw:
                decoder.on_frame(raw.rstrip(), int(ts_recv_ns))
    assert len(sink.kept) > 10_000
    return sink


@pytest.mark.parametrize(
    ("name", "feed", "symbol", "grid", "limit"),
    [
        ("usdm-ethusdt_20240808.gz", "binance.linear", "ETHUSDT", (0.01, 0.001), 28.0),
        ("spot-ethusdt_20240809.gz", "binance.spot", "ETHUSDT", (0.01, 0.0001), 28.0),
        # 46 rows a second, some of them seconds apart: their receive times take eight bytes.
        ("cm-ethusd_perp_20240808.gz", "binance.inverse", "ETHUSD_PERP", (0.01, 1.0), 28.0),
        ("usdm-ethusdt_20240808.gz", "binance.linear", "ETHUSDT", (0.1, 0.001), 37.0),
        ("usdm-ethusdt_20240808.gz", "binance.linear", "ETHUSDT", None, 45.0),
    ],
)
def test_every_recorded_row_comes_back_from_a_few_bytes(
    name: str, feed: str, symbol: str, grid: tuple[float, float] | None, limit: float
) -> None:
    sink = played(name, feed, symbol, grid)
    rows = sink.window.between(0, sink.window.last_recv_ns + 1)
    assert rows.ts_recv_ns.tolist() == [ts_ns for ts_ns, _ in sink.kept]
    assert rows.ts_event_ns.tolist() == [quote.ts_event_ns or 0 for _, quote in sink.kept]
    assert rows.sequence.tolist() == [quote.sequence for _, quote in sink.kept]
    for column in ("bid_price", "bid_qty", "ask_price", "ask_qty"):
        given = np.array([getattr(quote, column) for _, quote in sink.kept])
        assert (np.ascontiguousarray(getattr(rows, column)).view(np.int64) == given.view(np.int64)).all()
    for number in range(0, len(sink.kept), 997):
        later = [one for one in sink.kept[number + 1 : number + 500] if one[0] == sink.kept[number][0]]
        ts_ns, quote = (later or [sink.kept[number]])[-1]
        found = sink.window.as_of(ts_ns)
        assert found is not None
        assert (found[0], found[1].model_dump()) == (ts_ns, TopOfBook.model_validate(quote.__dict__).model_dump())
    starts = range(0, rows.rows - SEGMENT_ROWS, SEGMENT_ROWS)
    changed = np.zeros(SEGMENT_ROWS, np.bool_)
    parts = [Segment(0, rows.slice(at, at + SEGMENT_ROWS), changed, Grids.of(grid)) for at in starts]
    taken = sum(part.nbytes for part in parts) / (len(parts) * SEGMENT_ROWS)
    print(taken)
    assert taken <= limit
