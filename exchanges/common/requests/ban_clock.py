"""How long a venue refuses us altogether: until then nothing is sent to it, for every request makes it longer."""

from bot.clock import Clock
from bot.errors import VenueError

_FIRST_S = 10.0
_LONGEST_S = 600.0
"""Of a ban whose end the venue does not name: one request in so long finds out whether it is over."""


class BanClock:
    """One venue's; shared by everything that sends requests to it."""

    def __init__(self, venue: str, clock: Clock) -> None:
        self._venue = venue
        self._clock = clock
        self._ban: VenueError | None = None
        self._until_ns = 0
        self._unnamed_s = _FIRST_S

    def sit_out(self, ban: VenueError) -> None:
        """Send nothing before `ban` is over; one that names no end, or now, is taken to be twice as long each time.

        While a ban goes on nothing is asked: what is refused then was on its way before, and is of the same ban.
        """
        wait_s = ban.retry_after_s
        if not wait_s:
            if self.left_s:
                return
            wait_s, self._unnamed_s = self._unnamed_s, min(2 * self._unnamed_s, _LONGEST_S)
        self._ban = ban
        self._until_ns = max(self._until_ns, self._clock.monotonic_ns() + round(wait_s * 1e9))

    def answered(self) -> None:
        """The venue serves us again."""
        self._unnamed_s = _FIRST_S

    @property
    def left_s(self) -> float:
        """Seconds to go; 0 where there is no ban."""
        left_s = (self._until_ns - self._clock.monotonic_ns()) / 1e9
        if left_s <= 0:
            self._ban = None
        return max(0.0, left_s) if self._ban is not None else 0.0

    def check(self) -> None:
        """Let a request pass.

        Raises:
            VenueError: The ban, with the seconds to go; nothing was sent.
        """
        left_s = self.left_s
        if self._ban is not None:
            words = f"not asked: it refuses this address for another {left_s:.1f} s"
            raise type(self._ban)(self._venue, words, retry_after_s=left_s)
