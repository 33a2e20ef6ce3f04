"""The recordings, through decoders, book builders and recorder, into an archive: everything as it is in a real run."""

import atexit
import gzip
import os
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from bot.clock import VirtualClock
from bot.domain.instrument import Feed, Instrument
from bot.domain.order_book import BookChange
from bot.ports import FeedState
from bot.recording.recorder import Recorder
from bot.storage.archive.store import ArchiveStore
from exchanges.binance.decoder import BinanceDecoder
from exchanges.binance.order_book import BinanceBookBuilder
from exchanges.binance.shipped import INSTRUMENTS
from exchanges.common.market.depth import SlotBook

SHARED = Path(os.environ.get("CRYPTO_PIPE_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
RECORDED = SHARED / "recordings" / "binance-2024-08-08"
FILES = {
    "spot": ("spot-ethusdt_20240808.gz", "spot-ethusdt_20240809.gz"),
    "linear": ("usdm-ethusdt_20240808.gz",),
    "inverse": ("cm-ethusd_perp_20240808.gz", "cm-ethusd_perp_20240809.gz"),
}
SYMBOLS = {"spot": "ETHUSDT", "linear": "ETHUSDT", "inverse": "ETHUSD_PERP"}

WATCHED = 499
"""One line in so many has its live book kept."""

needs_recordings = pytest.mark.skipif(not RECORDED.is_dir(), reason=f"no recordings: {RECORDED} is not there")

Line = tuple[int, bytes]


def lines(market: str) -> Iterator[Line]:
    """Receive time and payload."""
    for name in FILES[market]:
        with gzip.open(RECORDED / name) as file:
            for line in file:
                stamp, _, raw = line.rstrip().partition(b" ")
                yield int(stamp), raw


def instrument_of(market: str) -> Instrument:
    return INSTRUMENTS[Feed.parse(f"binance.{market}")][SYMBOLS[market]]


class Recording:
    """Puts lines of one market into an archive, a minute at a time."""

    def __init__(self, data_dir: Path, market: str, start_ns: int) -> None:
        self.instrument = instrument_of(market)
        self.store = ArchiveStore.open(data_dir)
        self._clock = VirtualClock(start_ns)
        self.recorder = Recorder(self.store, [self.instrument], self._clock)
        books = self.recorder.keep_books([0])
        self.builder = SlotBook(0, books, partial(BinanceBookBuilder, 1_000), on_wanted=lambda _: None).builder
        self._decoder = BinanceDecoder(self.instrument.feed, {SYMBOLS[market]: 0}, self.recorder)
        self._state = FeedState.LIVE
        self.recorder.start()

    def take(self, ts_ns: int, raw: bytes) -> None:
        self._clock.advance_to(ts_ns)
        if b"@depth" in raw[:40]:
            self.builder.on_frame(raw, ts_ns)
        elif raw.startswith(b'{"lastUpdateId"'):
            self.builder.on_snapshot(raw, ts_ns)
        else:
            self._decoder.on_frame(raw, ts_ns)

    def tell(self, ts_ns: int, lost: tuple[int, int]) -> bool:
        """Tell the recorder that the connection went and came back; True once it has."""
        state = FeedState.RECONNECTING if lost[0] <= ts_ns < lost[1] else FeedState.LIVE
        if state is not self._state:
            self._clock.advance_to(lost[0] if state is FeedState.RECONNECTING else lost[1])
            self._state = state
            self.recorder.on_feed_state(self.instrument.feed, state, "told by a test")
        return ts_ns >= lost[1]

    def close(self) -> None:
        assert self.recorder.close() == 0


def record(
    data_dir: Path,
    market: str,
    keep: Callable[[int, bytes], bool] = lambda ts_ns, raw: True,
    watch: Callable[[int, BinanceBookBuilder], None] = lambda ts_ns, builder: None,
    lose: tuple[int, int] | None = None,
) -> ArchiveStore:
    """The archive of a market's lines, or of those that are kept.

    `watch` sees the live book after each; between the times `lose` the connection is said to be gone.
    """
    recording: Recording | None = None
    for ts_ns, raw in lines(market):
        if recording is None:
            recording = Recording(data_dir, market, ts_ns)
        if lose is not None and recording.tell(ts_ns, lose):
            lose = None
        if keep(ts_ns, raw):
            recording.take(ts_ns, raw)
            watch(ts_ns, recording.builder)
    assert recording is not None
    recording.close()
    return recording.store


class Recorded(NamedTuple):
    """An archive of a whole recording, and what the live book was at some moments of it."""

    store: ArchiveStore
    instrument: Instrument
    live: dict[int, BookChange]


@cache
def recorded(market: str) -> Recorded:
    """Made once for all tests of a session."""
    folder = TemporaryDirectory(prefix="recorded-")
    live: dict[int, BookChange] = {}
    seen = 0

    def watch(ts_ns: int, builder: BinanceBookBuilder) -> None:
        nonlocal seen
        seen += 1
        if ts_ns in live or not seen % WATCHED:  # of lines with one time the last one counts
            image = builder.book and builder.book.image()
            if image:
                live[ts_ns] = image

    store = record(Path(folder.name), market, watch=watch)
    atexit.register(folder.cleanup)
    atexit.register(store.close)
    return Recorded(store, instrument_of(market), live)
