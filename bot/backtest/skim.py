"""Take in one go what a full loop would have refused row by row.

Most quotes move no price, and most that do make no route takeable: the loop over them changes the window, the
statistics and the best edge seen, and decides what was decided before. `Skimmer.skim` proves from the columns that a
stretch of rows is of that kind (each passes the gate, none teaches the clock, none reaches what a route is taken at)
and then applies what it leaves behind. It stops before the first row that might matter, and that row takes the full
way. Nothing here decides: the tests compare the digest of every decision with the loop that skips nothing.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from bot.backtest.edges import RouteEdge, Stretch
from bot.backtest.feeder import Feeder
from bot.backtest.late_window import LateWindow
from bot.backtest.leap import Leaper
from bot.backtest.lessons import Lessons
from bot.backtest.tape import Piece
from bot.backtest.tracks import UNDATED, Carried, Range, TimedFrames, Track, range_of, tracks_of
from bot.engine.engine import Engine
from bot.engine.route_state import RouteState
from bot.engine.slot import InstrumentSlot
from bot.market.packing import Ints
from bot.settings import QuoteGateSettings, WindowSettings

LEAST_ROWS = 24
"""Fewer take longer to look at than to feed."""


class Skimmer:
    """Looks ahead for one engine.

    Args:
        engine: Fed with every row that is not skimmed.
        feeder: Feeds it.
        gate: The settings of its quote gates.
        needs_every_quote: Whether the venue has to see every quote of a slot now: it remembers own fills.
    """

    def __init__(
        self, engine: Engine, feeder: Feeder, gate: QuoteGateSettings, needs_every_quote: Callable[[int], bool]
    ) -> None:
        self._engine = engine
        for slot in engine.slots:
            if not slot.window.appended:
                slot.window = _late(slot, engine.settings.window)
        self._feed = feeder.feed_one
        self._needs_every_quote = needs_every_quote
        self._max_jump_bps = gate.max_jump_bps
        self._max_event_age_ns = gate.max_event_age_ms * 1e6
        self._feeds = list(engine.feeds)
        places = {feed: place for place, feed in enumerate(self._feeds)}
        self._slot_feeds = [places[slot.feed] for slot in engine.slots]
        self._clocks = [engine.clock_offsets[feed.venue] for feed in self._feeds]
        self._carried = Carried()
        self._edges = [RouteEdge(state) for state in engine.routes]
        silent_ns = engine.settings.connection.stale_after_s * 1e9
        self._leaper = Leaper(engine, feeder.clock, self._edges, silent_ns, self._take)
        self._times: Sequence[int] = ()
        self._tracks: list[Track] = []
        self._timed: list[TimedFrames] = []
        self._bad: list[int] = []
        self._lessons = Lessons([], [], self._max_event_age_ns)

    def begin(self, piece: Piece) -> None:
        """Look through the next piece."""
        self._times = cast("Sequence[int]", piece.rows.ts_recv_ns.data)
        self._tracks, self._timed = tracks_of(
            piece, self._slot_feeds, len(self._feeds), self._max_jump_bps, self._carried
        )
        self._bad = np.sort(np.concatenate([track.at[~track.plain] for track in self._tracks])).tolist()
        self._lessons = Lessons(
            [(track, self._clocks[place]) for track, place in zip(self._tracks, self._slot_feeds, strict=True)],
            list(zip(self._timed, self._clocks, strict=True)),
            self._max_event_age_ns,
        )
        goes_on = bool(np.all(piece.rows.ts_recv_ns[1:] >= piece.rows.ts_recv_ns[:-1]))
        self._leaper.begin(self._times, self._tracks, self._lessons if goes_on else None)

    def is_quiet(self) -> bool:
        """Whether no pair is on its way in or out: those that are held have bounds."""
        held = sum(state.holding is not None for state in self._engine.routes)
        return held == self._engine.desk.portfolio.open_pairs()

    def leap(self, start: int, stop: int) -> int:
        """Take rows from `start` on over many ticks of the engine, and none at `stop` or later; no event comes.

        Returns:
            The first row that was not taken, before which a tick is due; `start` where nothing was.
        """
        slots = self._engine.slots
        if start >= stop or any(slot.dirty for slot in slots) or not all(self._is_answered(slot) for slot in slots):
            return start
        bad = bisect_left(self._bad, start)
        if bad < len(self._bad):
            stop = min(stop, self._bad[bad])
        return self._leaper.leap(start, stop) if start < stop else start

    def skim(self, start: int, stop: int) -> int:
        """Take rows from `start` on, none at `stop` or later, during which no timer is due and no event comes.

        Returns:
            The first row that was not taken; `start` where nothing was. The slots are left as the full loop would
            have left them.
        """
        bad = bisect_left(self._bad, start)
        if bad < len(self._bad):
            stop = min(stop, self._bad[bad])
        for first in (self._first_open_question, self._first_learning, self._first_too_old):
            if stop - start < LEAST_ROWS:
                return start
            stop = first(start, stop)
        if stop - start < LEAST_ROWS:
            return start
        stop = self._first_due(start, stop)
        stretch = self._stretch(start, stop)
        change = min((edge.first_change(stretch) for edge in self._edges), default=stop)
        if change < stop:
            stop, stretch = change, self._stretch(start, change)
        if stop - start < LEAST_ROWS:
            return start
        for edge in self._edges:
            edge.note_best(stretch)
        self._note_prices(stretch.ranges)
        self._take(start, stop, stretch.ranges)
        return stop

    def _stretch(self, start: int, stop: int) -> Stretch:
        return Stretch(
            self._engine.slots, self._tracks, [range_of(track.places, start, stop) for track in self._tracks], stop
        )

    # What ends a stretch

    def _first_open_question(self, start: int, stop: int) -> int:
        """The first row of a slot whose routes are to be asked about it, whatever it says."""
        if not self.is_quiet() or any(slot.dirty for slot in self._engine.slots):
            return start
        for slot, track in zip(self._engine.slots, self._tracks, strict=True):
            if self._is_answered(slot):
                continue
            low, high = range_of(track.places, start, stop)
            if low < high:
                stop = int(track.at[low])
        return stop

    def _is_answered(self, slot: InstrumentSlot) -> bool:
        """Whether its routes would be refused for the reason that stands, as long as none offers enough."""
        if slot.quote is None or self._needs_every_quote(slot.index):
            return False
        return not (slot.ask_all or slot.hot) or all(_stands(state) for state in slot.routes)

    def _first_due(self, start: int, stop: int) -> int:
        """The first row by which an open pair has been held for long enough."""
        for state in self._engine.routes:
            if state.holding is not None:
                bounds = state.watch.exit_bounds(state.holding)
                if bounds is not None:
                    stop = bisect_left(self._times, bounds.deadline_ns, start, stop)
        return stop

    def _first_learning(self, start: int, stop: int) -> int:
        """The first row that is faster than all before it, or begins the clock's next half."""
        for track, place in zip(self._tracks, self._slot_feeds, strict=True):
            low, high = range_of(track.places, start, stop)
            rows = slice(low, high) if track.is_dated else low + np.flatnonzero(track.columns.ts_event_ns[low:high])
            stop = self._learning(place, track.at[rows], track.delay_ns[rows], track.columns.ts_recv_ns[rows], stop)
        for place, frames in enumerate(self._timed):
            low, high = range_of(frames.places, start, stop)
            recv_ns = frames.recv_ns[low:high]
            delays = recv_ns - frames.event_ns[low:high]
            stop = self._learning(place, frames.at[low:high], delays, recv_ns, stop)
        return stop

    def _learning(self, place: int, at: Ints, delays: Ints, recv_ns: Ints, stop: int) -> int:
        clock = self._clocks[place]
        if not len(at) or (int(delays.min()) >= clock.least_delay_ns and int(recv_ns[-1]) < clock.half_end_ns):
            return stop
        teaches = (delays < min(clock.least_delay_ns, -UNDATED)) | (recv_ns >= clock.half_end_ns)
        return int(at[int(np.argmax(teaches))])

    def _first_too_old(self, start: int, stop: int) -> int:
        for track, place in zip(self._tracks, self._slot_feeds, strict=True):
            low, high = range_of(track.places, start, stop)
            fastest_ns = self._clocks[place].fastest_ns
            if low < high and fastest_ns < -UNDATED:
                age_ns = track.delay_ns[low:high] - fastest_ns
                if int(age_ns.max()) > self._max_event_age_ns:
                    stop = int(track.at[low + int(np.argmax(age_ns > self._max_event_age_ns))])
        return stop

    # What a stretch leaves behind

    def _note_prices(self, ranges: Sequence[Range]) -> None:
        """In the statistics, all but the last row of each slot."""
        for slot, track, (low, high) in zip(self._engine.slots, self._tracks, ranges, strict=True):
            if high - 1 > low:
                _note_prices(slot, track, low, high - 1)

    def _take(self, start: int, stop: int, ranges: Sequence[Range]) -> None:
        """All but the last row of each slot in one go; these last ones take the full way, in order."""
        last: set[int] = set()
        for slot, track, place, (low, high) in zip(
            self._engine.slots, self._tracks, self._slot_feeds, ranges, strict=True
        ):
            if low == high:
                continue
            at = int(track.at[high - 1])
            last.add(at)
            if not track.is_dated:
                frames = self._timed[place]
                timed = bisect_left(frames.places, at) - 1
                if timed >= 0 and frames.at[timed] >= start:
                    last.add(int(frames.at[timed]))
            if high - 1 > low:
                _apply(slot, track, low, high - 1)
        for frames in self._timed:
            low, high = range_of(frames.places, start, stop)
            if low < high:
                last.add(int(frames.at[high - 1]))
        taught = start
        for at in sorted(last):
            # What comes before this row teaches before it; where no tick was left out, none of it does.
            self._lessons.learn(taught, at)
            taught = at
            self._feed(at)
        for state in self._engine.routes:
            # A price may have moved last in a row that was skimmed; what is offered now is what people are shown.
            state.watch.assess()


def _late(slot: InstrumentSlot, settings: WindowSettings) -> LateWindow:
    grid = float(slot.instrument.tick_size), float(slot.instrument.lot_size)
    window = LateWindow(hold_h=settings.hold_h, rolling_s=settings.rolling_s, grid=grid)
    window.gap_marks = slot.window.gap_marks
    return window


def _stands(state: RouteState) -> bool:
    """Whether its answer is known for as long as its edge stays where it is."""
    if not state.is_free:
        return state.holding is not None and state.watch.exit_bounds(state.holding) is not None
    return state.reason is not None and state.watch.assess() == state.reason


def _apply(slot: InstrumentSlot, track: Track, low: int, high: int) -> None:
    """What rows that passed the gate and decided nothing leave in their slot."""
    columns = track.columns.slice(low, high)
    slot.received += high - low
    slot.window.extend(columns, track.is_moved[low:high])
    first, last = range_of(track.moved_numbers, low, high)
    if first < last:
        slot.gate.accept(float(track.moved_bid[last - 1]), float(track.moved_ask[last - 1]))
    slot.quote = slot.window.last()
    slot.sequence = int(columns.sequence[-1])
    slot.recv_ns = int(columns.ts_recv_ns[-1])
    slot.tell_index()


def _note_prices(slot: InstrumentSlot, track: Track, low: int, high: int) -> None:
    """What rows that passed the gate say to its statistics."""
    first, last = range_of(track.moved_numbers, low, high)
    updates = [statistics.update for statistics in (slot.statistics, *slot.spans.values())]
    for ts_ns, bid, ask in zip(
        track.columns.ts_recv_ns[track.moved[first:last]].tolist(),
        track.moved_bid[first:last].tolist(),
        track.moved_ask[first:last].tolist(),
        strict=True,
    ):
        for update in updates:
            update(ts_ns, bid, ask)
