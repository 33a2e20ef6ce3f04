"""How far a venue's clock is from ours, learnt from its frames, and how old a quote was when it arrived.

`receive − event` of a frame is its time on the way minus the offset (the venue's clock minus ours). The time on the
way is never negative, so the fastest frame bounds the offset from below, and a quote's age is how much slower it was
than the fastest. Without this a clock behind the exchange's makes every quote look new, and one ahead makes every quote
look old.
"""

HALF_NS = 300_000_000_000
"""The fastest frame counts for five to ten minutes: clocks drift, and routes get slower."""
FUTURE_NS = 60_000_000_000
"""An event so far ahead of the fastest frame is believed when a second frame agrees: it may be nonsense."""
FRESH_NS = 1_000_000_000
"""How long a timed frame tells the delay of its feed."""
_NEVER = 1 << 100
"""A delay above all others."""


class ClockOffset:
    """The clock of one venue. All feeds of the venue share it."""

    __slots__ = (
        "_doubtful_ns",
        "_half_end_ns",
        "_half_start_ns",
        "_last_half_ns",
        "_measured_halves",
        "_measured_max_ns",
        "_measured_min_ns",
        "_this_half_ns",
        "_was_measured",
        "fastest_ns",
    )

    def __init__(self) -> None:
        self._this_half_ns = _NEVER
        self._last_half_ns = _NEVER
        self._half_start_ns = 0
        self._half_end_ns = 0
        self._doubtful_ns: int | None = None
        self._was_measured = False
        self._measured_halves = 0
        self._measured_min_ns = 0
        self._measured_max_ns = 0
        self.fastest_ns = _NEVER
        """`receive − event` of a frame that takes no time; above every delay while nothing is known."""

    @property
    def offset_ns(self) -> int | None:
        """The venue's clock minus ours, ns; None while nothing is known."""
        return None if self.fastest_ns == _NEVER else -self.fastest_ns

    @property
    def least_delay_ns(self) -> int:
        """A frame that takes no less teaches nothing, until `half_end_ns`."""
        return self._this_half_ns

    @property
    def half_end_ns(self) -> int:
        """The first frame from then on is learnt from, however long it took."""
        return self._half_end_ns

    @property
    def uncertainty_ns(self) -> int | None:
        """By how much the offset may be off: half the round trip of the last measurement; None before the first."""
        return (self._measured_max_ns - self._measured_min_ns) // 2 if self._was_measured else None

    def observe(self, ts_event_ns: int, ts_recv_ns: int) -> int:
        """Learn from a frame that carries the venue's time; returns the frame's age on arrival, ns, 0 or more."""
        delay_ns = ts_recv_ns - ts_event_ns
        if delay_ns < self._this_half_ns or ts_recv_ns >= self._half_end_ns:
            self._learn(delay_ns, ts_recv_ns)
        age_ns = delay_ns - self.fastest_ns
        return age_ns if age_ns > 0 else 0

    def age_ns(self, ts_event_ns: int, ts_recv_ns: int) -> int:
        """How much longer it took than the fastest frame, ns, 0 or more; 0 while nothing is known."""
        return max(ts_recv_ns - ts_event_ns - self.fastest_ns, 0)

    def measured(self, offset_ns: int, round_trip_ns: int) -> None:
        """Take in a measurement by a request: the offset is within half the round trip of `offset_ns`.

        It bounds what frames say for five to ten minutes.
        """
        half_trip_ns = (round_trip_ns + 1) // 2
        self._measured_min_ns = -offset_ns - half_trip_ns
        self._measured_max_ns = -offset_ns + half_trip_ns
        self._was_measured = True
        self._measured_halves = 2
        self._estimate(default_ns=-offset_ns)

    def stepped(self, step_ns: int) -> None:
        """Our clock was set forward by `step_ns` (negative: back).

        What was measured moves with it. What frames taught is forgotten: frames since the step may have taught already,
        and nobody can tell those from the ones before.
        """
        self._this_half_ns = self._last_half_ns = self.fastest_ns = _NEVER
        self._half_start_ns = self._half_end_ns = 0
        self._doubtful_ns = None
        self._measured_min_ns += step_ns
        self._measured_max_ns += step_ns
        if self._measured_halves:
            self._measured_halves = 2
            self.fastest_ns = (self._measured_min_ns + self._measured_max_ns) // 2

    def _learn(self, delay_ns: int, ts_recv_ns: int) -> None:
        # Also when the clock went back: a half that lies ahead of us would never end.
        if not self._half_start_ns <= ts_recv_ns < self._half_end_ns:
            self._next_half(ts_recv_ns)
        if delay_ns < self._this_half_ns and self._is_believed(delay_ns):
            self._this_half_ns = delay_ns
        self._estimate(default_ns=delay_ns)

    def _next_half(self, ts_recv_ns: int) -> None:
        self._last_half_ns = self._this_half_ns
        self._this_half_ns = _NEVER
        self._half_start_ns = ts_recv_ns
        self._half_end_ns = ts_recv_ns + HALF_NS
        self._measured_halves = max(self._measured_halves - 1, 0)

    def _is_believed(self, delay_ns: int) -> bool:
        if self.fastest_ns == _NEVER or delay_ns > self.fastest_ns - FUTURE_NS:
            return True
        doubtful_ns, self._doubtful_ns = self._doubtful_ns, delay_ns
        return doubtful_ns is not None and abs(doubtful_ns - delay_ns) < FUTURE_NS

    def _estimate(self, default_ns: int) -> None:
        fastest_ns = min(self._this_half_ns, self._last_half_ns)
        if fastest_ns == _NEVER:
            fastest_ns = default_ns if self.fastest_ns == _NEVER else self.fastest_ns
        if self._measured_halves:
            fastest_ns = min(max(fastest_ns, self._measured_min_ns), self._measured_max_ns)
        self.fastest_ns = fastest_ns


class FeedDelay:
    """The age of quotes that carry no time: that of the feed's newest timed frame, trade or depth."""

    __slots__ = ("_clock", "_delay_ns", "_recv_ns")

    def __init__(self, clock: ClockOffset) -> None:
        self._clock = clock
        self._delay_ns = 0
        self._recv_ns: int | None = None

    def observe(self, ts_event_ns: int, ts_recv_ns: int) -> None:
        """Take in a timed frame of the feed; the venue's clock learns from it too."""
        self._clock.observe(ts_event_ns, ts_recv_ns)
        self._delay_ns = ts_recv_ns - ts_event_ns
        self._recv_ns = ts_recv_ns

    def age_ns(self, ts_recv_ns: int) -> int | None:
        """How old a quote received at `ts_recv_ns` was; None where no timed frame came within the second before.

        Asked again once the whole read batch is in, it answers for the first quotes after a stall as well.
        """
        if self._recv_ns is None or ts_recv_ns - self._recv_ns > FRESH_NS:
            return None
        return max(self._delay_ns - self._clock.fastest_ns, 0)
