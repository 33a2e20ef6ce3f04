"""Beside the real engine, over recorded markets: the archive holds every line that a venue sent, once."""

import asyncio
import gzip
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bot.domain.instrument import Feed
from bot.engine.engine import Engine, RunInfo
from bot.ports import MarketSink, RecordKind
from bot.recording.fanout import Fanout
from bot.recording.record import record
from bot.recording.recorder import Recorder
from bot.settings import Settings
from bot.storage.archive.channels import Channel
from exchanges.paper.actions import PaperActions
from exchanges.recorded.market import Recordings
from exchanges.registry import all_venues
from strategies.arbitrage.settings import ArbitrageSettings
from strategies.arbitrage.strategy import ArbitrageStrategy
from tests.unit.recording_memory import MemoryStore

SHARED = Path(os.environ.get("CRYPTO_PIPE_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
RECORDED = SHARED / "recordings" / "binance-2024-08-08"
pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason=f"no recordings: {RECORDED} is not there")

FILES = {
    Feed.parse("binance.spot"): RECORDED / "spot-ethusdt_20240808.gz",
    Feed.parse("binance.linear"): RECORDED / "usdm-ethusdt_20240808.gz",
}
PLAY_S = 100.0
SPOT_ID, LINEAR_ID = "binance:ETH/USDT", "binance:ETH/USDT:USDT"
Quote = tuple[int, int, float, float, float, float]


class NoJournal:
    def record(
        self, kind: RecordKind, key: str, ts_ns: int, body: Mapping[str, Any] | Callable[[], Mapping[str, Any]]
    ) -> None: ...

    def when_durable(self, callback: Callable[[], None]) -> None:
        callback()

    def close(self) -> None: ...


def recordings() -> Recordings:
    return Recordings({feed: [path] for feed, path in FILES.items()}, all_venues(), speed="max", play_s=PLAY_S)


def engine_over(market: Recordings) -> Engine:
    # Half of all quotes are too old for this gate: those are in no window.
    settings = Settings.model_validate({"quote_gate": {"max_event_age_ms": 2.0}})
    fees = market.published_fees
    return Engine(
        run=RunInfo("run", "arbitrage", "recorded", False, "digest", "0"),
        instruments=market.instruments,
        strategy=ArbitrageStrategy(ArbitrageSettings()),
        venue=PaperActions(market.instruments, fees, settings.paper, market.clock),
        journal=NoJournal(),
        clock=market.clock,
        settings=settings,
        fees=fees,
        assumed_funding_bps_per_8h={},
        log=lambda level, text: None,
    )


def first_stamp(path: Path) -> int:
    with gzip.open(path) as file:
        return int(file.readline().split()[0])


def lines(feed: Feed) -> tuple[list[Quote], Counter[str]]:
    """Every book ticker and the ids of every trade, read from the file by nothing of ours."""
    quotes: list[Quote] = []
    trades: Counter[str] = Counter()
    first_ns = min(first_stamp(path) for path in FILES.values())
    with gzip.open(FILES[feed]) as file:
        for line in file:
            stamp, _, raw = line.partition(b" ")
            if int(stamp) > first_ns + PLAY_S * 1e9:
                break
            message = json.loads(raw)
            name, data = message.get("stream", ""), message.get("data", {})
            if name.endswith("@bookTicker"):
                quotes.append((int(stamp), data["u"], *(float(data[key]) for key in "bBaA")))  # type: ignore[arg-type]
            elif name.endswith("@trade"):
                trades[str(data["t"])] += 1
    return quotes, trades


def archived(store: MemoryStore, instrument: str) -> tuple[list[Quote], Counter[str]]:
    names = ("ts_recv_ns", "sequence", "bid_price", "bid_qty", "ask_price", "ask_qty")
    quotes = [tuple(row[name] for name in names) for row in store.of(Channel.QUOTES, instrument)]
    trades = Counter(str(row["trade_id"]) for row in store.of(Channel.TRADES, instrument))
    return quotes, trades  # type: ignore[return-value]


async def test_beside_an_engine_every_recorded_line_is_archived_once() -> None:
    market, store = recordings(), MemoryStore()
    engine = engine_over(market)
    recorder = Recorder(store, market.instruments, market.clock, engine=engine.slots)
    sink: MarketSink = Fanout(engine, recorder)
    engine.start()
    recorder.start()
    await market.run(sink, asyncio.Event())
    assert recorder.close() == 0
    refused = sum(slot.refused_counts.total() for slot in engine.slots)
    assert refused > 1_000, "rows of both kinds, in the window and not"
    assert sum(slot.window.appended for slot in engine.slots) > 1_000
    assert len({info.number for info in store.segments(Channel.QUOTES)}) >= 4, "over several minutes"
    for feed, instrument in zip(FILES, (SPOT_ID, LINEAR_ID), strict=True):
        assert archived(store, instrument) == lines(feed)


async def test_alone_every_recorded_line_is_archived_once() -> None:
    market, store = recordings(), MemoryStore()
    recorder = Recorder(store, market.instruments, market.clock)
    summary = await record(market, recorder, asyncio.Event())
    assert summary["complete"]
    for feed, instrument in zip(FILES, (SPOT_ID, LINEAR_ID), strict=True):
        quotes, trades = lines(feed)
        assert archived(store, instrument) == (quotes, trades)
        assert summary["feeds"][str(feed)]["rows"] == len(quotes) + trades.total()
        assert summary["feeds"][str(feed)]["frames"] > len(quotes)
