"""Recordings through the decoders of the live market: what the exchanges sent, and what the project generates."""

import asyncio
import gzip
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from bot.clock import VirtualClock
from bot.domain.instrument import Feed
from bot.domain.market import FundingRate, PublicTrade, TopOfBook
from bot.ports import FeedState, FrameDecoder
from exchanges.binance.decoder import BinanceDecoder
from exchanges.bybit.decoder import BybitDecoder
from exchanges.common.market.raw_writer import RawWriter
from exchanges.recorded.player import PlayResult, RecordedMarket
from exchanges.simulator.sample_recording import write_sample

SHARED = Path(os.environ.get("CRYPTO_PIPE_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
ETH = SHARED / "recordings" / "binance-2024-08-08"
needs_recordings = pytest.mark.skipif(
    not ETH.is_dir(),
    reason=f"no recorded markets in {ETH}: set CRYPTO_PIPE_SHARED to the folder that holds recordings/",
)
SPOT, LINEAR = Feed.parse("binance.spot"), Feed.parse("binance.linear")


class Counting:
    """A sink that counts, and sees that time never goes back."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.malformed: list[str] = []
        self.last_ns = 0

    def on_quote(self, slot: int, quote: TopOfBook, ts_recv_ns: int, raw: bytes) -> None:
        assert quote.bid_price < quote.ask_price
        assert ts_recv_ns >= self.last_ns
        self.count[f"quote {slot}"] += 1

    def on_trade(self, slot: int, trade: PublicTrade, ts_recv_ns: int) -> None:
        self.count[f"trade {slot}"] += 1

    def on_funding(self, slot: int, funding: FundingRate, ts_recv_ns: int) -> None:
        assert funding.next_funding_ns > ts_recv_ns
        self.count[f"funding {slot}"] += 1

    def on_timed_frame(self, feed: Feed, ts_event_ns: int, ts_recv_ns: int) -> None:
        self.count[f"timed {feed}"] += 1

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        self.malformed.append(reason)

    def on_feed_state(self, feed: Feed, state: FeedState, detail: str) -> None:
        self.count[f"state {feed}"] += 1

    def on_clock_offset(self, venue: str, offset_ns: int, round_trip_ns: int) -> None:
        raise AssertionError("a recording measures nothing")

    def on_batch_end(self, ts_recv_ns: int) -> None:
        assert ts_recv_ns >= self.last_ns
        self.last_ns = ts_recv_ns
        self.count["batch"] += 1


def decoder(feed: Feed, slots: dict[str, int], sink: Counting) -> FrameDecoder:
    return BinanceDecoder(feed, slots, sink) if feed.venue == "binance" else BybitDecoder(feed, slots, sink)


async def play(feeds: dict[Feed, list[Path]], symbol: str) -> tuple[PlayResult, Counting]:
    sink = Counting()
    decoders = {feed: decoder(feed, {symbol: slot}, sink) for slot, feed in enumerate(feeds)}
    return await RecordedMarket(feeds, decoders, sink, VirtualClock()).run(asyncio.Event()), sink


@needs_recordings
async def test_every_recorded_quote_is_delivered() -> None:
    spot = [ETH / "spot-ethusdt_20240808.gz", ETH / "spot-ethusdt_20240809.gz"]
    linear = [ETH / "usdm-ethusdt_20240808.gz"]
    result, sink = await play({SPOT: spot, LINEAR: linear}, "ETHUSDT")
    assert result == PlayResult(complete=True, reasons=(), lines=33_618 + 46_126 + 74_655, malformed=0, stopped=False)
    assert sink.malformed == []
    assert sink.count["quote 0"] == 24_077 + 34_681
    assert sink.count["quote 1"] == 53_992
    assert sink.count["batch"] == result.lines


@needs_recordings
async def test_a_recording_that_was_cut_is_played_up_to_there(tmp_path: Path) -> None:
    whole = (ETH / "spot-ethusdt_20240808.gz").read_bytes()
    cut = tmp_path / "spot.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    result, sink = await play({SPOT: [cut]}, "ETHUSDT")
    assert not result.complete
    assert result.reasons[0].startswith(f"{cut}: truncated")
    assert 15_000 < result.lines < 20_000
    assert sink.malformed == []
    assert sink.count["quote 0"] > 10_000


@needs_recordings
async def test_a_line_that_is_broken_costs_one_quote(tmp_path: Path) -> None:
    lines = gzip.decompress((ETH / "spot-ethusdt_20240808.gz").read_bytes()).splitlines()[:1_000]
    quoted = [at for at, line in enumerate(lines) if b"bookTicker" in line]
    lines[quoted[10]] = lines[quoted[10]][:60]
    lines[quoted[20]] = b"garbage"
    path = tmp_path / "spot.raw"
    path.write_bytes(b"\n".join(lines) + b"\n")
    result, sink = await play({SPOT: [path]}, "ETHUSDT")
    assert result.complete
    assert len(sink.malformed) == 2
    assert sink.malformed[1] == f"spot.raw:{quoted[20] + 1} has no space between receive time and payload"
    assert sink.count["quote 0"] == len(quoted) - 2


async def test_the_generated_sample_decodes_without_a_malformed_frame(tmp_path: Path) -> None:
    paths = write_sample(tmp_path, minutes=2)
    frames = {feed: [line.split(b" ", 1)[1] for line in path.read_bytes().splitlines()] for feed, path in paths.items()}
    result, sink = await play({feed: [path] for feed, path in paths.items()}, "BTCUSDT")
    assert result.complete
    assert sink.malformed == []
    binance, bybit = frames.values()
    assert sink.count["quote 0"] == sum(b"bookTicker" in frame[:40] for frame in binance)
    assert sink.count["quote 1"] == sum(b"orderbook" in frame[:40] for frame in bybit)
    assert sink.count["trade 0"] == sum(b"aggTrade" in frame[:40] for frame in binance)
    assert sink.count["trade 1"] == sum(b"publicTrade" in frame[:40] for frame in bybit)
    assert sink.count["funding 0"] == 40
    assert sink.count["funding 1"] >= 1


async def test_what_was_recorded_live_plays_as_it_came(tmp_path: Path) -> None:
    """A market written by the raw writer and played again makes the same calls as the one it was recorded from."""
    paths = write_sample(tmp_path / "sample", minutes=1)
    writer = RawWriter(tmp_path / "raw", {}, pytest.fail)
    for feed, path in paths.items():
        for line in path.read_bytes().splitlines():
            ns, _, payload = line.partition(b" ")
            writer.on_raw(feed, payload, int(ns))
    writer.close()
    again = {feed: sorted((tmp_path / "raw").glob(f"{feed}-*.raw")) for feed in paths}
    first, sink = await play({feed: [path] for feed, path in paths.items()}, "BTCUSDT")
    second, replayed = await play(again, "BTCUSDT")
    assert second == first
    assert replayed.count == sink.count
    assert [json.loads(path.read_bytes().splitlines()[-1].split(b" ", 1)[1]) for (path,) in again.values()]
