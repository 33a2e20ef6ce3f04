"""What an import needs from whoever knows a venue's files, and what it tells."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from bot.domain.instrument import Instrument
from bot.storage.archive.ports import SegmentInfo


class FileOrigin(Protocol):
    """Where a file comes from."""

    def told_sha256(self) -> str | None:
        """What it should be, as whoever publishes it says; None where nobody does.

        Raises:
            FileNotFoundError: If it is not published.
        """

    def fetched(self, scratch: Path, tell: Callable[[int, int | None], None]) -> Path:
        """The file, whole and checked, on this machine.

        Raises:
            FileNotFoundError: If it is not published.
        """

    def discard(self, path: Path) -> None:
        """It has been used; what was downloaded for this may go."""


class SourceFile(Protocol):
    """One file of history; `exchanges.common.history.files.HistoryFile` is one."""

    @property
    def source(self) -> str:
        """Names its rows wherever the file lies."""

    @property
    def channel(self) -> str:
        """Of the archive."""

    @property
    def instrument(self) -> Instrument:
        """Whose rows it has."""

    @property
    def start_ns(self) -> int:
        """UTC, of the day or month that it is of."""

    @property
    def stop_ns(self) -> int:
        """UTC, behind it."""

    @property
    def origin(self) -> FileOrigin:
        """Where it comes from."""

    @property
    def read(self) -> Callable[[Path], Iterator[pa.Table]]:
        """Tables of the channel's columns but `instrument`; raises `RecordingError` at a bad line."""


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """How an import goes."""

    files_done: int
    files: int
    source: str
    """What it is at."""
    step: str
    """`download`, `read` or `write`."""
    file_bytes: int
    """Downloaded of this file."""
    file_rows: int
    """Read of this file."""
    rows: int
    """Written to the archive, of all files."""
    rows_per_s: float


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was not imported."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did."""

    imported: tuple[str, ...]
    """Sources whose rows are in the archive now."""
    rows: int
    segments: tuple[SegmentInfo, ...]
    already: tuple[str, ...]
    """Sources that an earlier import had finished."""
    skipped: tuple[Skipped, ...]
    """Sources whose rows would stand in the archive twice."""
    missing: tuple[Skipped, ...]
    """Sources that the venue does not publish."""
    unfinished: tuple[str, ...]
    """Sources of which an import that was broken off left a part in the archive; importing them again goes on."""
