"""From the bytes of a frame to the decision about the routes that it touches, a day held in the windows."""

import gc
import time
from itertools import pairwise
from time import perf_counter_ns
from typing import NamedTuple

from benchmarks import day
from benchmarks.frames import Market, later, market
from benchmarks.measure import one_core, progress, quantile
from benchmarks.rig import ReplayRig, temporary_journal
from benchmarks.rows import Row, Target, figure, worst

_P50 = Target("value", at_most=True, limit=4.0, unit="us")
_P99 = Target("value", at_most=True, limit=8.0, unit="us")
_RATE = Target("value", at_most=False, limit=200_000, unit="quotes/s")
_PAUSE = Target("value", at_most=True, limit=10.0, unit="ms")


class _Sample(NamedTuple):
    """One round."""

    p50_us: float
    p99_us: float
    rate: float
    pause_ms: float
    cpu_pause_ms: float
    machine_ms: float
    cpu_part: float


def rows(rounds: int) -> list[Row]:
    """Latency, sustained rate and the longest pause of the whole path on one core."""
    with temporary_journal() as journal, one_core():
        source = market()
        frames = source.in_order()
        rig = ReplayRig(source, journal, frames[0][0] - 1)
        held = _hold_a_day(rig, source, frames[0][0] - 1)
        gc.collect()
        turns = _Turns(source, frames)
        rig.play(turns.next())  # fills the statistics: before that no route has a price
        samples = []
        for number in range(rounds):
            progress(f"decision: round {number + 1} of {rounds}")
            samples.append(_round(rig, turns))
        rig.check()
    p50, p99, rates, pauses, cpu_pauses, machine, cpu_part = zip(*samples, strict=True)
    told = f"{source.source}, 2 instruments, {held / 1e6:.1f} M rows held"
    undisturbed = [rate / part for rate, part in zip(rates, cpu_part, strict=True)]
    includes = "virtual clock and its timers, decoder, gate, window, statistics, pricing, paper venue, journal"
    return [
        figure(f"bytes to decision, p50 ({told})", "us", p50, _P50, includes),
        figure(f"bytes to decision, p99 ({told})", "us", p99, _P99, includes),
        figure(f"sustained on one core ({told})", "quotes/s", rates, _RATE, includes),
        figure("sustained, a second of own CPU time", "quotes/s", undisturbed, None, "what others took is left out"),
        figure("machine, part of the core that was ours", "of 1", cpu_part, None, "below 1: others ran on it as well"),
        worst("longest pause, by the clock", "ms", pauses, "empty loop, as long, same core", machine, _PAUSE,
              f"{told}; the worst of all rounds: between two frames, whoever caused it"),
        worst("longest pause, own CPU time", "ms", cpu_pauses, "empty loop, as long, same core", machine, _PAUSE,
              f"{told}; what the process itself spent in the pause, page faults included"),
    ]  # fmt: skip


def _hold_a_day(rig: ReplayRig, source: Market, end_ns: int) -> int:
    held = 0
    for slot in rig.engine.slots:
        progress(f"decision: filling the window of {slot.instrument.id} with 24 h at {day.ROWS_A_SECOND} rows/s")
        held += day.fill(slot.window, end_ns, 2_680.0)
    return held


class _Turns:
    """The recording again and again, each time after the last."""

    def __init__(self, source: Market, frames: list[tuple[int, int, bytes]]) -> None:
        self._frames = frames
        # Whole milliseconds, since that is what the venue's times are moved by.
        self._turn_ns = source.span_ns // 1_000_000 * 1_000_000 + 5_000_000
        self._turn = -1

    def next(self) -> list[tuple[int, int, bytes]]:
        self._turn += 1
        by = self._turn * self._turn_ns
        return [(ts + by, feed, later(raw, self._turn, self._turn_ns)) for ts, feed, raw in self._frames]


def _round(rig: ReplayRig, turns: _Turns) -> _Sample:
    latencies = _latencies(rig, turns.next())
    latencies.sort()
    frames = turns.next()
    gc.collect()
    begun_ns, begun_cpu_ns = perf_counter_ns(), time.thread_time_ns()
    rig.play(frames)
    took_ns, cpu_ns = perf_counter_ns() - begun_ns, time.thread_time_ns() - begun_cpu_ns
    pause_ms, cpu_pause_ms = _pauses(rig, turns.next())
    machine_ms = _machine_pause_ms(took_ns)
    return _Sample(
        quantile(latencies, 0.5) / 1e3,
        quantile(latencies, 0.99) / 1e3,
        len(frames) / took_ns * 1e9,
        pause_ms,
        cpu_pause_ms,
        machine_ms,
        cpu_ns / took_ns,
    )


def _latencies(rig: ReplayRig, frames: list[tuple[int, int, bytes]]) -> list[int]:
    advance_to, decide, handlers, now = rig.clock.advance_to, rig.engine.on_batch_end, rig.on_frame, perf_counter_ns
    gc.collect()
    latencies = []
    for ts_ns, feed, raw in frames:
        begun = now()
        advance_to(ts_ns)
        handlers[feed](raw, ts_ns)
        decide(ts_ns)
        latencies.append(now() - begun)
    return latencies


def _pauses(rig: ReplayRig, frames: list[tuple[int, int, bytes]]) -> tuple[float, float]:
    """The longest time from one frame's end to the next one's, by the clock and in CPU time, ms."""
    advance_to, decide, handlers = rig.clock.advance_to, rig.engine.on_batch_end, rig.on_frame
    wall, cpu = [perf_counter_ns()], [time.thread_time_ns()]
    for ts_ns, feed, raw in frames:
        advance_to(ts_ns)
        handlers[feed](raw, ts_ns)
        decide(ts_ns)
        wall.append(perf_counter_ns())
        cpu.append(time.thread_time_ns())
    return _longest_ms(wall), _longest_ms(cpu)


def _machine_pause_ms(duration_ns: int) -> float:
    """The longest gap of a loop that does nothing but look at the clock, for as long as a pass takes."""
    now = perf_counter_ns
    last = now()
    end, longest = last + duration_ns, 0
    while last < end:
        moment = now()
        longest = max(longest, moment - last)
        last = moment
    return longest / 1e6


def _longest_ms(stamps: list[int]) -> float:
    return max(after - before for before, after in pairwise(stamps)) / 1e6
