"""Requests that are no HTTP: counted, and told in a line a minute, since anybody can send them without end."""

import logging
from collections.abc import Callable

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bot.clock import Clock

_TELL_EVERY_NS = 60_000_000_000
_THEIRS = (HttpProcessingError, web.RequestPayloadError)


class Malformed(logging.Filter):
    """Keeps what clients did wrong out of a server's log; what we did wrong stays in it, with its traceback."""

    def __init__(self, clock: Clock, tell: Callable[[str], None]) -> None:
        """Tell `tell` in one line, at most once a minute."""
        super().__init__()
        self.count = 0
        """Since the start."""
        self._clock = clock
        self._tell = tell
        self._told = 0
        self._quiet_until_ns = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is to be logged."""
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, _THEIRS):
            return True
        self.count += 1
        if self._clock.monotonic_ns() >= self._quiet_until_ns:
            self._say(error)
        return False

    def _say(self, error: BaseException) -> None:
        more = self.count - self._told
        self._told = self.count
        self._quiet_until_ns = self._clock.monotonic_ns() + _TELL_EVERY_NS
        what = "a malformed HTTP request was" if more == 1 else f"{more} malformed HTTP requests were"
        # Its class and no more: the rest of its text is what the client has sent.
        self._tell(f"{what} refused (the last: {type(error).__name__}); told once a minute")

    def logger(self) -> logging.Logger:
        """A server's own logger, which passes on to aiohttp's what is to be logged."""
        # Not `getLogger`: every server would add its filter to the same one.
        logger = logging.Logger("aiohttp.server.simulator")
        logger.parent = logging.getLogger("aiohttp.server")
        logger.addFilter(self)
        return logger
