"""A backtest that skips rows decides what the loop over every row decides, and leaves the same state behind."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.backtest.feeder import Feeder
from bot.backtest.market import TapeMarket
from bot.backtest.skim import Skimmer
from bot.backtest.tape import Event, Piece, TapeWriter, piece_of
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument, Segment
from bot.domain.market import FundingRate, PrintedQuote, TopOfBook
from bot.engine.engine import Engine, RunInfo
from bot.engine.snapshot import take_snapshot
from bot.market.columns import Columns
from bot.market.rolling_statistics import RollingStatistics
from bot.ports import FeedState, MarketSink
from bot.settings import PaperSettings, Settings, WindowSettings
from bot.storage.journal import SqliteJournal
from exchanges.paper.actions import PaperActions
from strategies.arbitrage.settings import ArbitrageSettings
from strategies.arbitrage.strategy import ArbitrageStrategy

SECOND_NS = 1_000_000_000
START_NS = 1_700_000_000 * SECOND_NS
SPOT, LINEAR = Feed.parse("binance.spot"), Feed.parse("bybit.linear")


def instrument(feed: Feed) -> Instrument:
    spot = feed.segment is Segment.SPOT
    return Instrument(
        venue=feed.venue,
        symbol="BTC/USDT" if spot else "BTC/USDT:USDT",
        segment=feed.segment,
        base="BTC",
        quote="USDT",
        settle=None if spot else "USDT",
        tick_size=Decimal("0.1"),
        lot_size=Decimal("0.001"),
        min_quantity=Decimal("0.001"),
        min_notional=Decimal(5),
    )


INSTRUMENTS = [instrument(SPOT), instrument(LINEAR)]


def random_tape(seed: int, rows: int, wildness: float) -> list[Piece]:
    """A market with everything in it: unmoved prices, stale and crossed quotes, jumps, steps back, gaps, funding."""
    rng = np.random.default_rng(seed)
    pieces: list[Piece] = []
    writer = TapeWriter([SPOT, LINEAR], pieces.append, piece_rows=max(rows // 3, 50))
    writer.on_feed_state(SPOT, FeedState.LIVE, "")
    writer.on_feed_state(LINEAR, FeedState.LIVE, "")
    mid, now_ns, sequences = 60_000.0, START_NS, [10, 10]
    gaps = [0.0, 0.0]
    for _ in range(rows):
        now_ns += int(rng.exponential(8e6))
        slot = int(rng.random() < 0.6)
        if rng.random() < 0.06:
            mid = round(mid + rng.normal() * 6, 1)
        if rng.random() < 0.004:
            gaps[slot] = float(rng.normal() * 60)
        odd = rng.random() < wildness
        kind = int(rng.integers(9)) if odd else -1
        sequences[slot] += int(rng.integers(1, 4))
        bid = round(mid + gaps[slot] - 0.1, 1)
        ask = round(bid + 0.1 * int(rng.integers(1, 4)), 1)
        sequence, late_ns = sequences[slot], int(rng.exponential(4e6))
        if kind == 0:
            bid, ask = ask, bid
        elif kind == 1:
            late_ns = 3 * SECOND_NS
        elif kind == 2:
            bid, ask = bid * 1.2, ask * 1.2
        elif kind == 3:
            sequence -= 50
        elif kind == 4:
            sequences[slot] = sequence = 1
        elif kind == 5:
            now_ns += int(rng.integers(4)) * SECOND_NS
        elif kind == 6:
            funding = FundingRate(
                rate=float(rng.normal() * 1e-4),
                next_funding_ns=now_ns + 7_200 * SECOND_NS,
                interval_h=8.0,
                ts_event_ns=now_ns,
            )
            writer.on_funding(1, funding, now_ns)
        elif kind == 7:
            writer.on_feed_state(SPOT, FeedState.SILENT, "")
        elif kind == 8:
            late_ns = -5_000_000
        quantity = float("nan") if odd and rng.random() < 0.05 else float(rng.integers(1, 900)) / 1000
        if slot == 0 and rng.random() < 0.5:
            writer.on_timed_frame(SPOT, now_ns - late_ns, now_ns)
        quote = TopOfBook(
            bid_price=bid,
            bid_qty=quantity,
            ask_price=ask,
            ask_qty=float(rng.integers(1, 900)) / 1000,
            sequence=sequence,
            ts_event_ns=None if slot == 0 else now_ns - late_ns,
        )
        writer.on_quote(slot, quote, now_ns, b"")
        writer.on_batch_end(now_ns)
    writer.finish()
    return pieces


class Played(NamedTuple):
    """How many rows were fed, and when the engine ticked."""

    rows: int
    ticks_ns: list[int]


MIDNIGHT_NS = 19_676 * 86_400 * SECOND_NS
"""Where a day begins, and funding is settled."""


def long_tape(seed: int, seconds: int, rate: float, apart_bps: float, oddities: int) -> list[Piece]:
    """Minutes of a market whose two sides drift apart and back: with gaps, funding, slow frames and odd rows."""
    rng = np.random.default_rng(seed)
    start_ns = MIDNIGHT_NS - 90 * SECOND_NS if seed % 2 else START_NS
    columns = [_side(rng, slot, start_ns, seconds, rate, apart_bps) for slot in (0, 1)]
    frames_ns = start_ns + np.sort(rng.integers(0, seconds * SECOND_NS, round(seconds * rate)))
    delays = _delays(rng, frames_ns, start_ns)
    blank = np.zeros(len(frames_ns))
    timed = Columns(frames_ns, frames_ns - delays, np.zeros(len(frames_ns), np.int64), blank, blank, blank, blank)
    for _ in range(oddities):
        _make_odd(rng, columns[int(rng.integers(2))])
    parts = [(0, columns[0]), (1, columns[1]), (-1, timed)]
    slots = np.concatenate([np.full(part.rows, slot, np.int32) for slot, part in parts])
    joined = Columns(*(np.concatenate(column) for column in zip(*(part for _, part in parts), strict=True)))
    order = np.argsort(joined.ts_recv_ns, kind="stable")
    rows, slots = joined.take(order), slots[order]
    events = [_funding(rng, rows, start_ns) for _ in range(int(rng.integers(0, 4)))]
    live = [Event(0, start_ns, True, partial(_live, feed)) for feed in (SPOT, LINEAR)]
    events = live + sorted(events, key=lambda event: event.at)
    cut = int(len(slots) * rng.uniform(0.2, 0.8))
    ends = np.ones(len(slots), np.bool_)
    first = Piece(slots[:cut], ends[:cut], rows.slice(0, cut), [event for event in events if event.at < cut])
    late = [replace(event, at=event.at - cut) for event in events if event.at >= cut]
    return [first, Piece(slots[cut:], ends[cut:], rows.slice(cut, len(slots)), late)]


def _side(rng: np.random.Generator, slot: int, start_ns: int, seconds: int, rate: float, apart_bps: float) -> Columns:
    count = round(seconds * rate)
    recv_ns = start_ns + np.sort(rng.integers(0, seconds * SECOND_NS, count))
    if rng.random() < 0.5:  # a silence, of which some are long
        quiet_ns = start_ns + int(rng.integers(seconds)) * SECOND_NS
        recv_ns = recv_ns[(recv_ns < quiet_ns) | (recv_ns > quiet_ns + int(rng.uniform(0.5, 4.0) * SECOND_NS))]
    if rng.random() < 0.3:  # on the very moments of ticks and buckets
        recv_ns[::7] -= recv_ns[::7] % (SECOND_NS // 4)
        recv_ns = np.sort(recv_ns)
    count = len(recv_ns)
    moves = np.where(rng.random(count) < 0.2, rng.integers(-3, 4, count), 0)
    turns = 2 * np.pi * (recv_ns - start_ns) / (SECOND_NS * rng.uniform(50, 400))
    apart = apart_bps * 6.0 * np.sin(turns) * slot  # 60,000 · bps / 10⁴
    bid = np.round(60_000.0 + 0.1 * np.cumsum(moves) + np.round(apart * 2) / 2, 1)
    ask = np.round(bid + 0.1 * rng.integers(1, 4, count), 1)
    event_ns = recv_ns - _delays(rng, recv_ns, start_ns) if slot else np.zeros(count, np.int64)
    sizes = rng.integers(1, 900, (2, count)) / 1000
    return Columns(recv_ns, event_ns, 10 + np.arange(count), bid, sizes[0], ask, sizes[1])


def _delays(rng: np.random.Generator, recv_ns: Any, start_ns: int) -> Any:
    """They get shorter and longer: clocks go on learning, and now and then a frame is late."""
    wave = 3e6 * np.sin((recv_ns - start_ns) / (60.0 * SECOND_NS) + rng.uniform(0, 6))
    late = np.where(rng.random(len(recv_ns)) < 0.001, rng.uniform(0, 1.5e9), 0.0)
    return (5e6 + wave + rng.exponential(2e6, len(recv_ns)) + late).astype(np.int64)


def _make_odd(rng: np.random.Generator, columns: Columns) -> None:
    at, kind = int(rng.integers(columns.rows)), int(rng.integers(4))
    if kind == 0:
        columns.bid_price[at] = columns.ask_price[at] + 1.0
    elif kind == 1:
        columns.sequence[at] -= 5
    elif kind == 2:
        columns.bid_qty[at] = 0.0
    else:
        columns.bid_price[at] *= 1.2
        columns.ask_price[at] *= 1.2


def _live(feed: Feed, sink: MarketSink) -> None:
    sink.on_feed_state(feed, FeedState.LIVE, "")


def _funding(rng: np.random.Generator, rows: Columns, start_ns: int) -> Event:
    at = int(rng.integers(rows.rows))
    ts_ns = int(rows.ts_recv_ns[at])
    funding = FundingRate(
        rate=float(rng.normal() * 3e-4),
        next_funding_ns=ts_ns + int(rng.choice((20, 150, 3_600, 28_800))) * SECOND_NS,
        interval_h=float(rng.choice((1.0, 8.0))),
        ts_event_ns=ts_ns,
    )
    return Event(at, ts_ns, True, lambda sink: sink.on_funding(1, funding, ts_ns))


@contextmanager
def played(
    pieces: list[Piece], taker_bps: str, *, skims: bool, makers: bool = False, rolling_s: float = 360.0
) -> Iterator[tuple[Engine, PaperActions, Played]]:
    """The engine after the whole tape, and what of it was played one by one."""
    span = (int(pieces[0].rows.ts_recv_ns[0]), int(pieces[-1].rows.ts_recv_ns[-1]))
    market = TapeMarket("backtest", INSTRUMENTS, {SPOT: {}, LINEAR: {}}, lambda: iter(pieces), span, {})
    fees = {
        feed: FeeSchedule(feed=feed, maker_bps=Decimal(0), taker_bps=Decimal(taker_bps), source="setting")
        for feed in (SPOT, LINEAR)
    }
    balances = {wallet: {"USDT": 100_000, "BTC": 2} for wallet in ("binance.spot", "bybit.unified")}
    config = Settings(
        paper=PaperSettings.model_validate({"balances": balances}), window=WindowSettings(rolling_s=rolling_s)
    )
    fed = 0
    with TemporaryDirectory() as directory:
        journal = SqliteJournal(Path(directory), "test", group_commit_ms=0, deliver=None)
        venue = PaperActions(INSTRUMENTS, fees, config.paper, market.clock)
        engine = Engine(
            run=RunInfo("test", "arbitrage", "backtest", False, "", "0"),
            instruments=INSTRUMENTS,
            strategy=ArbitrageStrategy(ArbitrageSettings(warmup_s=2.0, maker_variants=makers, max_holding_s=9.0)),
            venue=venue,
            journal=journal,
            clock=market.clock,
            settings=config,
            fees=fees,
            assumed_funding_bps_per_8h={LINEAR: 0.0},
            log=lambda level, text: None,
        )

        def skimmer(feeder: Feeder) -> Skimmer:
            return Skimmer(engine, _Counting(feeder), config.quote_gate, venue.needs_every_quote)  # type: ignore[arg-type]

        class _Counting:
            def __init__(self, feeder: Feeder) -> None:
                self.feed_one = feeder.feed_one
                self.clock = feeder.clock

        if skims:
            market.skimmer = skimmer
        original = Engine.on_quote

        def counted(self: Engine, *arguments: Any) -> None:
            nonlocal fed
            fed += 1
            original(self, *arguments)

        def ticked(self: Engine) -> None:
            ticks.append(market.clock.now_ns())
            tick(self)

        ticks: list[int] = []
        tick = Engine._tick
        engine._tick = ticked.__get__(engine)  # type: ignore[method-assign]
        engine.on_quote = counted.__get__(engine)  # type: ignore[method-assign]
        engine.start()
        asyncio.run(market.run(engine, asyncio.Event()))
        try:
            yield engine, venue, Played(fed, ticks)
        finally:
            journal.close()


def state_of(engine: Engine, venue: PaperActions) -> list[Any]:
    """Everything that a later decision or report could rest on."""
    state: list[Any] = [engine.decisions.digest, engine.desk.fills, engine.decider.opportunities, venue.balances()]
    for slot in engine.slots:
        statistics, window = slot.statistics, slot.window
        columns = window.between(0, 1 << 62)
        state += [
            slot.quote,
            slot.sequence,
            slot.recv_ns,
            slot.event_age_ns,
            slot.received,
            slot.refused,
            slot.refused_counts,
            [statistics_of(one) for one in (statistics, *slot.spans.values())],
            statistics.mean_mid,
            statistics.mean_spread_bps,
            statistics.volatility_bps_per_sqrt_s,
            statistics.price_changes,
            statistics.high_bid,
            statistics.low_ask,
            window.appended,
            window.last(),
            [column.tolist() for column in columns],
            [column.tolist() for column in window.price_changes(0, 1 << 62)],
        ]
    engine.look()
    # Many routes are asked by an index, at moments of its own: then a best of one route rests on which were looked at.
    bests = [r.watch.best_gross_bps for r in engine.routes] if len(engine.routes) <= 2 else []
    state += [bests, [(r.watch.gross_bps, r.watch.needed_bps, r.reason) for r in engine.routes]]
    state += [slots_of(clock) for clock in engine.clock_offsets.values()]
    state += [slots_of(slot.feed_delay) for slot in engine.slots]
    state += [slots_of(health) for health in engine.feeds.values()]
    state += [slots_of(slot.gate, nan=-1.0) for slot in engine.slots]
    portfolio, results = engine.desk.portfolio, engine.desk.portfolio._results
    state += [portfolio.edges._since_ns, results._by_day, results.total, engine.ticked_ns]
    state += [engine.desk._funding._coming, engine.desk._funding._settled_ns]
    return state


def slots_of(one: object, nan: float | None = None) -> list[tuple[str, Any]]:
    """Everything that an object of slots remembers; NaN equals nothing."""
    found = [(name, getattr(one, name)) for name in type(one).__slots__ if not name.startswith("_clock")]  # type: ignore[attr-defined]
    return [(name, nan if isinstance(value, float) and value != value else value) for name, value in found]


def statistics_of(one: RollingStatistics) -> list[Any]:
    """To the last bit, with every bucket of the past."""
    past = one._past
    own = [(name, value) for name, value in slots_of(one) if name != "_past"]
    return [*own, past.total, past._newer_total, past._newer, past._older]


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    wildness=st.sampled_from([0.0, 0.003, 0.03]),
    taker_bps=st.sampled_from(["0", "2", "10"]),
    makers=st.booleans(),
)
def test_what_is_skimmed_is_what_the_full_loop_would_have_left(
    seed: int, wildness: float, taker_bps: str, makers: bool
) -> None:
    pieces = random_tape(seed, 1_500, wildness)
    with played(pieces, taker_bps, skims=False, makers=makers) as (engine, venue, _):
        full = state_of(engine, venue)
    with played(pieces, taker_bps, skims=True, makers=makers) as (engine, venue, _):
        assert state_of(engine, venue) == full


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    seconds=st.integers(60, 420),
    rate=st.sampled_from([1.5, 8.0, 40.0]),
    apart_bps=st.sampled_from([0.0, 3.0, 15.0, 40.0, 200.0]),
    oddities=st.integers(0, 3),
    taker_bps=st.sampled_from(["0", "2", "10"]),
    makers=st.booleans(),
    rolling_s=st.sampled_from([30.0, 360.0]),
)
def test_the_ticks_that_are_leapt_over_would_have_left_the_same(
    seed: int,
    seconds: int,
    rate: float,
    apart_bps: float,
    oddities: int,
    taker_bps: str,
    makers: bool,
    rolling_s: float,
) -> None:
    pieces = long_tape(seed, seconds, rate, apart_bps, oddities)
    with played(pieces, taker_bps, skims=False, makers=makers, rolling_s=rolling_s) as (engine, venue, _):
        full = state_of(engine, venue)
    with played(pieces, taker_bps, skims=True, makers=makers, rolling_s=rolling_s) as (engine, venue, _):
        assert state_of(engine, venue) == full


def stepped_tape(*steps: tuple[int, float]) -> list[Piece]:
    """Two sides apart by so many bps for so many seconds, and again; ten quotes a second of each."""
    count = 10 * sum(seconds for seconds, _ in steps)
    apart = np.repeat([6.0 * bps for _, bps in steps], [10 * seconds for seconds, _ in steps])
    recv_ns = START_NS + 100_000_000 * np.arange(count)
    columns = []
    for slot in (0, 1):
        bid = np.round(60_000.0 + 0.1 * (np.arange(count) % 2) + slot * apart, 1)
        own_ns, sizes = recv_ns + 7_000_000 * slot, np.full(count, 0.5)
        columns.append(Columns(own_ns, own_ns - 5_000_000, 10 + np.arange(count), bid, sizes, bid + 0.1, sizes))
    return [piece_of(columns)]


@pytest.mark.parametrize("taker_bps", ["0", "2", "3"])
def test_costs_that_fall_below_what_has_long_been_offered_end_a_leap(taker_bps: str) -> None:
    # The difference stands still from the third step on: it is its mean over six minutes that falls.
    pieces = stepped_tape((100, 60.0), (100, -20.0), (400, 16.0))
    with played(pieces, taker_bps, skims=False) as (engine, venue, _):
        full, all_ticks = state_of(engine, venue), engine.desk.fills
    with played(pieces, taker_bps, skims=True) as (engine, venue, told):
        assert state_of(engine, venue) == full
        assert engine.desk.fills == all_ticks > 0
        assert len(told.ticks_ns) < 500


def test_an_edge_that_stands_too_long_is_dated_from_the_tick_that_found_it() -> None:
    pieces = stepped_tape((60, 0.0), (20, 70.0), (45, 130.0), (7, 80.0), (80, 135.0))
    with played(pieces, "60", skims=False) as (engine, venue, _):
        full = state_of(engine, venue)
    with played(pieces, "60", skims=True) as (engine, venue, told):
        assert state_of(engine, venue) == full
        assert len(told.ticks_ns) < 150
        assert engine.desk.portfolio.edges._since_ns


@pytest.mark.parametrize("apart_bps", [0.0, 3.0])
def test_most_seconds_of_a_market_that_offers_nothing_are_leapt_over(apart_bps: float) -> None:
    ticks = 0
    for seed in range(4):
        with played(long_tape(seed, 400, 20.0, apart_bps, 0), "10", skims=True) as (_, _, told):
            ticks += len(told.ticks_ns)
    assert ticks < 4 * 400 / 4


def test_most_rows_of_a_market_that_offers_nothing_are_skimmed() -> None:
    pieces = random_tape(3, 6_000, 0.0)
    with played(pieces, "10", skims=True) as (_, _, told):
        assert told.rows < 6_000 / 3


def test_a_market_that_trades_still_trades_when_it_is_skimmed() -> None:
    pieces = random_tape(5, 4_000, 0.0)
    with played(pieces, "0", skims=True) as (engine, _, _):
        assert engine.desk.fills > 0


def test_whoever_looks_at_a_backtest_that_goes_on_does_not_stop_it() -> None:
    def printed(feed: Feed, raw: bytes) -> PrintedQuote:
        raise AssertionError("a tape has no payloads to print")

    with played(random_tape(5, 800, 0.0), "0", skims=True) as (engine, _, _):
        snapshot = take_snapshot(engine, engine.started_ns, printed, progress=0.5, finished=False, comparison="")
    assert len(snapshot.routes) == 2
