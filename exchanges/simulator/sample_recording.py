"""The recording that this project generates itself, so that it can be tried with nothing at hand.

Two books of one perpetual in their exchanges' wire formats, from one seed: the same bytes every time. The market is
invented (see `latent.py`). A few dislocations are large enough to beat round-trip taker fees of 21 bps, several are
not, and must not be traded.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random

from bot.domain.instrument import Feed, Instrument, Segment
from exchanges.common.market.raw_file import write_json, write_text
from exchanges.recorded.instruments import own_metadata_path
from exchanges.simulator.latent import STEP_S, Dislocation, fair_path, latent_path
from exchanges.simulator.sample_wire import BinanceWire, BybitWire, Top

START_NS = 1_767_571_200_000_000_000
"""2026-01-05T00:00:00Z, by the exchanges' clocks."""
RECORDER_OFFSET_NS = -20_000_000
"""The recorder's clock minus the exchanges': it runs behind."""

_FIRST_PRICE = 61_800.0
_TICK = 0.1
_CELL_S = 150
_MEDIAN_LOTS = 2_680
_SIZE_SPREAD = 1.2
_OVERDUE_BPS = 0.8
"""A book this far from its fair price is traded back at once."""

BINANCE = Feed(venue="binance", segment=Segment.LINEAR)
BYBIT = Feed(venue="bybit", segment=Segment.LINEAR)


@dataclass(frozen=True, slots=True)
class _Book:
    """How one exchange behaves."""

    wire: BinanceWire | BybitWire
    latency_ms: float
    """From the exchange to the recorder, without jitter."""
    moments_a_second: float
    burst: float
    """Mean number of updates that follow one another within milliseconds."""
    funding_every_s: float
    funding_rate: str


def write_sample(directory: Path, seed: int = 1, minutes: int = 10) -> dict[Feed, Path]:
    """Write `sample-generated-<feed>-seed<seed>-<minutes>min.raw` and its instrument metadata for both feeds.

    Returns:
        The recording of each feed; some 2,800 lines a minute, together.

    Raises:
        OSError: If the directory cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    paths = {}
    for feed, lines in sample_lines(seed, minutes).items():
        path = directory / f"sample-generated-{feed}-seed{seed}-{minutes}min.raw"
        write_text(path, "".join(lines))
        write_json(own_metadata_path(path), {"BTCUSDT": sample_instrument(feed).model_dump(mode="json")})
        paths[feed] = path
    return paths


def sample_lines(seed: int, minutes: int) -> dict[Feed, list[str]]:
    """The lines of both recordings, newline included; the same for the same seed."""
    random = Random(seed)  # noqa: S311 - a market, not a secret
    latent, heats = latent_path(random, _FIRST_PRICE, round(minutes * 60 / STEP_S))
    plan = dislocations(random, minutes * 60)
    binance = _Book(BinanceWire(random), 6.0, 8.0, 2.6, 3.0, "0.00008000")
    bybit = _Book(BybitWire(random), 38.0, 10.0, 0.3, 5.0, "0.0001")
    lines = {}
    for feed, book, lag_s in ((BINANCE, binance, 0.0), (BYBIT, bybit, 0.04)):
        fair = fair_path(random, latent, lag_s, plan[feed])
        lines[feed] = list(_lines(random, book, fair, heats))
    return lines


def dislocations(random: Random, seconds: int) -> dict[Feed, list[Dislocation]]:
    """In each 150 s: one large enough to trade, between two that are not; on either book, to either side."""
    plan: dict[Feed, list[Dislocation]] = {BINANCE: [], BYBIT: []}

    def add(start_s: float, low_bps: float, high_bps: float, half_life_s: float) -> None:
        if start_s < seconds:
            peak_bps = random.uniform(low_bps, high_bps) * random.choice((-1, 1))
            feed = random.choice((BINANCE, BYBIT, BYBIT))
            plan[feed].append(Dislocation(start_s, peak_bps, random.uniform(0.1, 0.3), half_life_s))

    for cell_s in range(0, seconds, _CELL_S):
        add(cell_s + random.uniform(8, 12), 5, 15, random.uniform(1, 3))
        add(cell_s + random.uniform(28, 36), 30, 58, random.uniform(4, 9))
        add(cell_s + random.uniform(118, 125), 5, 15, random.uniform(1, 3))
    return plan


def sample_instrument(feed: Feed) -> Instrument:
    """BTCUSDT of one of the two feeds, with the grid of early 2026."""
    return Instrument(
        venue=feed.venue,
        symbol="BTC/USDT:USDT",
        segment=Segment.LINEAR,
        base="BTC",
        quote="USDT",
        settle="USDT",
        tick_size=Decimal("0.10"),
        lot_size=Decimal("0.001"),
        min_quantity=Decimal("0.001"),
        min_notional=Decimal(100) if feed == BINANCE else Decimal(5),
    )


def _lines(random: Random, book: _Book, fair: list[float], heats: list[float]) -> Iterator[str]:
    recorder = _Recorder(random, book.latency_ms)
    top = _top_at(random, fair[0])
    funding_step = max(1, round(book.funding_every_s / STEP_S))
    for step, price in enumerate(fair):
        at_ns = START_NS + round(step * STEP_S * 1e9)
        if step % funding_step == 1:
            yield recorder.line(_funding(book, top, price), at_ns)
        mid = (top.bid_tick + top.ask_tick) * _TICK / 2
        overdue = abs(price / mid - 1) * 1e4 > _OVERDUE_BPS
        if step and not overdue and random.random() > book.moments_a_second * heats[step] * STEP_S:
            continue
        at_ns += random.randrange(round(STEP_S * 5e8))
        moved = _top_at(random, price) if overdue or random.random() < 0.7 else _resized(random, top)
        if random.random() < 0.15:
            yield recorder.line(_trade(random, book, top, moved.bid_tick > top.bid_tick), at_ns)
        top = moved
        yield recorder.line(_quote(book, top), at_ns)
        while random.random() < book.burst / (1 + book.burst):
            at_ns += round(random.expovariate(1 / 0.4e6))
            top = _resized(random, top)
            yield recorder.line(_quote(book, top), at_ns)


class _Recorder:
    """Stamps frames with the receive time of one connection: delayed, jittered, in order."""

    def __init__(self, random: Random, latency_ms: float) -> None:
        self._random = random
        self._latency_ms = latency_ms
        self._last_ns = 0

    def line(self, frame: Callable[[int], str], event_ns: int) -> str:
        """The recording's line for a frame that the exchange made at `event_ns`."""
        delay_ms = self._latency_ms + self._random.expovariate(1 / 1.5)
        received_ns = event_ns + round(delay_ms * 1e6) + RECORDER_OFFSET_NS
        # One connection delivers in order: a frame that was faster waits behind the one before it.
        self._last_ns = max(received_ns, self._last_ns + self._random.randint(4_000, 30_000))
        return f"{self._last_ns} {frame(event_ns // 1_000_000)}\n"


def _quote(book: _Book, top: Top) -> Callable[[int], str]:
    return lambda event_ms: book.wire.quote(top, event_ms)


def _trade(random: Random, book: _Book, top: Top, taker_buys: bool) -> Callable[[int], str]:
    tick = top.ask_tick if taker_buys else top.bid_tick
    lots = _lots(random, 60)
    return lambda event_ms: book.wire.trade(tick, lots, taker_buys, event_ms)


def _funding(book: _Book, top: Top, mark: float) -> Callable[[int], str]:
    wire = book.wire
    if isinstance(wire, BinanceWire):
        return lambda event_ms: wire.funding(mark, book.funding_rate, event_ms)
    return lambda event_ms: wire.funding(top, book.funding_rate, event_ms)


def _top_at(random: Random, price: float) -> Top:
    bid = math.floor(price / _TICK)
    return Top(bid, _lots(random, _MEDIAN_LOTS), bid + 1, _lots(random, _MEDIAN_LOTS))


def _resized(random: Random, top: Top) -> Top:
    if random.random() < 0.5:
        return Top(top.bid_tick, _lots(random, _MEDIAN_LOTS), top.ask_tick, top.ask_lots)
    return Top(top.bid_tick, top.bid_lots, top.ask_tick, _lots(random, _MEDIAN_LOTS))


def _lots(random: Random, median: int) -> int:
    return max(1, round(median * math.exp(random.gauss(0.0, _SIZE_SPREAD))))
