"""The engine's eye on the HALT flag (`bot.risk.halt_flag`): four times a second, and before everything that is sent."""

import os
from pathlib import Path

from bot.clock import Clock, Timer
from bot.risk.gate import RiskGate, TradingState
from bot.risk.halt_flag import FLAG, read_flag

LOOK_S = 0.25


class KillSwitch:
    """Halts the gate once the flag is there, or cannot be told not to be."""

    def __init__(self, data_dir: Path, gate: RiskGate, clock: Clock) -> None:
        """Build it.

        Args:
            data_dir: Where the flag would lie.
            gate: Is told to halt.
            clock: Of the real world: a person's hand knows no virtual time.
        """
        self._data_dir = data_dir
        self._path = os.fspath(data_dir / FLAG)
        self._gate = gate
        self._clock = clock
        self._timer: Timer | None = None

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
        if self._gate.state is TradingState.HALTED:
            return
        try:
            os.lstat(self._path)
        except FileNotFoundError:
            return
        except OSError as error:
            self._gate.halt(f"whether a halt was asked for cannot be told: {self._path}: {error.strerror}")
            return
        flag = read_flag(self._data_dir)
        self._gate.halt("the halt flag was there, and has gone" if flag is None else f"kill switch: {flag.words()}")
