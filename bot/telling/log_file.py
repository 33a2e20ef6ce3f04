"""Log lines as JSON, one object a line, in a file that is rotated."""

import json
import logging
import logging.handlers
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from bot.clock import Clock
from bot.errors import StorageError
from bot.telling.outbox import Outbox
from bot.text import inert

_WAITING = 10_000
_CLOSE_S = 5.0


class JsonLog:
    """Writes from a thread of its own: a disk that stands still holds up nobody."""

    def __init__(self, path: Path, *, max_bytes: int, keep: int, about: Mapping[str, Any], clock: Clock) -> None:
        """Open (append) the file; its directory is made (0700) if it is missing.

        Args:
            path: Of the newest file; older ones get `.1`, `.2` behind their name.
            max_bytes: Of one file.
            keep: Older files that stay.
            about: What stands in every line: the run, the market, whose money.
            clock: Of the lines' times.

        Raises:
            StorageError: If it cannot be opened.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = _File(path, maxBytes=max_bytes, backupCount=keep, encoding="utf-8")
        except OSError as error:
            raise StorageError(f"{path} cannot be opened: {error.strerror}") from error
        self._file.setFormatter(logging.Formatter("%(message)s"))
        self._about = dict(about)
        self._clock = clock
        self._outbox = Outbox("log file", _WAITING)

    @property
    def failed(self) -> int:
        """Lines that the disk did not take."""
        return self._file.failed

    def write(self, level: str, text: str) -> None:
        """One line; returns at once."""
        moment = datetime.fromtimestamp(self._clock.now_ns() / 1e9, UTC)
        line = {"time": moment.isoformat(timespec="milliseconds"), "level": level, "text": inert(text), **self._about}
        if self._outbox.dropped:
            line["lines_dropped"] = self._outbox.dropped
        words = json.dumps(line, ensure_ascii=False)
        self._outbox.put(lambda: self._file.emit(_record(words)))

    def close(self) -> None:
        """Write what waits, and close the file."""
        if self._outbox.close(_CLOSE_S):
            self._file.close()


class _File(logging.handlers.RotatingFileHandler):
    """Counts what the disk does not take: stderr is not its to fill."""

    failed = 0

    def _open(self) -> TextIOWrapper:
        """The newest file, which its owner alone may read."""
        return open(os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """One more."""
        self.failed += 1


def _record(words: str) -> logging.LogRecord:
    return logging.LogRecord("crypto-pipe", logging.INFO, "", 0, words, None, None)
