"""What the bot halted itself for, kept for the next run: the flag of `--mode kill`, with the bot's name on it.

A disk may hang, and a halted bot has pairs to even: the flag is written in a thread of its own.
"""

import threading
from collections.abc import Callable
from pathlib import Path

from bot.clock import Clock
from bot.masking import masked
from bot.risk.halt_flag import raise_flag, read_flag, who_asks

_WAIT_S = 2.0
"""For the disk, when the run ends: it has been halted for something, and the next one should know."""
_AGAIN_S = 1.0


class LastingHalt:
    """Writes the flag, as often as it takes: a disk that was full may be well again before the run ends."""

    def __init__(
        self,
        data_dir: Path,
        clock: Clock,
        deliver: Callable[[Callable[[], None]], object],
        event: Callable[[str, str], None],
    ) -> None:
        """Build it.

        Args:
            data_dir: Where the flag is to lie.
            clock: Of the wall; dates it.
            deliver: Runs a callback on the engine's thread, from any other.
            event: Takes a level and a line for a person; for the journal too.
        """
        self._data_dir = data_dir
        self._clock = clock
        self._deliver = deliver
        self._event = event
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._waiting: list[str] = []
        """Reasons to be kept, the first and the newest; the thread takes them, and ends where there is none."""
        self._is_writing = False
        self._ended = threading.Event()
        self._has_told = False
        self.is_kept = False
        """Whether the disk has taken it."""

    def keep(self, why: str) -> None:
        """Let it hold for later runs as well; also if a person has taken away the flag of an earlier reason."""
        # A bug of ours may quote what it stumbled over, and that may have been a signed request.
        why = masked(why)
        with self._lock:
            # Also beside a write: a person may take that flag away before it has ended.
            self._waiting = [*self._waiting[:1], why]
            if not self._is_writing:
                self._is_writing = True
                self._thread = threading.Thread(target=self._write, daemon=True)
                self._thread.start()

    def finish(self) -> None:
        """The run ends: wait for a disk that has not taken it yet, for a moment."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(_WAIT_S)
            if not self.is_kept and not self._has_told:
                self._event("error", self._failed("the disk has not taken it"))

    def _write(self) -> None:
        while (why := self._next()) is not None:
            is_last = False
            while not self._is_taken(why) and not is_last:
                is_last = self._ended.wait(_AGAIN_S)

    def _next(self) -> str | None:
        with self._lock:
            self._is_writing = bool(self._waiting)
            return self._waiting.pop(0) if self._waiting else None

    def _is_taken(self, why: str) -> bool:
        is_news = not self.is_kept or read_flag(self._data_dir) is None
        try:
            raise_flag(self._data_dir, why, f"the bot itself, {who_asks()}", self._clock.now_ns(), is_bots=True)
        except OSError as error:
            if not self._has_told and not self._ended.is_set():
                self._has_told = True
                self._tell("error", self._failed(error.strerror or type(error).__name__))
            return False
        self.is_kept = True
        if is_news:
            self._tell("warning", "the halt holds after a restart, too: --mode resume --halt ends it")
        return True

    def _tell(self, level: str, text: str) -> None:
        if not self._ended.is_set():
            self._deliver(lambda: self._event(level, text))

    def _failed(self, why: str) -> str:
        return f"the halt is not durable: {why}: a restart would trade"
