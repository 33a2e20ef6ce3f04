"""The moment between two tries: short at first, then longer, the more of them were in vain."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from bot.clock import Clock, Timer

_LEAST_WAIT_S = 0.01
"""Between two looks at what waits for a quote: without a pause time itself would stand still."""
_MOST_WAIT_S = 5.0
"""Between two tries at a venue that refuses all of them."""
_QUICK_TRIES = 10


class Retries(Protocol):
    """What is tried again: a pair, or a chain."""

    fruitless_rounds: int
    must_pause: bool
    retry: Timer | None


_Of = TypeVar("_Of", bound=Retries)


class RetryPause(Generic[_Of]):
    """Begins and ends the pauses."""

    def __init__(self, clock: Clock, retry_wait_ms: float, again: Callable[[_Of], None]) -> None:
        """`retry_wait_ms` for the first tries; `again` is called when a pause is over."""
        self._clock = clock
        self._wait_s = max(retry_wait_ms / 1e3, _LEAST_WAIT_S)
        self._again = again

    def begin(self, one: _Of) -> None:
        """Look at it again after a moment."""
        doublings = max(0, one.fruitless_rounds - _QUICK_TRIES)
        wait_s = min(self._wait_s * 2 ** min(doublings, 10), max(_MOST_WAIT_S, self._wait_s))
        one.must_pause = False
        one.retry = self._clock.call_later(wait_s, lambda: self._look_again(one))

    def end(self, one: _Of) -> None:
        """It waits no longer."""
        if one.retry is not None:
            one.retry.cancel()
            one.retry = None

    def _look_again(self, one: _Of) -> None:
        one.retry = None
        self._again(one)
