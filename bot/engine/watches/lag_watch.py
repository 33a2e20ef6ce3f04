"""Whether loop and clock can be trusted: nothing new is opened for a while after one stood still, or was set.

Whatever holds the loop (a collection, a disk, a callback that computes), quotes, fills and timers wait behind it, and
what is decided first afterwards rests on what was true before. A timer that measures its own lateness sees them all.
It also sees that the wall clock went on by more or less than the monotonic one: somebody set it, or the machine slept.
"""

from collections.abc import Callable

from bot.clock import Clock, Timer
from bot.risk.gate import Cause, RiskGate, TradingState
from bot.settings.risk import RiskSettings

LOOK_S = 0.25
_STEP_NS = 100_000_000
"""A clock is set by more; what is less is drift that is being corrected."""
_SURE_NS = 10_000_000
"""Two clocks that were read further apart than this say nothing of each other."""


class LagWatch:
    """Looks four times a second. Owns `Cause.LOOP`."""

    def __init__(
        self,
        gate: RiskGate,
        event: Callable[[str, str], None],
        clock: Clock,
        settings: RiskSettings,
        on_step: Callable[[int], None],
    ) -> None:
        """Build it.

        Args:
            gate: Is told to reduce and to resume.
            event: Takes a level and a line for a person; for the journal too.
            clock: Of the real world: only there does a loop stand still.
            settings: How late is too late, and how long calm has to last.
            on_step: Hears by how many ns the wall clock was set forward; back is negative.
        """
        self._gate = gate
        self._event = event
        self._clock = clock
        self._on_step = on_step
        self._max_lag_ns = settings.max_loop_lag_ms * 1e6
        self._calm_ns = settings.loop_calm_s * 1e9
        self._due_ns = 0
        self._wall_ahead_ns: int | None = None
        """Wall clock less monotonic clock at the last look."""
        self._calm_from_ns: int | None = None
        """When it is believed to be calm again; None: it is."""
        self._timer: Timer | None = None
        self.worst_s = 0.0
        """The longest that the loop has stood still in this run."""

    def start(self) -> None:
        """Begin to look."""
        self._due_ns = self._clock.monotonic_ns() + round(LOOK_S * 1e9)
        self._timer = self._clock.call_later(LOOK_S, self._tick)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        now_ns = self._clock.monotonic_ns()
        self._look(now_ns, now_ns - self._due_ns)
        self._watch_wall()
        self.start()

    def _look(self, now_ns: int, late_ns: int) -> None:
        self.worst_s = max(self.worst_s, late_ns / 1e9)
        if late_ns > self._max_lag_ns:
            self._reduce(now_ns, f"the loop stood still for {late_ns / 1e9:.1f} s")
        elif self._calm_from_ns is not None and now_ns >= self._calm_from_ns:
            self._calm_from_ns = None
            self._gate.resume(Cause.LOOP, "loop and clock are steady again")

    def _watch_wall(self) -> None:
        before_ns, wall_ns, now_ns = self._clock.monotonic_ns(), self._clock.now_ns(), self._clock.monotonic_ns()
        if now_ns - before_ns > _SURE_NS:
            return
        ahead_ns, known_ns = wall_ns - now_ns, self._wall_ahead_ns
        self._wall_ahead_ns = ahead_ns
        if known_ns is not None and abs(ahead_ns - known_ns) > _STEP_NS:
            step_ns = ahead_ns - known_ns
            self._on_step(step_ns)
            self._reduce(now_ns, f"our clock was set by {step_ns / 1e9:+.1f} s")

    def _reduce(self, now_ns: int, why: str) -> None:
        if self._calm_from_ns is not None or self._gate.state is TradingState.HALTED:
            self._event("warning", why)  # the gate tells of a cause when it comes, and not when it goes on
        self._calm_from_ns = now_ns + round(self._calm_ns)
        self._gate.reduce(Cause.LOOP, why)
