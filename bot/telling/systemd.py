"""systemd's watchdog, fed by the engine's own loop: one that stands still is killed and started again.

Source: sd_notify(3). Without `NOTIFY_SOCKET` in the environment nothing is said.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

from bot.clock import Clock, Timer

_BEATS_A_PERIOD = 3
"""systemd wants one; a single one that comes late should not kill."""


class Watchdog:
    """Tells the service manager that the engine is ready, alive, and stopping."""

    def __init__(self, environment: Mapping[str, str], clock: Clock) -> None:
        """Nothing is said before `start`."""
        self._address = environment.get("NOTIFY_SOCKET", "")
        usec, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
        is_ours = not pid or pid == str(os.getpid())
        self._every_s = int(usec) / 1e6 / _BEATS_A_PERIOD if usec.isdecimal() and int(usec) and is_ours else None
        self._clock = clock
        self._timer: Timer | None = None

    def start(self) -> None:
        """The engine trades from now on."""
        self._say("READY=1")
        if self._every_s is not None and self._address:
            self._beat()

    def stop(self) -> None:
        """The engine stops in order."""
        if self._timer is not None:
            self._timer.cancel()
        self._say("STOPPING=1")

    def _beat(self) -> None:
        assert self._every_s is not None, "asked for by start"
        self._say("WATCHDOG=1")
        self._timer = self._clock.call_later(self._every_s, self._beat)

    def _say(self, words: str) -> None:
        if not self._address:
            return
        # An address that begins with @ lies in the abstract namespace.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.setblocking(False)
            manager.sendto(words.encode(), address)
