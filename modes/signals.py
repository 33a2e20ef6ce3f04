"""Ctrl-C, SIGTERM and the end of the terminal, for modes that end in order."""

import asyncio

from bot.signals import ending_signals


class Interruption:
    """Sets `stop` when a person or the system asks the process to end, and remembers that it was asked."""

    def __init__(self, stop: asyncio.Event) -> None:
        """Listen from now on; needs a running loop."""
        self.has_come = False
        self._stop = stop
        for number in ending_signals():
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        self.has_come = True
        self._stop.set()
