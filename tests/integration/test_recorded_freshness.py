"""Clock offset and quote gate on what Binance really sent to a host whose clock was 1.27 s behind."""

import gzip
import heapq
import os
import re
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import pytest

from bot.domain.market import TopOfBook
from bot.market.clock_offset import ClockOffset, FeedDelay
from bot.market.quote_gate import QuoteGate, RefusedQuote
from bot.settings import QuoteGateSettings

S = 1_000_000_000
SPAN_NS = 60 * S
SHARED = Path(os.environ.get("CRYPTO_PIPE_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
FOLDER = SHARED / "recordings" / "binance-2024-08-08"
FILES = {"spot": "spot-ethusdt_20240808.gz", "linear": "usdm-ethusdt_20240808.gz"}

QUOTE = re.compile(rb'"u":(\d+),"s":"\w+","b":"([\d.]+)","B":"([\d.]+)","a":"([\d.]+)","A":"([\d.]+)"(?:,"T":(\d+))?')
EVENT_MS = re.compile(rb'"E":(\d+)')


class Line(NamedTuple):
    recv_ns: int
    feed: str
    quote: TopOfBook | None
    event_ns: int | None


def parsed(feed: str, line: bytes) -> Line | None:
    stamp, _, raw = line.partition(b" ")
    if b"@bookTicker" in raw:
        found = QUOTE.search(raw)
        assert found is not None, raw
        sequence, bid, bid_qty, ask, ask_qty, event_ms = found.groups()
        quote = TopOfBook(
            bid_price=float(bid),
            bid_qty=float(bid_qty),
            ask_price=float(ask),
            ask_qty=float(ask_qty),
            sequence=int(sequence),
            ts_event_ns=int(event_ms) * 1_000_000 if event_ms else None,
        )
        return Line(int(stamp), feed, quote, quote.ts_event_ns)
    event = EVENT_MS.search(raw)
    return Line(int(stamp), feed, None, int(event[1]) * 1_000_000) if event else None


def first_minute(feed: str) -> list[Line]:
    path = FOLDER / FILES[feed]
    if not path.exists():
        pytest.skip(f"{path} is absent: set CRYPTO_PIPE_SHARED to the folder with the recordings")
    with gzip.open(path) as lines:
        every = (line for line in (parsed(feed, raw) for raw in lines) if line is not None)
        first = next(every)
        return [first, *takewhile(lambda line: line.recv_ns < first.recv_ns + SPAN_NS, every)]


@pytest.fixture(scope="module")
def recorded() -> dict[str, list[Line]]:
    return {feed: first_minute(feed) for feed in FILES}


def delayed(lines: Iterable[Line], start_ns: int, stop_ns: int, by_ns: int) -> Iterator[Line]:
    """What a connection delivers that holds frames of a stretch back: later ones wait behind them."""
    last_ns = 0
    for line in lines:
        last_ns = max(last_ns, line.recv_ns + (by_ns if start_ns <= line.recv_ns < stop_ns else 0))
        yield line._replace(recv_ns=last_ns)


def judged(feeds: dict[str, Iterable[Line]]) -> list[tuple[Line, RefusedQuote | None]]:
    """Every quote in receive order, and what the gate said to it."""
    clock = ClockOffset()
    delays = {feed: FeedDelay(clock) for feed in feeds}
    gates = {feed: QuoteGate(QuoteGateSettings()) for feed in feeds}
    verdicts = []
    for line in heapq.merge(*feeds.values(), key=lambda line: line.recv_ns):
        if line.quote is None:
            assert line.event_ns is not None
            delays[line.feed].observe(line.event_ns, line.recv_ns)
            continue
        if line.event_ns is None:
            age_ns = delays[line.feed].age_ns(line.recv_ns)
        else:
            age_ns = clock.observe(line.event_ns, line.recv_ns)
        verdicts.append((line, gates[line.feed].refuse(line.quote, line.recv_ns, age_ns)))
    return verdicts


def test_ordinary_quotes_pass_though_the_clock_is_behind(recorded: dict[str, list[Line]]) -> None:
    verdicts = judged(dict(recorded))
    quotes = {feed: sum(line.feed == feed for line, _ in verdicts) for feed in FILES}
    assert min(quotes.values()) > 2_000
    refused = sum(reason is not None for _, reason in verdicts)
    assert refused <= len(verdicts) / 1_000


@pytest.mark.parametrize("feed", FILES)
def test_a_stretch_that_came_three_seconds_late_is_refused(recorded: dict[str, list[Line]], feed: str) -> None:
    start_ns = recorded[feed][0].recv_ns + 20 * S
    stop_ns = start_ns + 20 * S
    late = delayed(recorded[feed], start_ns, stop_ns, 3 * S)
    verdicts = judged({**recorded, feed: late})
    stretch = [reason for line, reason in verdicts if line.feed == feed and start_ns + 3 * S <= line.recv_ns < stop_ns]
    assert len(stretch) > 500
    passed = sum(reason is None for reason in stretch)
    # Spot quotes carry no time: those before the first timed frame after the stall cannot be told from fresh ones.
    assert passed <= (0 if feed == "linear" else 20)
    others = [reason for line, reason in verdicts if line.feed != feed]
    assert sum(reason is not None for reason in others) <= len(others) / 1_000, "the other feed is not touched"
    after = [reason for line, reason in verdicts if line.feed == feed and line.recv_ns > stop_ns + 4 * S]
    assert sum(reason is not None for reason in after) <= len(after) / 1_000, "and it recovers"


def test_a_late_start_does_not_make_later_stalls_look_fresh(recorded: dict[str, list[Line]]) -> None:
    start_ns = recorded["linear"][0].recv_ns
    stall_ns = start_ns + 30 * S
    late_start = delayed(recorded["linear"], start_ns, start_ns + 2 * S, 3 * S)
    verdicts = judged({"linear": delayed(late_start, stall_ns, stall_ns + 10 * S, 3 * S)})
    stalled = [reason for line, reason in verdicts if stall_ns + 3 * S <= line.recv_ns < stall_ns + 10 * S]
    assert len(stalled) > 500
    assert set(stalled) == {RefusedQuote.STALE}
    assert not any(reason for line, reason in verdicts if start_ns + 6 * S < line.recv_ns < stall_ns)
