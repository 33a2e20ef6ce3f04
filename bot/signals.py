"""Ctrl-C, SIGTERM and the end of the terminal: what asks a process to end."""

import signal


def ending_signals() -> tuple[signal.Signals, ...]:
    """Those that a process is to end in order at; SIGHUP not where it was started with `nohup`."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return (signal.SIGINT, signal.SIGTERM)
    return (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
