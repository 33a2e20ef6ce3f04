"""Recordings as a market: what `--market recorded` plays."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from bot.clock import VirtualClock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument
from bot.domain.market import PrintedQuote
from bot.errors import RecordingError
from bot.ports import FeedState, FrameDecoder, FrameTap, MarketEnd, MarketSink, VenueModule
from exchanges.depth.recorded import RecordedBooks, WithBooks
from exchanges.recorded.files import each_once
from exchanges.recorded.player import STOPPED, RecordedMarket, Speed
from exchanges.recorded.scan import ScanProgress, scan


class Recordings:
    """Implements `bot.ports.Market`: the instruments that the files quote, on a virtual clock.

    Args:
        files: By feed, oldest first.
        venues: Whose decoders to use.
        speed: `max`, or as fast as the market was, or ten times that.
        play_s: Seconds of virtual time to play; None: everything.
        scan_progress: Hears of files that take long to look through.

    Raises:
        SettingsError: If a feed has no decoder.
        RecordingError: If a file cannot be read, or an instrument has no metadata.
    """

    name = "recorded"

    def __init__(
        self,
        files: Mapping[Feed, Sequence[Path]],
        venues: Mapping[str, VenueModule],
        *,
        speed: Speed,
        play_s: float | None,
        scan_progress: ScanProgress | None = None,
    ) -> None:
        self._files = {feed: each_once(paths) for feed, paths in files.items()}
        self._venues = venues
        self._speed = speed
        self._scan = scan(self._files, venues, scan_progress)
        self.instruments: Sequence[Instrument] = self._scan.instruments
        if len({instrument.id for instrument in self.instruments}) < len(self.instruments):
            raise RecordingError("one instrument stands in the recordings of two feeds; leave one of them out")
        self.by_feed: Mapping[Feed, Mapping[str, Instrument]] = {
            feed: found.instruments for feed, found in self._scan.feeds.items()
        }
        self.tap: FrameTap | None = None
        self.books = RecordedBooks(self.by_feed)
        self.clock = VirtualClock(self._scan.first_ns)
        self._until_ns = None if play_s is None else self._scan.first_ns + round(play_s * 1e9)
        self.published_fees: Mapping[Feed, FeeSchedule] = {
            feed: fees for feed in files if (fees := venues[feed.venue].published_fees(feed)) is not None
        }

    def printed(self, feed: Feed, raw: bytes) -> PrintedQuote:
        """A delivered quote again, with the digits that the venue printed."""
        return self._venues[feed.venue].printed(feed, raw)

    def progress(self) -> float | None:
        """Part of the recorded time that has been played."""
        first_ns = self._scan.first_ns
        end_ns = self._scan.last_ns if self._until_ns is None else min(self._scan.last_ns, self._until_ns)
        return min((self.clock.now_ns() - first_ns) / max(end_ns - first_ns, 1), 1.0)

    async def run(self, sink: MarketSink, stop: asyncio.Event) -> MarketEnd:
        """Play to the end, to `play_s`, or to `stop`."""
        slots = {instrument.id: slot for slot, instrument in enumerate(self.instruments)}
        decoders: dict[Feed, FrameDecoder] = {}
        player = RecordedMarket(self._files, decoders, sink, self.clock, self._speed, self._until_ns)
        located = cast(MarketSink, _LocatedSink(sink, player.where))
        for feed, found in self._scan.feeds.items():
            symbols = {symbol: slots[i.id] for symbol, i in found.instruments.items()}
            decoder = self._venues[feed.venue].decoder(feed, symbols, located)
            books = self.books.decoder(feed)
            if books is not None:
                decoder = WithBooks(decoder, books)
            decoders[feed] = decoder if self.tap is None else _TappedDecoder(feed, decoder, self.tap)
            sink.on_feed_state(feed, FeedState.LIVE, "recorded")
        result = await player.run(stop)
        for feed in decoders:
            sink.on_feed_state(feed, FeedState.CLOSED, STOPPED if result.stopped else self._end())
        return MarketEnd(result.complete, result.reasons, result.stopped)

    def _end(self) -> str:
        is_cut = self._until_ns is not None and self._until_ns < self._scan.last_ns
        return "played as long as was asked" if is_cut else "end of the recording"


class _TappedDecoder:
    """A decoder whose frames are also kept."""

    def __init__(self, feed: Feed, decoder: FrameDecoder, tap: FrameTap) -> None:
        self._feed = feed
        self._decode = decoder.on_frame
        self._keep = tap.on_raw

    def on_frame(self, raw: bytes, ts_recv_ns: int) -> None:
        """Keep one payload, then decode it."""
        self._keep(self._feed, raw, ts_recv_ns)
        self._decode(raw, ts_recv_ns)


class _LocatedSink:
    """The sink, but a malformed payload is named by its file and line.

    Everything else is the sink's own bound method: a decoder that takes it once pays nothing for this layer.
    """

    def __init__(self, sink: MarketSink, where: Callable[[Feed, bytes], str | None]) -> None:
        self._sink = sink
        self._where = where

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sink, name)

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        place = self._where(feed, raw)
        self._sink.on_malformed(feed, raw, reason if place is None else f"{place}: {reason}")
