"""What the venues' clocks learn from a stretch of rows, and whether each row is young enough all the same."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bot.backtest.tracks import UNDATED, TimedFrames, Track, range_of
from bot.market.clock_offset import ClockOffset
from bot.market.packing import Ints

_SURPRISE_NS = 500_000_000
"""A frame that is faster by so much moves what is due by the venue's clock; far more of it is not even believed."""


class _Source(NamedTuple):
    """Rows of one feed that carry the venue's time."""

    clock: ClockOffset
    at: Ints
    places: Sequence[int]
    recv_ns: Ints
    delay_ns: Ints


class Lessons:
    """Over one piece of a tape."""

    __slots__ = ("_max_age_ns", "_sources", "_tracks")

    def __init__(
        self,
        tracks: Sequence[tuple[Track, ClockOffset]],
        timed: Sequence[tuple[TimedFrames, ClockOffset]],
        max_age_ns: float,
    ) -> None:
        """Rows and timed frames, each with the clock that they teach; a quote may be `max_age_ns` old."""
        self._tracks = tracks
        self._max_age_ns = max_age_ns
        self._sources = [_dated(track, clock) for track, clock in tracks]
        self._sources += [
            _Source(clock, frames.at, frames.places, frames.recv_ns, frames.recv_ns - frames.event_ns)
            for frames, clock in timed
        ]

    def first_doubt(self, start: int, stop: int) -> int:
        """The first row that begins another half of its clock, is not believed, or may be too old; `stop`: none.

        A clock only gets faster within a half: who is young enough for the fastest frame of all is so for each before.
        """
        fastest_ns: dict[ClockOffset, int] = {}
        for clock, at, places, recv_ns, delay_ns in self._sources:
            low, high = range_of(places, start, stop)
            if low < high and recv_ns[high - 1] >= clock.half_end_ns:
                high = low + int(np.searchsorted(recv_ns[low:high], clock.half_end_ns))
                stop = int(at[high])
            if low < high:
                least_ns = int(delay_ns[low:high].min())
                if least_ns < clock.fastest_ns - _SURPRISE_NS:
                    stop = int(at[low + int(np.argmin(delay_ns[low:high]))])
                fastest_ns[clock] = min(fastest_ns.get(clock, clock.fastest_ns), least_ns)
        for track, clock in self._tracks:
            low, high = range_of(track.places, start, stop)
            known_ns = fastest_ns.get(clock, clock.fastest_ns)
            if low < high and known_ns < -UNDATED:
                delay_ns = track.delay_ns[low:high]
                if int(delay_ns.max()) - known_ns > self._max_age_ns:
                    stop = int(track.at[low + int(np.argmax(delay_ns - known_ns > self._max_age_ns))])
        return stop

    def learn(self, start: int, stop: int) -> None:
        """Teach the clocks what these rows would, one by one; no doubt stands about any of them."""
        for clock, _, places, recv_ns, delay_ns in self._sources:
            low, high = range_of(places, start, stop)
            if low < high:
                at = low + int(np.argmin(delay_ns[low:high]))
                clock.observe(int(recv_ns[at] - delay_ns[at]), int(recv_ns[at]))


def _dated(track: Track, clock: ClockOffset) -> _Source:
    if track.is_dated:
        return _Source(clock, track.at, track.places, track.columns.ts_recv_ns, track.delay_ns)
    dated = np.flatnonzero(track.columns.ts_event_ns)
    at = track.at[dated]
    return _Source(clock, at, at.data, track.columns.ts_recv_ns[dated], track.delay_ns[dated])
