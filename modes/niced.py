"""`python -m modes.niced MODULE`: the module's program, at the lowest priority from before its first import.

Loading what a job needs takes a second of a core, and a run is trading beside it: nothing of ours is imported before.
"""

import os
import runpy
import sys

LOWEST_PRIORITY = 19


def run(module: str) -> None:
    """Step behind everybody else, then be `python -m module`."""
    os.nice(LOWEST_PRIORITY)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    run(sys.argv[1])
