"""What computes a calm day beside a run is at the lowest priority from its first moment."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import os, sys
def nice(by):
    loaded = sorted({name.partition(".")[0] for name in sys.modules} & {"pydantic", "numpy", "exchanges", "strategies"})
    print(by, loaded)
    sys.exit(0)
os.nice = nice
import main
main.main(["calm-day", "calm", "1", "1"])
"""


def test_its_priority_is_lowered_before_anything_is_loaded() -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout == "19 []\n"
