"""The terminal UI: with an engine of its own, or attached to one that is running."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bot.clock import SystemClock
from bot.engine.run import SOCKET
from bot.errors import AlreadyRunning, BotError, ExitCode, StorageError
from bot.settings import Settings
from bot.signals import ending_signals
from modes.house import MAIN

ENGINE_START_S = 60.0
"""How long the terminal UI waits for its engine's socket, beside what a start waits for venues (`start.wait_s`)."""
_LOOK_S = 0.1


def run_with_screen(settings: Settings, words: Sequence[str], *, paced: bool) -> int:
    """Start the engine as a process of its own and show it; it lives on when the UI is left by `detach`."""
    from bot.control.address import is_answered

    if is_answered(settings.data_dir / SOCKET):
        raise AlreadyRunning(f"an engine is running on {settings.data_dir}: use --mode attach, or another --data-dir")
    log = _engine_log(settings.data_dir)
    # A recording at full speed is over before the eye sees it; with a UI it plays ten times as fast as it was.
    pace = [] if paced or settings.market != "recorded" else ["--speed", "10x"]
    command = [sys.executable, str(MAIN), *words, *pace, "--headless", "--linger", "600"]
    with log.open("wb") as output:
        engine = subprocess.Popen(  # noqa: S603 - this program again, with the arguments it was given
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        with _raised():
            if not _await_socket(engine, settings, log):
                return engine.wait()
    except BaseException:  # Ctrl-C too: nobody would look after an engine that has no screen yet
        engine.terminate()
        engine.wait()
        raise
    # How the run ended counts too, for whoever saw its end; one that was detached from goes on.
    return show(settings) or engine.poll() or ExitCode.OK


@contextmanager
def _raised() -> Iterator[None]:
    """A terminal that is closed, or a `kill`, ends the block as Ctrl-C does; the code is a shell's for the signal."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in ending_signals() if number != signal.SIGINT}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _engine_log(data_dir: Path) -> Path:
    """An empty file for what the engine says beside its UI.

    Raises:
        StorageError: If it cannot be written.
    """
    log = data_dir / "logs" / "engine.log"
    try:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.write_bytes(b"")
    except OSError as error:
        raise StorageError(f"{log} cannot be written: {error.strerror}; use another --data-dir") from error
    return log


def _await_socket(engine: subprocess.Popen[bytes], settings: Settings, log: Path) -> bool:
    """Whether the engine can be looked at; until it can, or has ended, what it says is shown as it comes."""
    from bot.control.address import is_answered

    clock = SystemClock()
    patience_s = ENGINE_START_S + settings.start.wait_s
    deadline_ns = clock.monotonic_ns() + round(patience_s * 1e9)
    with log.open(errors="replace") as said:
        while engine.poll() is None:
            if is_answered(settings.data_dir / SOCKET):
                return True
            if clock.monotonic_ns() > deadline_ns:
                raise BotError(f"the engine did not come up in {patience_s:.0f} s")
            with suppress(subprocess.TimeoutExpired):
                engine.wait(_LOOK_S)
            sys.stderr.write(said.read())
            sys.stderr.flush()
        sys.stderr.write(said.read())
    return False


def show(settings: Settings) -> int:
    """Show the run that goes on in the data directory; returns the exit code."""
    from bot.tui.app import run_tui

    return run_tui(settings.data_dir / SOCKET)
