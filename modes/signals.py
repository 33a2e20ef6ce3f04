"""Ctrl-C and SIGTERM of modes that end in order."""

import asyncio
import signal


class Interruption:
    """Sets `stop` when a person or the system asks the process to end, and remembers that it was asked."""

    def __init__(self, stop: asyncio.Event) -> None:
        """Listen from now on; needs a running loop."""
        self.has_come = False
        self._stop = stop
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        self.has_come = True
        self._stop.set()
