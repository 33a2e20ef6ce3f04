"""The dead-man switch: while the engine's own loop runs, the venues hear so; when it stops, they cancel our orders.

It guards orders that rest, not positions: what is open stays open, and is taken over by the next run.
"""

from bot.clock import Clock, Timer
from bot.ports import HasDeadManSwitch, QuoteDrivenVenue

_PETS = 3
"""In the time after which a venue gives us up: one may get lost."""


class DeadMan:
    """Pets the switches of every venue that has one, from a timer of the engine's clock."""

    def __init__(self, venue: QuoteDrivenVenue, clock: Clock, within_s: float) -> None:
        """Build it.

        Args:
            venue: One without such switches is left alone.
            clock: Of the engine: a loop that stands still pets nobody.
            within_s: After so long without a word of ours a venue cancels our orders; 0: no switch is armed.
        """
        self._venue = venue if isinstance(venue, HasDeadManSwitch) and within_s > 0 else None
        self._clock = clock
        self._within_s = within_s
        self._timer: Timer | None = None

    def start(self) -> None:
        """Arm, and go on petting."""
        if self._venue is not None:
            self._venue.pet(self._within_s)
            self._timer = self._clock.call_later(self._within_s / _PETS, self.start)

    def stop(self) -> None:
        """Disarm: an orderly end leaves no order behind that has to be cancelled. Idempotent."""
        if self._timer is not None and self._venue is not None:
            self._timer.cancel()
            self._timer = None
            self._venue.pet(0.0)
