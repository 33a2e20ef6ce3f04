"""What a process gives up before it holds keys: files that others can read, and pictures of its memory on a disk."""

import ctypes
import os
import resource
import sys
from contextlib import suppress

_PR_SET_DUMPABLE = 4


def harden() -> None:
    """Make new files this user's alone, and write no core dump if it crashes. Idempotent."""
    os.umask(0o077)
    with suppress(ValueError, OSError):  # a limit that is lower already stays
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def hide_memory() -> None:
    """Once keys are loaded: no other program of this user may read the memory, and no crash reporter gets a copy.

    A limit on core dumps does not hold for one that is piped to a program, as distributions set it up.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # a kernel or C library without it
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
