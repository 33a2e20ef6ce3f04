"""A venue's downloadable history: files by instrument, kind and day, and what reads them.

Venues print no time of receipt into these files. `ts_recv_ns` is then the time at which the venue sent or made the
row, so that ranges, order and retention work as they do for what was recorded.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from bot.domain.instrument import Feed, Instrument

DAY_NS = 86_400_000_000_000

TellBytes = Callable[[int, int | None], None]
"""Bytes that are here, and of how many; None where that is not known."""


class Origin(Protocol):
    """Where a file comes from."""

    def told_sha256(self) -> str | None:
        """What it should be, as whoever publishes it says; None where nobody does."""

    def fetched(self, scratch: Path, tell: TellBytes) -> Path:
        """The file, whole and checked, on this machine.

        Raises:
            FileNotFoundError: If it is not published.
            RecordingError: If it is not what its checksum says.
            VenueError: If it cannot be downloaded.
        """

    def discard(self, path: Path) -> None:
        """It has been used; what was downloaded for this may go."""


@dataclass(frozen=True, slots=True)
class HistoryFile:
    """One file of history."""

    source: str
    """Names its rows wherever the file lies: `binance/um/aggTrades/BTCUSDT/2024-08-08`."""
    channel: str
    """Of the archive: `quotes`, `trades`, `funding`, `depth`."""
    instrument: Instrument
    start_ns: int
    """UTC; first moment of the day or month that its name tells."""
    stop_ns: int
    """UTC; behind the last one."""
    origin: Origin
    read: Callable[[Path], Iterator[pa.Table]]
    """Tables of the channel's columns but `instrument`.

    Raises RecordingError, with file and line, where a line is not what it should be.
    """


@dataclass(frozen=True, slots=True)
class Span:
    """A day or a month in a file's name."""

    name: str
    """`2024-08-08` or `2024-08`."""
    start_ns: int
    stop_ns: int

    @classmethod
    def parse(cls, name: str) -> "Span":
        """The span of `2024-08-08` or `2024-08`.

        Raises:
            ValueError: If the name is no date.
        """
        return day_of(date.fromisoformat(name)) if name.count("-") == 2 else month_of(date.fromisoformat(f"{name}-01"))


class VenueHistory(Protocol):
    """What a venue publishes."""

    def feeds(self) -> Sequence[Feed]:
        """Whose history there is."""

    def kinds(self, feed: Feed) -> Mapping[str, str]:
        """Kinds of files that the feed has, by the venue's name for them -> the channel that their rows go to.

        The first kind of a channel is the one to take where only a channel is asked for.
        """

    def files(self, instrument: Instrument, kind: str, first: date, last: date) -> Sequence[HistoryFile]:
        """The published files that cover these days, both included, oldest first.

        Raises:
            SettingsError: If the venue publishes no such kind for the instrument's feed.
        """

    def local(self, path: Path, instrument: Instrument) -> HistoryFile:
        """A file that somebody has downloaded; its name must be the one that the venue gave it.

        Raises:
            SettingsError: If the name is none of the venue's, or is of another symbol.
        """


def day_of(day: date) -> Span:
    """A UTC day."""
    start_ns = _ns(day)
    return Span(day.isoformat(), start_ns, start_ns + DAY_NS)


def month_of(day: date) -> Span:
    """The UTC month that a day is in."""
    first = day.replace(day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    return Span(f"{first:%Y-%m}", _ns(first), _ns(following))


def days(first: date, last: date) -> list[Span]:
    """Every day from the first to the last, both included."""
    return [day_of(first + timedelta(days=number)) for number in range((last - first).days + 1)]


def months(first: date, last: date) -> list[Span]:
    """Every month that has one of these days."""
    return sorted({month_of(first + timedelta(days=number)) for number in range((last - first).days + 1)}, key=_start)


def _start(span: Span) -> int:
    return span.start_ns


def _ns(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000_000
