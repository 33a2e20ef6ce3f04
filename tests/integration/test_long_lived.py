"""The garbage collector does not stop an engine to look through what stays for good."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TELLS = """
import atexit, gc, sys
# Run last, as it is registered first.
atexit.register(lambda: print("left alone:", gc.get_freeze_count(), file=sys.stderr))
"""
MODULES = 50_000
"""Objects of the modules that a run loads: there are some 200,000."""


@pytest.mark.parametrize("mode", ["action", "simulate"])
def test_what_is_loaded_is_left_alone(tmp_path: Path, mode: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(TELLS)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CRYPTO_PIPE__")}
    words = [str(ROOT / "main.py"), "--mode", mode, "--for", "2s", "--data-dir", str(tmp_path / "data")]
    ended = subprocess.run(
        [sys.executable, *words, *(["--market", "simulated"] if mode == "action" else [])],
        env=environment | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    told = [line for line in ended.stderr.splitlines() if line.startswith("left alone: ")]
    assert int(told[-1].removeprefix("left alone: ")) > MODULES
