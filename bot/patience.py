"""A start that waits for a venue: pairs may be open there, and a bot that ends looks after none of them.

its request budget, Retry-After     as long as it says
a ban whose end it names            the same; a longer one is sat out as far as there is time
out of reach, or without an answer  tried again, with growing pauses
anything else                       told at once: time alone does not help
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from bot.clock import Clock, pause
from bot.errors import Banned, NothingServed, RateLimited, VenueError, VenueUnavailable

_FIRST_S = 1.0
_LONGEST_S = 15.0
_LEAST_S = 0.1
"""Added to what a venue names: its clock and ours are two."""

_T = TypeVar("_T")


class Patience:
    """What is left of a start's time; one for all that it asks, and it begins with the first failure."""

    def __init__(self, wait_s: float, clock: Clock, log: Callable[[str, str], None]) -> None:
        """Wait for `wait_s` seconds in all; 0: not at all. `log` takes a level and a line."""
        self._wait_s = wait_s
        self._clock = clock
        self._log = log
        self._until_ns: int | None = None

    @property
    def left_s(self) -> float:
        """Seconds to go."""
        if self._until_ns is None:
            return self._wait_s
        return max(0.0, (self._until_ns - self._clock.monotonic_ns()) / 1e9)

    async def asked(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """The answer to `ask`, however often it has to be asked within the time that is left.

        Raises:
            VenueError: The last failure, when the time is up, would not be enough, or does not help.
        """
        tries = 0
        while True:
            try:
                return await ask()
            except VenueError as error:
                wait_s = self._wait_for(error, tries)
                if wait_s is None:
                    # Whoever starts the bot again must not ask at once: that would make a ban longer.
                    if isinstance(error, Banned) and self.may_help(error):
                        await pause(self._clock, self.left_s)
                    raise
                self._log("warning", _words(error, wait_s, self.left_s))
            tries += 1
            await pause(self._clock, wait_s)

    def may_help(self, error: VenueError) -> bool:
        """Whether it is one that is waited for, as long as there is time."""
        if isinstance(error, NothingServed) or self._wait_s <= 0:
            return False
        if isinstance(error, Banned):
            return error.retry_after_s is not None
        return isinstance(error, RateLimited | VenueUnavailable)

    def _wait_for(self, error: VenueError, tries: int) -> float | None:
        """Seconds until it is asked again; None: it is not."""
        if not self.may_help(error):
            return None
        if self._until_ns is None:
            self._until_ns = self._clock.monotonic_ns() + round(self._wait_s * 1e9)
        left_s = self.left_s
        if left_s <= 0 or (error.retry_after_s or 0.0) > left_s:
            self._log("error", f"{error}: a start waits for no longer than {self._wait_s:g} s (start.wait_s)")
            return None
        if error.retry_after_s is not None:
            return error.retry_after_s + _LEAST_S
        return min(_FIRST_S * 2.0 ** min(tries, 10), _LONGEST_S, max(left_s, _LEAST_S))


def _words(error: VenueError, wait_s: float, left_s: float) -> str:
    if isinstance(error, RateLimited):
        return f"waiting {wait_s:.0f} s for {error.venue}'s request budget ({error})"
    if isinstance(error, Banned):
        return f"waiting {wait_s:.0f} s until {error.venue} serves this address again ({error})"
    return f"waiting {wait_s:.0f} s for {error.venue}, {left_s:.0f} s at most ({error})"
