"""A tape as a market: what `--mode backtest` plays."""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, cast

from bot.backtest.books import BookPlayer
from bot.backtest.feeder import Feeder
from bot.backtest.tape import Event, Piece
from bot.clock import SystemClock, VirtualClock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument
from bot.domain.market import PrintedQuote
from bot.errors import InvariantError
from bot.ports import FrameTap, MarketEnd, MarketSink

STOPPED = "stopped before the end of the tape"
_SLICE_NS = 20_000_000
_TELL_NS = 1_000_000_000
_STRETCH_ROWS = 262_144
"""Most rows between two looks at the real clock."""
_LOOP_ROWS = 64
"""Rows that are fed before it is asked again whether some can be skimmed, while a pair is open."""


class Skims(Protocol):
    """Takes rows in one go."""

    def begin(self, piece: Piece) -> None:
        """Look through the next piece."""

    def is_quiet(self) -> bool:
        """Whether it may take any at present."""

    def leap(self, start: int, stop: int) -> int:
        """The same over many ticks of the engine."""

    def skim(self, start: int, stop: int) -> int:
        """The first row from `start` on that was not taken."""


class TapeMarket:
    """Implements `bot.ports.Market` over the pieces of a tape, on a virtual clock.

    Args:
        name: Stands on every report.
        instruments: By slot.
        by_feed: The same by feed and the venue's own symbol.
        pieces: In order; read as they are needed.
        span_ns: Time of the first and of the last row.
        published_fees: The venues' lowest tiers.
        play_s: Seconds of virtual time to play; None: everything.
    """

    def __init__(
        self,
        name: str,
        instruments: Sequence[Instrument],
        by_feed: Mapping[Feed, Mapping[str, Instrument]],
        pieces: Callable[[], Iterator[Piece]],
        span_ns: tuple[int, int],
        published_fees: Mapping[Feed, FeeSchedule],
        *,
        play_s: float | None = None,
        reasons: Sequence[str] = (),
        clock: VirtualClock | None = None,
    ) -> None:
        self.name = name
        self.instruments = instruments
        self.by_feed = by_feed
        self.tap: FrameTap | None = None
        self.published_fees = published_fees
        self.clock = VirtualClock(span_ns[0]) if clock is None else clock
        self._pieces = pieces
        self._span_ns = span_ns
        self._reasons = tuple(reasons)
        self._until_ns = None if play_s is None else span_ns[0] + round(play_s * 1e9)
        self._real = SystemClock()
        self._told_ns = self._real.monotonic_ns()
        self.skimmer: Callable[[Feeder], Skims] | None = None
        """Builds what takes rows in one go, if it is set before `run`."""
        self.books: BookPlayer | None = None
        """Hands the order books to the engine, if it is set before `run`."""
        self.on_progress: Callable[[float], None] | None = None
        """Hears about every second how far it is."""
        self.rows = 0
        """Rows that were played."""

    def printed(self, feed: Feed, raw: bytes) -> PrintedQuote:
        """Never asked: quotes of a tape come without a payload, and who looks at the engine leaves those out.

        Raises:
            InvariantError: In any case.
        """
        raise InvariantError("a tape holds numbers, not what the venue printed")

    def progress(self) -> float | None:
        """Part of the time that has been played."""
        first_ns, last_ns = self._span_ns
        end_ns = last_ns if self._until_ns is None else min(last_ns, self._until_ns)
        return min((self.clock.now_ns() - first_ns) / max(end_ns - first_ns, 1), 1.0)

    async def run(self, sink: MarketSink, stop: asyncio.Event) -> MarketEnd:
        """Play to the end, to `play_s`, or to `stop`."""
        feeder = Feeder(sink, self.clock, list(self.by_feed), self.books)
        skimmer = None if self.skimmer is None else self.skimmer(feeder)
        player = _Player(self.clock, sink, feeder, skimmer)
        for piece in self._pieces():
            if self._until_ns is not None:
                piece = piece.until(self._until_ns)
            player.begin(piece)
            turn_ns = self._real.monotonic_ns()
            while player.play(_STRETCH_ROWS):
                if self._real.monotonic_ns() - turn_ns > _SLICE_NS:
                    self._tell()
                    await asyncio.sleep(0)
                    turn_ns = self._real.monotonic_ns()
                if stop.is_set():
                    return MarketEnd(False, (*self._reasons, STOPPED), stopped=True)
            self.rows += len(piece)
        if self._until_ns is not None:
            self.clock.advance_to(self._until_ns)
        return MarketEnd(not self._reasons, self._reasons)

    def _tell(self) -> None:
        now_ns = self._real.monotonic_ns()
        if self.on_progress is not None and now_ns >= self._told_ns + _TELL_NS:
            self._told_ns = now_ns
            self.on_progress(self.progress() or 0.0)


class _Player:
    """Goes through one piece after another."""

    def __init__(self, clock: VirtualClock, sink: MarketSink, feeder: Feeder, skimmer: Skims | None) -> None:
        self._clock = clock
        self._sink = sink
        self._feeder = feeder
        self._skimmer = skimmer
        self._times: Sequence[int] = ()
        self._events: Iterator[Event] = iter(())
        self._event: Event | None = None
        self._at = 0
        self._patience = 1

    def begin(self, piece: Piece) -> None:
        self._times = cast("Sequence[int]", piece.rows.ts_recv_ns.data)
        self._events = iter(piece.events)
        self._event = next(self._events, None)
        self._at = 0
        self._feeder.begin(piece)
        if self._skimmer is not None:
            self._skimmer.begin(piece)

    def play(self, rows: int) -> bool:
        """Play about so many rows; false when the piece is over."""
        stop_at = min(self._at + rows, len(self._times))
        while self._at < stop_at or (self._event is not None and self._event.at <= self._at):
            self._repeat_events()
            limit = stop_at if self._event is None else min(stop_at, self._event.at)
            if self._at < limit:
                self._advance(limit)
        return self._at < len(self._times)

    def _repeat_events(self) -> None:
        while self._event is not None and self._event.at <= self._at:
            self._clock.advance_to(self._event.ts_ns)
            self._event.call(self._sink)
            if self._event.ends:
                self._sink.on_batch_end(self._event.ts_ns)
            self._event = next(self._events, None)

    def _advance(self, limit: int) -> None:
        at, skimmer = self._at, self._skimmer
        if skimmer is None or not skimmer.is_quiet():
            self._at = min(at + (_LOOP_ROWS if skimmer is not None else limit), limit)
            self._feeder.feed(at, self._at)
            return
        leapt = skimmer.leap(at, limit)
        if leapt > at:
            self._at, self._patience = leapt, 1
            return
        due_ns = self._clock.next_due_ns()
        before = limit if due_ns is None else bisect_left(self._times, due_ns, at, limit)
        self._at = skimmer.skim(at, before)
        if self._at > at:
            self._patience = 1
            return
        # Looking costs as much as a few rows: where every row matters it is done less and less often.
        self._at = min(at + self._patience, limit)
        self._patience = min(2 * self._patience, _LOOP_ROWS)
        self._feeder.feed(at, self._at)
