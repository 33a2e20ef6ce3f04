"""A backtest that skips rows decides what the loop over every row decides, and leaves the same state behind."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.backtest.feeder import Feeder
from bot.backtest.market import TapeMarket
from bot.backtest.skim import Skimmer
from bot.backtest.tape import Piece, TapeWriter
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument, Segment
from bot.domain.market import FundingRate, PrintedQuote, TopOfBook
from bot.engine.engine import Engine, RunInfo
from bot.engine.snapshot import take_snapshot
from bot.ports import FeedState
from bot.settings import PaperSettings, Settings
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


@contextmanager
def played(
    pieces: list[Piece], taker_bps: str, *, skims: bool, makers: bool = False
) -> Iterator[tuple[Engine, PaperActions, int]]:
    """The engine after the whole tape, and how many rows were fed one by one."""
    span = (int(pieces[0].rows.ts_recv_ns[0]), int(pieces[-1].rows.ts_recv_ns[-1]))
    market = TapeMarket("backtest", INSTRUMENTS, {SPOT: {}, LINEAR: {}}, lambda: iter(pieces), span, {})
    fees = {
        feed: FeeSchedule(feed=feed, maker_bps=Decimal(0), taker_bps=Decimal(taker_bps), source="setting")
        for feed in (SPOT, LINEAR)
    }
    balances = {wallet: {"USDT": 100_000, "BTC": 2} for wallet in ("binance.spot", "bybit.unified")}
    config = Settings(paper=PaperSettings.model_validate({"balances": balances}))
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

        if skims:
            market.skimmer = skimmer
        original = Engine.on_quote

        def counted(self: Engine, *arguments: Any) -> None:
            nonlocal fed
            fed += 1
            original(self, *arguments)

        engine.on_quote = counted.__get__(engine)  # type: ignore[method-assign]
        engine.start()
        asyncio.run(market.run(engine, asyncio.Event()))
        try:
            yield engine, venue, fed
        finally:
            journal.close()


def state_of(engine: Engine, venue: PaperActions) -> list[Any]:
    """Everything that a later decision or report could rest on."""
    state: list[Any] = [engine.decisions.digest, engine.desk.fills, engine.opportunities, venue.balances()]
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
    state += [clock.offset_ns for clock in engine.clock_offsets.values()]
    return state


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


def test_most_rows_of_a_market_that_offers_nothing_are_skimmed() -> None:
    pieces = random_tape(3, 6_000, 0.0)
    with played(pieces, "10", skims=True) as (_, _, fed):
        assert fed < 6_000 / 3


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
