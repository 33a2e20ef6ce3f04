"""The frames that are measured: recorded ones where they are at hand, else of the generated sample market."""

import gzip
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bot.domain.instrument import Feed, Instrument
from exchanges.registry import all_venues
from exchanges.simulator.sample_recording import BINANCE, BYBIT, sample_instrument, sample_lines

ROOT = Path(__file__).resolve().parents[1]
SPOT, LINEAR = Feed.parse("binance.spot"), Feed.parse("binance.linear")
_RECORDED = {SPOT: "spot-ethusdt_20240808.gz", LINEAR: "usdm-ethusdt_20240808.gz"}
_SAMPLE_MINUTES = 20


@dataclass(frozen=True, slots=True)
class Quotes:
    """The quote frames of one feed."""

    instrument: Instrument
    symbol: str
    """The venue's."""
    lines: list[tuple[int, bytes]]
    """Receive time, UTC ns, and payload."""

    @property
    def payloads(self) -> list[bytes]:
        """Without the receive times."""
        return [raw for _, raw in self.lines]


@dataclass(frozen=True, slots=True)
class Market:
    """Two instruments that make a route."""

    source: str
    feeds: list[Quotes]

    @property
    def span_ns(self) -> int:
        """From the first frame to the last."""
        stamps = [ts for quotes in self.feeds for ts, _ in (quotes.lines[0], quotes.lines[-1])]
        return max(stamps) - min(stamps)

    def in_order(self) -> list[tuple[int, int, bytes]]:
        """Receive time, place of the feed and payload of every frame, as they came."""
        merged = [(ts, at, raw) for at, quotes in enumerate(self.feeds) for ts, raw in quotes.lines]
        return sorted(merged, key=lambda frame: frame[0])


@cache
def market() -> Market:
    """Recorded ETH of Binance, spot and perpetual, from `CRYPTO_PIPE_SHARED`; the generated BTC market without it."""
    folder = Path(os.environ.get("CRYPTO_PIPE_SHARED", ROOT.parent / "shared")) / "recordings" / "binance-2024-08-08"
    paths = {feed: folder / name for feed, name in _RECORDED.items()}
    if not all(path.is_file() for path in paths.values()):
        lines = _sample()
        return Market("generated sample", [_quotes(BINANCE, lines[BINANCE]), _quotes(BYBIT, lines[BYBIT])])
    return Market("recorded ETH", [_recorded(feed, path) for feed, path in paths.items()])


@cache
def bybit() -> Quotes:
    """Bybit's frames: none were recorded, so these are always of the generated sample."""
    return _quotes(BYBIT, _sample()[BYBIT])


@cache
def _sample() -> dict[Feed, list[bytes]]:
    return {feed: [line.encode() for line in lines] for feed, lines in sample_lines(1, _SAMPLE_MINUTES).items()}


def _recorded(feed: Feed, path: Path) -> Quotes:
    shipped = all_venues()["binance"].shipped_instruments(feed)
    with gzip.open(path) as file:
        return Quotes(shipped["ETHUSDT"], "ETHUSDT", list(_quote_lines(file)))


def _quotes(feed: Feed, lines: list[bytes]) -> Quotes:
    return Quotes(sample_instrument(feed), "BTCUSDT", list(_quote_lines(lines)))


def _quote_lines(lines: object) -> Iterator[tuple[int, bytes]]:
    for line in lines:  # type: ignore[attr-defined]
        if b"@bookTicker" in line[:80] or b'"orderbook.1.' in line[:60]:
            ts, raw = line.rstrip().split(b" ", 1)
            yield int(ts), raw


_TIMES_AND_IDS = re.compile(rb'"(u|T|E|ts|cts)":(\d+)')
_IDS_A_TURN = 10**9


def later(raw: bytes, turn: int, turn_ns: int) -> bytes:
    """The frame as it would come `turn` recordings later: its ids and the venue's times moved on, nothing else.

    So one recording plays on and on: every quote is newer than the one before it, as old when it arrives as it was.
    """
    if not turn:
        return raw

    def moved(match: re.Match[bytes]) -> bytes:
        by = turn * (_IDS_A_TURN if match[1] == b"u" else turn_ns // 1_000_000)
        return b'"%s":%d' % (match[1], int(match[2]) + by)

    return _TIMES_AND_IDS.sub(moved, raw)
