"""The engine's eye on the HALT flag (`bot.risk.halt_flag`): four times a second, and before everything that is sent."""

import os
from collections.abc import Callable
from pathlib import Path
from stat import S_ISREG

from bot.clock import Clock, Timer
from bot.risk.gate import RiskGate
from bot.risk.halt_flag import FLAG, read_flag

LOOK_S = 0.25


class KillSwitch:
    """Halts the gate once the flag is there, or cannot be told not to be.

    A flag that the bot set itself halts and no more: orders that rest are a person's to take back. It is looked at
    again when it has changed, since a person may have put theirs in its place.
    """

    def __init__(self, data_dir: Path, gate: RiskGate, clock: Clock, withdraw: Callable[[], None]) -> None:
        """Build it.

        Args:
            data_dir: Where the flag would lie.
            gate: Is told to halt.
            clock: Of the real world: a person's hand knows no virtual time.
            withdraw: Takes back every order that rests, and lets none rest anew: who kills wants to see none.
        """
        self._data_dir = data_dir
        self._path = os.fspath(data_dir / FLAG)
        self._gate = gate
        self._clock = clock
        self._withdraw = withdraw
        self._timer: Timer | None = None
        self._bots_own: tuple[int, int] | None = None
        """Inode and change time of a flag that the bot set itself."""
        self.is_set = False
        """Whether a person's flag was seen, or could not be told not to be there; it stays so for the run."""

    @property
    def sees_flag(self) -> bool:
        """Whether a flag stands there now, whoever set it; also where that cannot be told."""
        try:
            os.lstat(self._path)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return True

    def start(self) -> None:
        """Look now, and go on."""
        self.look()
        self._timer = self._clock.call_later(LOOK_S, self.start)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def look(self) -> None:
        """Halt if the flag is there; asked at every send too, since one look costs two microseconds."""
        if self.is_set:
            return
        try:
            found = os.lstat(self._path)
        except FileNotFoundError:
            return
        except OSError as error:
            self._set(f"whether a halt was asked for cannot be told: {self._path}: {error.strerror}")
            return
        mark = (found.st_ino, found.st_ctime_ns)
        if mark == self._bots_own:
            return
        flag = read_flag(self._data_dir)
        if flag is not None and flag.is_bots and S_ISREG(found.st_mode):
            self._bots_own = mark
            self._gate.halt(flag.words(), lasting=False)
            return
        self._set("the halt flag was there, and has gone" if flag is None else f"kill switch: {flag.words()}")

    def _set(self, why: str) -> None:
        self.is_set = True
        try:
            self._gate.halt(why, lasting=False)  # it is durable already
        finally:  # to tell of it may fail, where a disk takes nothing more
            self._withdraw()
