"""Recordings as a market: what `--market recorded` plays."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from bot.clock import VirtualClock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument
from bot.domain.market import PrintedQuote
from bot.errors import RecordingError
from bot.ports import MarketEnd, MarketSink, VenueModule
from exchanges.recorded.player import RecordedMarket, Speed
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
        self._files = files
        self._venues = venues
        self._speed = speed
        self._scan = scan(files, venues, scan_progress)
        self.instruments: Sequence[Instrument] = self._scan.instruments
        if len({instrument.id for instrument in self.instruments}) < len(self.instruments):
            raise RecordingError("one instrument stands in the recordings of two feeds; leave one of them out")
        self.clock = VirtualClock(self._scan.first_ns)
        self._until_ns = None if play_s is None else self._scan.first_ns + round(play_s * 1e9)
        self.published_fees: Mapping[Feed, FeeSchedule] = {
            feed: fees for feed in files if (fees := venues[feed.venue].published_fees(feed)) is not None
        }
        self._progress = 0.0

    def printed(self, feed: Feed, raw: bytes) -> PrintedQuote:
        """A delivered quote again, with the digits that the venue printed."""
        return self._venues[feed.venue].printed(feed, raw)

    def progress(self) -> float | None:
        """Part of the files that has been read."""
        return self._progress

    async def run(self, sink: MarketSink, stop: asyncio.Event) -> MarketEnd:
        """Play to the end, to `play_s`, or to `stop`."""
        slots = {instrument.id: slot for slot, instrument in enumerate(self.instruments)}
        decoders = {
            feed: self._venues[feed.venue].decoder(
                feed, {symbol: slots[i.id] for symbol, i in found.instruments.items()}, sink
            )
            for feed, found in self._scan.feeds.items()
        }
        player = RecordedMarket(self._files, decoders, sink, self.clock, self._speed, self._on_progress, self._until_ns)
        result = await player.run(stop)
        return MarketEnd(result.complete, result.reasons, result.stopped)

    def _on_progress(self, fraction: float) -> None:
        self._progress = fraction
