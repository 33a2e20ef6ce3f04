"""Room for the journal's write-ahead log, made beforehand, and its clearing away while nobody waits.

A commit that makes the file longer has the file system write its own journal too: on ext4 three times as long as one
that writes over what is there. A log is written over from its beginning once SQLite has moved its pages into the
database, and SQLite would do that within the commit that makes it too long, with two more fsyncs before an order that
waits for it.
"""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

_HEADER_BYTES = 32
_FRAME_HEAD_BYTES = 24
_FRAMES = 1_000
_LONG_FRAMES = 500
"""A log that is longer is cleared at the next quiet moment."""
_OVERHEAD_FRAMES = 3
"""Of a commit: pages that it only touches, and the last one, partly filled."""
_PATIENCE_FRAMES = 4_000
"""Without a quiet moment SQLite clears it in a commit after all."""

QUIET_S = 0.25
"""Without a record for so long it is cleared: shorter, and the next one would soon be in the middle of it."""


class LogRoom:
    """The log of one database, which one connection writes. Calls come from one thread at a time."""

    def __init__(self, wal: Path, connection: sqlite3.Connection) -> None:
        """Nothing is done yet."""
        self._wal = wal
        self._connection = connection
        self._page_bytes = int(connection.execute("PRAGMA page_size").fetchone()[0])
        self._frames = 0

    def make(self) -> None:
        """Make the file as long as it will get; where there is no room for that, it stays as it is.

        SQLite takes a log as far as its checksums hold: zeros behind it, and a log of nothing but zeros, are none.
        """
        whole = _HEADER_BYTES + _FRAMES * (_FRAME_HEAD_BYTES + self._page_bytes)
        with suppress(OSError):
            file = os.open(self._wal, os.O_RDWR)
            try:
                length = os.fstat(file).st_size
                try:
                    while (at := os.fstat(file).st_size) < whole:
                        os.pwrite(file, bytes(whole - at), at)
                    os.fsync(file)
                except OSError:
                    os.ftruncate(file, length)
                    raise
            finally:
                os.close(file)
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {_PATIENCE_FRAMES}")

    @property
    def is_long(self) -> bool:
        """Whether it should be cleared when nobody waits."""
        return self._frames > _LONG_FRAMES

    def grew(self, record_bytes: int) -> None:
        """A commit has added records of this size, at least."""
        self._frames += record_bytes // self._page_bytes + _OVERHEAD_FRAMES

    def clear(self) -> None:
        """Move its pages into the database: the next commit begins at the front again. What it holds is durable before.

        Readers are not waited for; where one stands in the way it is tried again when the log has grown as much again.
        """
        self._frames = 0
        # A disk that fails here fails the next commit too, and that one is told.
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
