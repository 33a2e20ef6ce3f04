"""Small files that must be whole and on the disk: a flag, a list of pauses, where a run's orders are."""

import os
from contextlib import suppress
from pathlib import Path


def write_durably(path: Path, text: str) -> None:
    """Put `text` into `path` (0600): whoever reads it sees the old content or the new, also after a power cut.

    The directory is made (0700) if it is missing.

    Raises:
        OSError: If the disk does not take it; the old content stands.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        _write(fresh, text)
        fresh.replace(path)
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
