"""Take minutes of a tape in one go: every tick in them would have found what the one before it found.

Each second the engine rolls its statistics, sums the costs of its routes anew and looks for what has to be done. In
most seconds of most days there is nothing. `Leaper.leap` proves it of a stretch of many ticks: the edge at which a
route is taken has a least value over all of them (`bounds`), and the best edge of the stretch stays below it; no feed
falls silent, no clock begins another half, no settlement or other timer comes. What the ticks and rows would have left
is then written down at once, equal to the last bit; the tick at the end of the stretch is the engine's own.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from bot.backtest.bounds import has_bounds, least_take_at
from bot.backtest.edges import RouteEdge, Stretch
from bot.backtest.lessons import Lessons
from bot.backtest.tracks import Range, Track, range_of
from bot.clock import VirtualClock
from bot.engine.engine import Engine
from bot.engine.slot import InstrumentSlot
from bot.market.packing import Ints
from bot.market.rolling_path import Path, Prices, Rolls
from bot.market.rolling_statistics import RollingStatistics
from bot.pricing.sheet import Unpriced
from bot.pricing.watch import PriceWatch

_SECOND_NS = 1_000_000_000
LEAST_TICKS = 4
"""Fewer take longer to look at than to play."""
MOST_TICKS = 600
_BEFORE_SETTLEMENT_NS = 3_000_000_000
"""The engine watches a settlement more closely from two seconds before it on, by the venue's clock."""
_MOST_PATIENCE = 64
"""Ticks that are played at the most before a leap is tried again."""
Take = Callable[[int, int, Sequence[Range]], None]
"""Writes down what rows leave in their slots, beside statistics; the last ones are played."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """A stretch of rows up to an engine's own tick, and the ticks before that one, which are left out."""

    start: int
    stop: int
    ticks_ns: Ints
    stretch: Stretch
    before: Sequence[Ints]
    """By slot: how many of its rows come before each tick."""
    paths: Sequence[Sequence[tuple[RollingStatistics, Path]]]
    """By slot: of its statistics, and of those over other spans."""


class Leaper:
    """Leaps over ticks of one engine."""

    def __init__(
        self, engine: Engine, clock: VirtualClock, edges: Sequence[RouteEdge], silent_ns: float, take: Take
    ) -> None:
        """A feed without a frame for more than `silent_ns` is silent."""
        self._engine = engine
        self._clock = clock
        self._edges = edges
        self._silent_ns = silent_ns
        self._take = take
        self._feeds = [
            (health, [slot for slot in engine.slots if slot.feed == feed]) for feed, health in engine.feeds.items()
        ]
        self._knows_routes = all(has_bounds(state) for state in engine.routes)
        self._reach = MOST_TICKS
        self._patience = 1
        self._not_before_ns = 0
        self._doubt = -1
        """The row that was in the way last: it is played."""
        self._times: Sequence[int] = ()
        self._tracks: Sequence[Track] = ()
        self._lessons: Lessons | None = None

    def begin(self, times: Sequence[int], tracks: Sequence[Track], lessons: Lessons | None) -> None:
        """The rows of the next piece; without lessons nothing is leapt over."""
        self._times, self._tracks, self._lessons, self._doubt = times, tracks, lessons, -1

    def leap(self, start: int, stop: int) -> int:
        """Take rows from `start` on, up to a tick before `stop`. Every slot is answered.

        Returns:
            The first row that was not taken, before which a tick is due; `start` where nothing was.
        """
        lessons, engine = self._lessons, self._engine
        if lessons is None or not self._knows_routes or engine.next_tick_ns < self._not_before_ns:
            return start
        if start <= self._doubt:
            return start
        if self._times[start] >= engine.next_tick_ns:
            return start  # that one is the engine's own
        ticks = min(self._ticks_by(self._times[stop - 1]), self._reach)
        if ticks >= LEAST_TICKS:
            ticks = min(ticks, self._ticks_by(self._until_ns()))
        if ticks < LEAST_TICKS or not self._is_calm():
            return start
        stop = bisect_left(self._times, self._tick_ns(ticks), start, stop)
        doubt = lessons.first_doubt(start, stop)
        if doubt < stop:
            ticks = self._ticks_by(self._times[doubt])
            if ticks < LEAST_TICKS:
                self._doubt = doubt
                return start
        while ticks >= LEAST_TICKS:
            plan = self._plan(start, ticks)
            allowed = 0 if plan is None else self._allowed(plan)
            if plan is not None and allowed >= ticks:
                self._commit(plan)
                self._reach, self._patience = min(2 * self._reach, MOST_TICKS), 1
                return plan.stop
            # Up to what is in the way; or, where a bound is, over a shorter time, in which less can change.
            ticks = allowed or ticks // 4
            self._reach = max(ticks, LEAST_TICKS)
        self._not_before_ns = engine.next_tick_ns + self._patience * _SECOND_NS
        self._patience = min(2 * self._patience, _MOST_PATIENCE)
        return start

    def _tick_ns(self, number: int) -> int:
        """When the tick of a number is due, from 1 on."""
        return self._engine.next_tick_ns + (number - 1) * _SECOND_NS

    def _ticks_by(self, ts_ns: int) -> int:
        """How many are due by a time."""
        return max((ts_ns - self._engine.next_tick_ns) // _SECOND_NS + 1, 0)

    # Whether anything is to be done

    def _is_calm(self) -> bool:
        """Nothing is held, and every quote would be refused for the reason that stands."""
        engine = self._engine
        if engine.desk.portfolio.open_pairs() or not engine.desk.portfolio.margins.is_flat():
            return False
        if any(slot.statistics.interrupted for slot in engine.slots):
            return False
        return all(
            not state.is_opportunity and state.reason is not None and state.watch.assess() == state.reason
            for state in engine.routes
        )

    def _until_ns(self) -> int:
        """When another timer, a settlement or the end of the warm-up comes near."""
        engine = self._engine
        if not all(one.is_idle() for one in engine.bystanders):
            return 0
        due_ns = self._clock.next_due_ns(engine.timers)
        until_ns = 1 << 62 if due_ns is None else due_ns
        for slot in engine.slots:
            settled_ns = _settlement_ns(slot, self._clock.now_ns())
            if settled_ns is not None:
                until_ns = min(until_ns, settled_ns - _BEFORE_SETTLEMENT_NS)
        for state in engine.routes:
            sheet = state.watch.sheet if isinstance(state.watch, PriceWatch) else None
            if isinstance(sheet, Unpriced) and sheet.limit == "warm_up":
                covered_s = min(slot.statistics.covered_s for slot in (state.buy, state.sell))
                # The first tick that may have a price is the engine's own.
                until_ns = min(until_ns, engine.ticked_ns + int((sheet.allowed - covered_s + 1.0) * 1e9) - 1)
        return until_ns

    # A stretch

    def _plan(self, start: int, ticks: int) -> _Plan | None:
        """So many ticks, of which the last is the engine's own; None where statistics have to go one by one."""
        engine, times = self._engine, self._times
        ticks_ns = engine.next_tick_ns + _SECOND_NS * np.arange(ticks - 1)
        stop = bisect_left(times, self._tick_ns(ticks), start)
        ranges = [range_of(track.places, start, stop) for track in self._tracks]
        stretch = Stretch(engine.slots, self._tracks, ranges, stop)
        before, paths = [], []
        for slot, track, (low, high) in zip(engine.slots, self._tracks, ranges, strict=True):
            rows = np.searchsorted(track.columns.ts_recv_ns[low:high], ticks_ns)
            rolls = Rolls(ticks_ns, slot.window.appended + rows)
            first, last = range_of(track.moved_numbers, low, high)
            prices = Prices(
                track.columns.ts_recv_ns[track.moved[first:last]],
                track.moved_bid[first:last],
                track.moved_ask[first:last],
            )
            found = []
            for statistics in (slot.statistics, *slot.spans.values()):
                path = statistics.path(prices, rolls)
                if path is None:
                    return None
                found.append((statistics, path))
            before.append(rows)
            paths.append(found)
        return _Plan(start, stop, ticks_ns, stretch, before, paths)

    def _allowed(self, plan: _Plan) -> int:
        """How many ticks the plan may have, its last one included; 0 where the costs may be too low at one of them."""
        first_ns, last_ns = int(plan.ticks_ns[0]), int(plan.ticks_ns[-1])
        told = [found[0][1].at_rolls() for found in plan.paths]
        allowed = self._until_silent(plan)
        for state, edge in zip(self._engine.routes, self._edges, strict=True):
            least = least_take_at(state, told[state.buy.index], told[state.sell.index], first_ns, last_ns)
            if least is None or edge.now_bps() >= (least := min(least, state.watch.take_at_bps)):
                return 0
            if least < inf:
                row = edge.first_above(plan.stretch, least)
                if row < plan.stop:
                    allowed = min(allowed, self._ticks_by(self._times[row]))
        return allowed

    def _until_silent(self, plan: _Plan) -> int:
        """How many ticks there are up to the first that finds a feed silent, that one included."""
        allowed = len(plan.ticks_ns) + 1
        for health, slots in self._feeds:
            heard_ns = np.full(len(plan.ticks_ns), health.last_frame_ns or 0)
            for slot in slots:
                rows, low = plan.before[slot.index], plan.stretch.ranges[slot.index][0]
                recv_ns = self._tracks[slot.index].columns.ts_recv_ns[low : low + int(rows[-1])]
                heard_ns = np.maximum(heard_ns, np.concatenate(([slot.recv_ns], recv_ns))[rows])
            silent = plan.ticks_ns - heard_ns > self._silent_ns
            if silent.any():
                allowed = min(allowed, int(np.argmax(silent)) + 1)
        return allowed

    # What it leaves behind

    def _commit(self, plan: _Plan) -> None:
        engine, slots = self._engine, self._engine.slots
        received = [slot.received + int(rows[-1]) for slot, rows in zip(slots, plan.before, strict=True)]
        for edge in self._edges:
            edge.note_best(plan.stretch)
        self._observe_edges(plan)
        for found in plan.paths:
            for statistics, path in found:
                statistics.follow(path)
        ticks_ns = plan.ticks_ns.tolist()
        for health, its_slots in self._feeds:
            health.skip(ticks_ns, sum(received[slot.index] for slot in its_slots))
        engine.skip_ticks(ticks_ns[-1] + _SECOND_NS)
        self._take(plan.start, plan.stop, plan.stretch.ranges)

    def _observe_edges(self, plan: _Plan) -> None:
        """How long an edge has stood that others would have taken: told at every tick, where any may be so large."""
        portfolio = self._engine.desk.portfolio
        for state, edge in zip(self._engine.routes, self._edges, strict=True):
            offered = edge.taken_at(plan.stretch, plan.ticks_ns, self._times, portfolio.edges.suspicious_bps)
            for ts_ns, gross_bps in offered:
                portfolio.edges.observe(state.route.id, gross_bps, ts_ns)


def _settlement_ns(slot: InstrumentSlot, now_ns: int) -> int | None:
    """When funding is paid next, by our clock, or is reckoned to be; None where none is."""
    if not slot.instrument.is_perpetual:
        return None
    paid_ns = now_ns if slot.next_funding_ns is None else slot.next_funding_ns - (slot.clock_offset.offset_ns or 0)
    terms = slot.funding_terms
    return (
        paid_ns if terms is None else min(paid_ns, terms.settlements(now_ns, now_ns + round(terms.interval_s * 1e9))[0])
    )
