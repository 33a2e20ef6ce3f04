"""Ctrl-C, SIGTERM and the end of the terminal, for modes that end in order."""

import asyncio
import signal


def ending_signals() -> tuple[signal.Signals, ...]:
    """Those that a process is to end in order at; SIGHUP not where it was started with `nohup`."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return (signal.SIGINT, signal.SIGTERM)
    return (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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
