"""One data directory, one writer of a thing in it."""

import fcntl
import os
from pathlib import Path
from typing import Self

from bot.errors import AlreadyRunning, StorageError

JOURNAL_LOCK = "journal.lock"
_IN_USE = "{data_dir} is in use by a running bot (process {holder}): stop it, or use another --data-dir"


class SingleWriter:
    """An exclusive lock on a data directory; the kernel lets go of it when the process dies, however it dies."""

    def __init__(self, data_dir: Path, file_name: str = JOURNAL_LOCK, refusal: str = _IN_USE) -> None:
        """Take the lock; the directory is made (0700) if it is missing.

        Args:
            data_dir: Holds the lock's file.
            file_name: Of the lock: each stands for one thing that has one writer.
            refusal: What to say when it is held; `{data_dir}` and `{holder}`, the number of the process, are filled in.

        Raises:
            AlreadyRunning: If another process, or somebody else in this one, holds it.
            StorageError: If the file cannot be opened.
        """
        self._fd: int | None = None
        path = data_dir / file_name
        try:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(f"{path} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._fd, 20).decode("ascii", "replace").strip() or "?"
            self.release()
            raise AlreadyRunning(refusal.format(data_dir=data_dir, holder=holder)) from error
        self._name_holder(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _name_holder(self, fd: int) -> None:
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            # The number only makes the refusal friendlier; a full disk shows itself at the first record.
            return

    def release(self) -> None:
        """Let another process in; calling it twice does nothing."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
