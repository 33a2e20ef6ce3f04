"""What is in recordings, before they are played: which instruments are quoted, how many lines, from when to when."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from bot.clock import SystemClock
from bot.domain.instrument import Feed, Instrument
from bot.errors import RecordingError, SettingsError
from bot.ports import FrameDecoder, MarketSink, VenueModule
from exchanges.recorded.files import RecordedFile
from exchanges.recorded.instruments import SHARED_NAME, metadata_beside

ScanProgress = Callable[[Path, float], None]
"""Called with a file and the fraction of it that has been read."""

_QUIET_NS = 2_000_000_000
_EVERY_NS = 500_000_000


@dataclass(frozen=True, slots=True)
class FileScan:
    """One file."""

    path: Path
    lines: int
    """Malformed ones included."""
    malformed: int
    """Lines that are not `<receive ns> <payload>`."""
    first_ns: int
    last_ns: int
    incomplete: str | None
    """Why it ends early, in one line that names it; None where it is whole."""
    quotes: Mapping[str, int]
    """Top-of-book frames by venue symbol."""


@dataclass(frozen=True, slots=True)
class FeedScan:
    """One feed: its files in the order in which they are played."""

    feed: Feed
    files: tuple[FileScan, ...]
    instruments: Mapping[str, Instrument]
    """By venue symbol: every instrument that has top-of-book frames, in order of first appearance."""

    @property
    def lines(self) -> int:
        """Lines of all its files, malformed ones included."""
        return sum(file.lines for file in self.files)

    @property
    def first_ns(self) -> int:
        """Earliest receive time, UTC ns."""
        return min(file.first_ns for file in self.files)

    @property
    def last_ns(self) -> int:
        """Latest receive time, UTC ns."""
        return max(file.last_ns for file in self.files)

    @property
    def quotes(self) -> int:
        """Top-of-book frames of all its files."""
        return sum(sum(file.quotes.values()) for file in self.files)


@dataclass(frozen=True, slots=True)
class ScanResult:
    """All feeds, in the order given."""

    feeds: Mapping[Feed, FeedScan]

    @property
    def lines(self) -> int:
        """Lines of all files, malformed ones included."""
        return sum(feed.lines for feed in self.feeds.values())

    @property
    def first_ns(self) -> int:
        """Earliest receive time, UTC ns: where the virtual clock starts."""
        return min(feed.first_ns for feed in self.feeds.values())

    @property
    def last_ns(self) -> int:
        """Latest receive time, UTC ns."""
        return max(feed.last_ns for feed in self.feeds.values())

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Every quoted instrument, in the order of feeds and first appearance."""
        return tuple(instrument for feed in self.feeds.values() for instrument in feed.instruments.values())


def scan(
    paths_by_feed: Mapping[Feed, Sequence[Path]],
    venues: Mapping[str, VenueModule],
    progress: ScanProgress | None = None,
) -> ScanResult:
    """Read every file once and name what it quotes; `progress` hears of files that take longer than two seconds.

    Raises:
        SettingsError: If a feed has no decoder.
        RecordingError: If a file cannot be read, quotes nothing, stands in the wrong order, or quotes a symbol
            that has no metadata.
    """
    known = [feed for venue in venues.values() for feed in venue.feeds()]
    for feed in paths_by_feed:
        if feed not in known:
            raise SettingsError(_unknown_feed(feed, known))
    return ScanResult(
        {feed: _scan_feed(feed, paths, venues[feed.venue], progress) for feed, paths in paths_by_feed.items()}
    )


def _scan_feed(feed: Feed, paths: Sequence[Path], venue: VenueModule, progress: ScanProgress | None) -> FeedScan:
    quoted = _Quoted(feed, venue)
    files = tuple(_scan_file(path, quoted.symbol, progress) for path in paths)
    _check_order(feed, files)
    symbols = dict.fromkeys(symbol for file in files for symbol in file.quotes)
    if not symbols:
        raise RecordingError(f"{paths[0]} has no top-of-book frame of {feed}: is it a recording of another feed?")
    metadata = {**venue.shipped_instruments(feed), **metadata_beside(paths, feed)}
    for file in files:
        for symbol in file.quotes:
            if symbol not in metadata:
                raise RecordingError(
                    f"{feed} quotes {symbol}, whose tick and lot size are not known: "
                    f'write them to {file.path.with_name(SHARED_NAME)} as {{"{feed}": {{"{symbol}": {{...}}}}}}'
                )
    return FeedScan(feed, files, {symbol: metadata[symbol] for symbol in symbols})


def _check_order(feed: Feed, files: Sequence[FileScan]) -> None:
    for earlier, later in pairwise(files):
        if earlier.path.resolve() == later.path.resolve():
            raise RecordingError(f"{later.path} is given twice for {feed}; give it once")
        if later.last_ns < earlier.first_ns:
            raise RecordingError(f"{later.path} is older than {earlier.path}; give the files of {feed} oldest first")


class _Quoted:
    """Which symbols a feed really quotes: until one has given a quote, its frames go through the venue's decoder.

    A damaged frame may spell a symbol that does not exist, and the file of another feed spells its symbols alike.
    """

    def __init__(self, feed: Feed, venue: VenueModule) -> None:
        self._feed = feed
        self._venue = venue
        self._decoders: dict[str, FrameDecoder] = {}
        self._gave: set[str] = set()

    def symbol(self, payload: bytes) -> str | None:
        """The venue's symbol if `payload` is a top-of-book frame of a symbol that gives quotes, else None."""
        symbol = self._venue.quoted_symbol(payload)
        if symbol is None or symbol in self._gave:
            return symbol
        if symbol not in self._decoders:
            sink = cast(MarketSink, _GaveQuote(lambda: self._gave.add(symbol)))
            self._decoders[symbol] = self._venue.decoder(self._feed, {symbol: 0}, sink)
        self._decoders[symbol].on_frame(payload, 0)
        return symbol if symbol in self._gave else None


class _GaveQuote:
    """A sink that hears of quotes only."""

    def __init__(self, told: Callable[[], None]) -> None:
        self._told = told

    def __getattr__(self, _: str) -> Any:
        return lambda *_: None

    def on_quote(self, *_: object) -> None:
        self._told()


def _scan_file(path: Path, quoted_symbol: Callable[[bytes], str | None], progress: ScanProgress | None) -> FileScan:
    clock = SystemClock()
    next_report_ns = clock.monotonic_ns() + _QUIET_NS
    file = RecordedFile(path)
    quotes: Counter[str] = Counter()
    lines = malformed = last_ns = 0
    first_ns: int | None = None
    for batch in file.batches():
        for payload in batch.payloads:
            symbol = quoted_symbol(payload)
            if symbol is not None:
                quotes[symbol] += 1
        lines += len(batch.stamps)
        malformed += len(batch.faults)
        if first_ns is None:
            first_ns = next((ns for at, ns in enumerate(batch.stamps) if at not in batch.faults), None)
        last_ns = batch.stamps[-1]
        if progress is not None and clock.monotonic_ns() > next_report_ns:
            progress(path, file.bytes_read / file.size_bytes)
            next_report_ns = clock.monotonic_ns() + _EVERY_NS
    if first_ns is None:
        raise RecordingError(f"{path} holds no whole line; {file.reason or 'record it again or leave it out'}")
    return FileScan(path, lines, malformed, first_ns, last_ns, file.reason, dict(quotes))


def _unknown_feed(feed: Feed, known: Sequence[Feed]) -> str:
    choice = ", ".join(sorted(str(one) for one in known))
    return f"--recording names the unknown feed {str(feed)!r}; known: {choice}"
