"""Fault 34 in its slow form, end to end: a key that may suddenly do more halts a run of real money, and for good."""

import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

from bot.errors import ExitCode
from bot.risk.halt_flag import read_flag
from tests.integration.live_rig import PATIENCE_S, REPO, exchanges

REAL = ["--real-money", "--set", "real_money=true"]


class Said:
    """What a process says on stderr, line by line, while it runs."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.lines: list[str] = []
        self._more = threading.Condition()
        self._process = process
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for line in self._process.stderr or ():
            with self._more:
                self.lines.append(line)
                self._more.notify_all()

    def until(self, text: str) -> None:
        with self._more:
            found = self._more.wait_for(lambda: any(text in line for line in self.lines), PATIENCE_S)
        assert found, "".join(self.lines[-20:])


def test_fault_34_a_key_that_may_suddenly_withdraw_halts_the_run_and_the_halt_holds(tmp_path: Path) -> None:
    with exchanges() as here:
        words = [*here.words(tmp_path), *REAL, "--headless", "--set", "jobs.rights=every 2s"]
        process = subprocess.Popen(
            [sys.executable, str(REPO / "tests" / "integration" / "live_child.py"), *words],
            cwd=REPO, env=here.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        said = Said(process)
        try:
            said.until("routes over")
            assert read_flag(tmp_path) is None
            # The simulated keys may withdraw, but for the fault that takes it from them.
            request = urllib.request.Request(
                here.url + "/control/faults", method="DELETE", headers={"Authorization": f"Bearer {here.secret}"}
            )
            urllib.request.urlopen(request, timeout=60).close()
            said.until("HALTED: ")
            said.until("the halt holds after a restart")
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) == ExitCode.INTERRUPTED
        finally:
            process.kill()
            process.wait()
            said.reader.join()
            assert process.stderr is not None
            process.stderr.close()
    (halt,) = [line for line in said.lines if "HALTED: " in line]
    assert "key rights: the key may withdraw" in halt
    flag = read_flag(tmp_path)
    assert flag is not None
    assert flag.is_bots
    assert "may withdraw" in flag.why
