"""What a test has done in a process of its own: `python -m tests.integration.nice_child`, told on stdin."""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bot.errors import SettingsError, StorageError
from modes.nice_process import serve

NICENESS_AT_START = os.nice(0)
"""While it is loaded: nobody has asked it for anything yet."""


def work(wanted: Mapping[str, Any]) -> str:
    match wanted["do"]:
        case "tell":
            return f"first line\nniceness {NICENESS_AT_START}, parent {wanted['parent'] == os.getppid()}"
        case "wait":
            Path(wanted["file"]).write_text(str(os.getpid()))
            signal.pause()
        case "settings":
            raise SettingsError("no such place")
        case "storage":
            raise StorageError("the disk is full")
    raise ValueError("a bug")


if __name__ == "__main__":
    sys.exit(serve(work))
