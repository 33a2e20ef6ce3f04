"""How something goes that takes longer than two seconds: words on stderr."""

import sys

from bot.clock import Clock
from bot.headless import Headless

_AFTER_NS = 2_000_000_000
_EVERY_NS = 250_000_000
_LINE_EVERY_NS = 10_000_000_000


class Progress:
    """One line that changes on a terminal; elsewhere, as in a log, a line every ten seconds."""

    def __init__(self, headless: Headless, clock: Clock) -> None:
        """Silent for two seconds from now on."""
        self._headless = headless
        self._clock = clock
        self._is_seen = sys.stderr.isatty()
        self._next_ns = clock.monotonic_ns() + _AFTER_NS

    def tell(self, words: str) -> None:
        """Call it as often as there is something new."""
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._next_ns:
            return
        self._next_ns = now_ns + (_EVERY_NS if self._is_seen else _LINE_EVERY_NS)
        if self._is_seen:
            self._headless.progress(words)
        else:
            self._headless.log("info", words)
