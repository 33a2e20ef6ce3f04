"""A job's process is at the lowest priority before it loads what the job needs."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import os, sys
def nice(by):
    print(by, sorted(name for name in sys.modules if name.partition(".")[0] in {"pydantic", "bot", "modes"}))
    sys.exit(0)
os.nice = nice
import modes.niced
modes.niced.run("modes.backup_job")
"""


def test_its_priority_is_lowered_before_anything_is_loaded() -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout == "19 ['modes', 'modes.niced']\n"
