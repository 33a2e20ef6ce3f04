"""hftbacktest over the same quotes, in a process and an environment of its own: it pins another numpy.

`.venv-hftbacktest` beside the project, or what `CRYPTO_PIPE_HFTBACKTEST_PYTHON` names; absent, its rows have no ratio.
Each quote becomes what its order books are made of: the level that went is removed, the one that came is set.
"""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.measure import Round, progress
from benchmarks.nautilus_peer import Tick

ROOT = Path(__file__).resolve().parents[1]
_SCRIPT = Path(__file__).with_name("hftbacktest_run.py")


@contextmanager
def replay(ticks: Sequence[Tick]) -> Iterator[Round | None]:
    """A round of its backtest, in quotes a second; None where it is not installed."""
    python = os.environ.get("CRYPTO_PIPE_HFTBACKTEST_PYTHON", str(ROOT / ".venv-hftbacktest" / "bin" / "python"))
    if not Path(python).exists():
        progress("hftbacktest is absent: python3 -m venv .venv-hftbacktest, and pip install hftbacktest==2.4.4 there")
        yield None
        return
    with TemporaryDirectory(prefix="crypto-pipe-hft-") as directory:
        path = Path(directory) / "ticks.npy"
        np.save(path, np.array(ticks, np.float64))
        progress("building hftbacktest's events and compiling its strategy (not counted)")
        command = [python, str(_SCRIPT), str(path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                raise RuntimeError("hftbacktest could not be started")
            send, receive = process.stdin, process.stdout

            def run() -> float:
                send.write("go\n")
                send.flush()
                return float(receive.readline())

            yield run
            send.close()
