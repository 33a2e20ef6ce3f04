"""A recording from memory through the whole decision path, against nautilus_trader fed quotes that are ready made."""

import gc
from functools import partial
from time import perf_counter_ns

from benchmarks import nautilus_peer
from benchmarks.frames import Market, market
from benchmarks.measure import interleaved, one_core
from benchmarks.peers import absent, named
from benchmarks.rig import ReplayRig, temporary_journal
from benchmarks.rows import Row, Target, against, without_peer
from bot.storage.journal import SqliteJournal

_TARGET = Target("ratio", at_most=False, limit=1.0, unit="quotes/s")
_PEER = "nautilus-trader"


def rows(rounds: int) -> list[Row]:
    """Quotes a second of both sides, over the same quotes in the same order; on the sample ours trades."""
    source = market()
    with temporary_journal() as journal, one_core():
        ours = partial(_ours, source, source.in_order(), journal)
        name = f"replay with the full decision path ({source.source})"
        theirs = nautilus_peer.replay(source)
        if theirs is None:
            return [without_peer(name, "quotes/s", interleaved(rounds, ours)[0], _PEER, _TARGET, absent(_PEER))]
        samples = interleaved(rounds, ours, theirs)
    note = (
        "ours: raw frames decoded, gated, windowed, priced each second and decided, paper venue attached; nautilus: "
        "BacktestEngine.run over ready-made QuoteTicks, a Strategy with the same edge arithmetic, building and adding "
        "of ticks not counted, no orders (ours sends some on the generated sample)"
    )
    return [against(name, "quotes/s", samples[0], named(_PEER), samples[1], _TARGET, note)]


def _ours(source: Market, frames: list[tuple[int, int, bytes]], journal: SqliteJournal) -> float:
    rig = ReplayRig(source, journal, frames[0][0] - 1)
    gc.collect()
    begun_ns = perf_counter_ns()
    rig.play(frames)
    took_ns = perf_counter_ns() - begun_ns
    rig.check()
    return len(frames) / took_ns * 1e9
