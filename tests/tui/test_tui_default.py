"""`python main.py` on a terminal, as it is shipped: the screen of the simulated market, from opening to stopping."""

import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).parents[2]
WAIT_S = 180
"""The calm day is computed with what time is left over: on a busy machine little."""


class Screen:
    """The program on a pseudo terminal, and everything that it drew."""

    def __init__(self, data_dir: Path, *words: str) -> None:
        self._master, slave = pty.openpty()
        environment = {key: value for key, value in os.environ.items() if not key.startswith("CRYPTO_PIPE__")}
        environment |= {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", "LANG": "C.UTF-8"}
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "main.py"), "--data-dir", str(data_dir), *words],
            env=environment, stdin=slave, stdout=slave, stderr=slave,
        )  # fmt: skip
        os.close(slave)
        self._drawn = b""
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self._master, 65_536)
            except OSError:  # how Linux tells that the other side is closed
                return
            with self._more:
                self._drawn += chunk
                self._more.notify_all()

    def until(self, text: str) -> None:
        with self._more:
            assert self._more.wait_for(lambda: text.encode() in self._drawn, WAIT_S), self._drawn[-2_000:]

    @property
    def drawn(self) -> bytes:
        """All of it, up to now."""
        with self._more:
            return self._drawn

    def press(self, key: str) -> None:
        os.write(self._master, key.encode())

    def close(self) -> int:
        """The exit code; whatever still runs is ended."""
        try:
            return self.process.wait(WAIT_S)
        finally:
            self.process.kill()
            self.process.wait()
            self._reader.join()
            os.close(self._master)


def test_the_screen_opens_on_the_simulated_market_and_stops_it(tmp_path: Path) -> None:
    screen = Screen(tmp_path)
    try:
        screen.until("SIMULATED MARKET")
        screen.until("PAPER MONEY")
        screen.until("warming up: ")
        screen.until("in calm: 0 taken")
        screen.press("q")
        screen.until("Detach")
        screen.press("s")
        screen.until("press any key to leave")
        screen.press("x")
    finally:
        code = screen.close()
    assert code == 0
    assert not (tmp_path / "run" / "engine.sock").exists()
