"""Whether the disk keeps up: nothing new is opened while it does not, and trading goes on by itself when it does."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from bot.clock import Clock, Timer
from bot.risk.gate import Cause, RiskGate
from bot.settings import JournalSettings

_LOOK_S = 0.5


class Disk(Protocol):
    """A journal on a disk, as it fares."""

    failed: str | None
    """Why nothing is durable now; None while all is well."""
    is_lost: bool
    """Whether it stays so for the rest of the run."""
    dropped: str | None
    """What was dropped when it was opened, since a crash had left half of it; None: nothing."""

    def behind_s(self) -> float:
        """How long the disk has been busy with what it was given."""


class StorageWatch:
    """Looks twice a second. Owns `Cause.DISK`."""

    def __init__(
        self,
        disk: Disk,
        data_dir: Path,
        gate: RiskGate,
        event: Callable[[str, str], None],
        clock: Clock,
        settings: JournalSettings,
        free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
    ) -> None:
        """Build it.

        Args:
            disk: The journal.
            data_dir: Where it lies, and everything else.
            gate: Is told to reduce and to resume.
            event: Takes a level and a line for a person; for the journal too.
            clock: Of the real world: disks know no virtual time.
            settings: How far the disk may be behind, and how much room it should have.
            free_bytes: Of the file system that holds a path.
        """
        self._disk = disk
        self._data_dir = data_dir
        self._gate = gate
        self._event = event
        self._clock = clock
        self._settings = settings
        self._free_bytes = free_bytes
        self._timer: Timer | None = None
        self._is_low = False
        self._has_failed = False

    def start(self) -> None:
        """Begin to look."""
        self._watch_room()
        self._timer = self._clock.call_later(_LOOK_S, self._tick)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def reduce(self, why: str) -> None:
        """Open nothing new until the disk is well again."""
        if self._disk.is_lost:
            self._gate.halt(why, lasting=False)  # the next start reads the journal, or ends beside it
        else:
            self._gate.reduce(Cause.DISK, why)

    def look(self) -> None:
        """Reduce or resume, as the disk fares now."""
        behind_s = self._disk.behind_s()
        self._tell_failed(self._disk.failed)
        if self._disk.failed is not None:
            self.reduce(self._disk.failed)
        elif behind_s * 1e3 > self._settings.max_behind_ms:
            self.reduce(f"the disk is slow: the journal has waited {behind_s:.1f} s for it")
        else:
            self._gate.resume(Cause.DISK, "the disk takes the journal again, and has everything that waited")

    def _tell_failed(self, why: str | None) -> None:
        """An alarm, once: somebody has to make room, while being REDUCING is told as what comes and goes."""
        if why is not None and not self._has_failed:
            self._event("error", f"ALARM: {why}; nothing new is opened until the disk takes it")
        self._has_failed = why is not None

    def _tick(self) -> None:
        self.look()
        self._watch_room()
        self._timer = self._clock.call_later(_LOOK_S, self._tick)

    def _watch_room(self) -> None:
        """Say once that room runs out, and once that there is some again."""
        try:
            free = self._free_bytes(self._data_dir)
        except OSError:
            return  # a disk that cannot even be asked shows itself at the next record
        least = self._settings.min_free_bytes
        if (free < least) is not self._is_low:
            self._is_low = not self._is_low
            figures = f"{free / 1e9:.2f} GB free on the disk of {self._data_dir}"
            if self._is_low:
                self._event("error", f"ALARM: {figures}, and {least / 1e9:.2f} should be: make room")
            else:
                self._event("info", f"room again: {figures}")
