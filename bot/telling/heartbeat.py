"""A sign of life to somebody outside, who raises the alarm when it stays away (as healthchecks.io and its like do)."""

import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from bot.clock import Clock, Timer
from bot.errors import SettingsError
from bot.telling.outbox import Outbox

URL = "CRYPTO_PIPE_HEARTBEAT_URL"
"""The environment variable with the address that is asked; who knows it can fake our life, so it is no setting."""
_PATIENCE_S = 10.0
_WAITING = 2
"""Beats that may wait for a slow answer: a late one is as good as none."""


class Heartbeat:
    """Asks an address every `every_s`, from the engine's own loop: a loop that stands still beats no more."""

    def __init__(self, url: str, every_s: float, clock: Clock, is_well: Callable[[], bool]) -> None:
        """Nothing happens before `start`.

        Args:
            url: https, or on this machine.
            every_s: Between two beats.
            clock: The engine's.
            is_well: Asked at each beat; a bot that is HALTED is not well, and does not beat.

        Raises:
            SettingsError: If `url` is none of the two.
        """
        try:
            parts = urlsplit(url)
            is_sendable = url.isascii() and url.isprintable() and " " not in url and (parts.port or 1) > 0
        except ValueError:
            is_sendable = False
        if not is_sendable:
            raise SettingsError(f"{URL} is no address")  # not the library's words: they repeat it
        if not (parts.scheme == "https" and parts.hostname) and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise SettingsError(f"{URL} must be an https address")
        self._url = url
        self._every_s = every_s
        self._clock = clock
        self._is_well = is_well
        self._timer: Timer | None = None
        self._outbox = Outbox("heartbeat", _WAITING)
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay).open

    def start(self) -> None:
        """Beat now, and from now on."""
        self._beat()

    def stop(self) -> None:
        """The last beat was the last."""
        if self._timer is not None:
            self._timer.cancel()
        self._outbox.close(1.0)

    def _beat(self) -> None:
        if self._is_well():
            self._outbox.put(self._ask)
        self._timer = self._clock.call_later(self._every_s, self._beat)

    def _ask(self) -> None:
        try:
            with self._open(self._url, timeout=_PATIENCE_S) as answer:
                answer.read(64)
        except HTTPError as refused:
            refused.close()
        except (URLError, OSError, ValueError, HTTPException):  # the last: an answer that is none
            return  # nobody here can do anything about it: whoever waits for the beat is the alarm


class _Stay(urllib.request.HTTPRedirectHandler):
    """Nobody is followed to another address."""

    def redirect_request(self, *_: object) -> None:
        """No."""
