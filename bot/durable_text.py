"""Small files that must be whole and on the disk: a flag, a list of pauses, where a run's orders are."""

import os
import threading
from contextlib import suppress
from pathlib import Path


def write_durably(path: Path, text: str, *, takes_place: bool = True) -> None:
    """Put `text` into `path` (0600): whoever reads it sees the old content or the new, also after a power cut.

    The directory is made (0700) if it is missing.

    Args:
        path: The file.
        text: All of its content.
        takes_place: Of what stands there; else that is left, also what came while this was written.

    Raises:
        OSError: If the disk does not take it; the old content stands.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Of its own for each thread: a run may halt itself while a person has it halted.
    fresh = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.new")
    try:
        _write(fresh, text)
        if takes_place:
            fresh.replace(path)
        else:
            _place(fresh, path)
    except OSError:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def _write(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(fd)


def _place(fresh: Path, path: Path) -> None:
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links: nothing is left but to look, and to be quick
        if not os.path.lexists(path):
            fresh.replace(path)
            return
    fresh.unlink()


def sync_directory(path: Path) -> None:
    """Make names that were given or taken in it durable.

    Raises:
        OSError: If the disk does not take it.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
