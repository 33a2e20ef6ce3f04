"""A market in columns through gate, windows, pricing, paper venue and journal, against two backtesting engines."""

import asyncio
import gc
from collections.abc import Iterator, Sequence
from functools import partial
from time import perf_counter_ns

import numpy as np

from benchmarks import hftbacktest_peer, nautilus_peer
from benchmarks.frames import Market, market
from benchmarks.measure import Round, interleaved, one_core, progress
from benchmarks.peers import absent, named
from benchmarks.rig import ReplayRig, temporary_journal
from benchmarks.rows import Row, Target, against, without_peer
from bot.backtest.feeder import Feeder
from bot.backtest.market import TapeMarket
from bot.backtest.skim import Skimmer
from bot.backtest.tape import Piece, TapeWriter, piece_of
from bot.market.columns import Columns
from bot.storage.journal import SqliteJournal
from exchanges.registry import all_venues

_NAUTILUS, _HFT = "nautilus-trader", "hftbacktest"
_TO_NAUTILUS = Target("ratio", at_most=False, limit=10.0, unit="quotes/s")
_TO_HFT = Target("ratio", at_most=False, limit=1.0, unit="quotes/s")
_DENSE_S = 1_200
_ROWS_A_SECOND = 500
"""Of each venue; recorded are 157 to 200, and 640 to 810 in the busiest seconds."""
_CHANGE_PART = 0.05
_NOTE = (
    "ours: every quote gated, kept in 24 h windows, routes priced with fees, funding, latency and basis, decisions "
    "journaled; rows and ticks that cannot matter are taken in one go, by bounds (same decisions, by digest); the "
    "peers run a strategy that computes the edge of both directions at every quote; making of columns, ticks and "
    "events is not counted on either side; nobody trades"
)


def rows(rounds: int) -> list[Row]:
    """Quotes a second over the recorded market, and over one as dense as two busy perpetuals."""
    found: list[Row] = []
    with temporary_journal() as journal, one_core():
        for name, source, tape in (_recorded(), _dense()):
            ticks = _ticks(tape)
            instruments = [quotes.instrument for quotes in source.feeds]
            ours = partial(_ours, source, tape, journal)
            nautilus = nautilus_peer.replay_ticks(instruments, ticks)
            found.append(_row(name, rounds, ours, nautilus, _NAUTILUS, _TO_NAUTILUS))
            del nautilus
            with hftbacktest_peer.replay(ticks) as hft:
                found.append(_row(name, rounds, ours, hft, _HFT, _TO_HFT))
    return found


def _row(name: str, rounds: int, ours: Round, theirs: Round | None, peer: str, target: Target) -> Row:
    if theirs is None:
        return without_peer(name, "quotes/s", interleaved(rounds, ours)[0], peer, target, absent(peer))
    samples = interleaved(rounds, ours, theirs)
    return against(name, "quotes/s", samples[0], named(peer), samples[1], target, _NOTE)


def _ours(source: Market, piece: Piece, journal: SqliteJournal) -> float:
    first_ns, last_ns = int(piece.rows.ts_recv_ns[0]), int(piece.rows.ts_recv_ns[-1])
    rig = ReplayRig(source, journal, first_ns - 1)
    engine = rig.engine
    by_feed = {quotes.instrument.feed: {quotes.symbol: quotes.instrument} for quotes in source.feeds}
    instruments = [quotes.instrument for quotes in source.feeds]
    tape = TapeMarket("backtest", instruments, by_feed, lambda: iter([piece]), (first_ns, last_ns), {}, clock=rig.clock)

    def skimmer(feeder: Feeder) -> Skimmer:
        return Skimmer(engine, feeder, engine.settings.quote_gate, rig.venue.needs_every_quote)

    tape.skimmer = skimmer
    gc.collect()
    begun_ns = perf_counter_ns()
    asyncio.run(tape.run(engine, asyncio.Event()))
    took_ns = perf_counter_ns() - begun_ns
    received = sum(slot.received for slot in engine.slots)
    if received != len(piece):
        raise RuntimeError(f"{received} of {len(piece)} quotes were played: the figure would mean nothing")
    rig.check()
    return len(piece) / took_ns * 1e9


def _recorded() -> tuple[str, Market, Piece]:
    source = market()
    progress("backtest: decoding the recording into columns (not counted)")
    pieces: list[Piece] = []
    writer = TapeWriter([quotes.instrument.feed for quotes in source.feeds], pieces.append)
    venues = all_venues()
    decoders = [
        venues[quotes.instrument.venue].decoder(quotes.instrument.feed, {quotes.symbol: slot}, writer).on_frame
        for slot, quotes in enumerate(source.feeds)
    ]
    for ts_ns, at, raw in source.in_order():
        decoders[at](raw, ts_ns)
        writer.on_batch_end(ts_ns)
    writer.finish()
    (piece,) = pieces
    return f"backtest from columns ({source.source})", source, piece


def _dense() -> tuple[str, Market, Piece]:
    source = market()
    end_ns = max(quotes.lines[-1][0] for quotes in source.feeds)
    columns = [_made(end_ns, np.random.default_rng(seed)) for seed, _ in enumerate(source.feeds)]
    return "backtest from columns (made: 500 quotes/s each)", source, piece_of(columns)


def _made(end_ns: int, random: np.random.Generator) -> Columns:
    """A part of the rows move the price by a tick, as recorded ones do; the rest a quantity."""
    count = round(_DENSE_S * _ROWS_A_SECOND)
    recv_ns = end_ns - np.arange(count, 0, -1) * (10**9 // _ROWS_A_SECOND) + random.integers(0, 10**6, count)
    moves = np.where(random.random(count) < _CHANGE_PART, random.choice((-1, 1), count), 0)
    ticks = 270_000 + np.cumsum(moves)
    return Columns(
        recv_ns,
        recv_ns - random.integers(1_000_000, 6_000_000, count),
        10**12 + 40 * np.arange(count),
        ticks / 100,
        random.integers(1, 100_000, count) / 1_000,
        (ticks + 1) / 100,
        random.integers(1, 100_000, count) / 1_000,
    )


def _ticks(piece: Piece) -> list[nautilus_peer.Tick]:
    def walked() -> Iterator[nautilus_peer.Tick]:
        rows = piece.rows
        numbers: Sequence[Sequence[float]] = [
            column.tolist() for column in (rows.bid_price, rows.ask_price, rows.bid_qty, rows.ask_qty)
        ]
        yield from zip(rows.ts_recv_ns.tolist(), piece.slot.tolist(), *numbers, strict=True)

    return list(walked())
