"""Live venues as a market: what `--market live` reads."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress

from bot.clock import SystemClock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument
from bot.domain.market import PrintedQuote
from bot.errors import BotError, SettingsError
from bot.ports import FrameTap, LiveVenueModule, MarketEnd, MarketSink
from bot.settings import Settings
from exchanges.depth.books import LiveBooks


def configured_feeds(settings: Settings, venues: Mapping[str, LiveVenueModule]) -> dict[Feed, list[str]]:
    """Feed -> unified symbols to watch, as the settings name them.

    Raises:
        SettingsError: If nothing is configured, or a feed has no reader.
    """
    known = {str(feed): feed for venue in venues.values() for feed in venue.feeds()}
    wanted: dict[Feed, list[str]] = {}
    for venue, segments in settings.instruments.items():
        for segment, symbols in segments.items():
            feed = known.get(f"{venue}.{segment}")
            if feed is None:
                raise SettingsError(
                    f"instruments.{venue}.{segment} is no known feed; known: {', '.join(sorted(known))}"
                )
            if symbols:
                wanted[feed] = list(symbols)
    if not wanted:
        raise SettingsError("nothing to watch: set instruments, for example instruments.binance.linear=[BTC/USDT:USDT]")
    return wanted


class LiveVenues:
    """Implements `bot.ports.Market` over the venues' own connections."""

    def __init__(
        self,
        by_feed: Mapping[Feed, Mapping[str, Instrument]],
        venues: Mapping[str, LiveVenueModule],
        settings: Settings,
        *,
        run_s: float | None,
        name: str = "live",
    ) -> None:
        """Watch the instruments of `by_feed` (feed -> the venue's symbol -> instrument) for `run_s` seconds.

        `name` stands on every screen and report: `live`, or `simulated` where the venues are not the real ones.
        """
        self.name = name
        self.by_feed = by_feed
        self._venues = venues
        self._settings = settings
        self._run_s = run_s
        self.clock = SystemClock()
        self.tap: FrameTap | None = None
        self.books = LiveBooks(by_feed, settings, self.clock)
        self.instruments: Sequence[Instrument] = [i for found in by_feed.values() for i in found.values()]
        self.published_fees: Mapping[Feed, FeeSchedule] = {
            feed: fees for feed in by_feed if (fees := venues[feed.venue].published_fees(feed)) is not None
        }

    def printed(self, feed: Feed, raw: bytes) -> PrintedQuote:
        """A delivered quote again, with the digits that the venue printed."""
        return self._venues[feed.venue].printed(feed, raw)

    def progress(self) -> float | None:
        """A live market has no end."""
        return None

    async def run(self, sink: MarketSink, stop: asyncio.Event) -> MarketEnd:
        """Connect every feed, deliver until `stop` or the end of the time, disconnect.

        Raises:
            VenueError: If a feed cannot be started; the others are closed again.
        """
        slots = {instrument.id: slot for slot, instrument in enumerate(self.instruments)}
        readers = [
            self._venues[feed.venue].reader(
                feed,
                {symbol: slots[i.id] for symbol, i in found.items()},
                sink,
                self._settings,
                self.clock,
                random.Random(),  # noqa: S311 - spreads reconnects, guards nothing
                self.tap,
            )
            for feed, found in self.by_feed.items()
        ]
        try:
            async with asyncio.TaskGroup() as starting:
                for reader in readers:
                    starting.create_task(reader.start())
                self.books.start()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._run_s)
        except* BotError as failures:
            raise failures.exceptions[0] from None
        finally:
            await asyncio.gather(self.books.stop(), *(reader.stop() for reader in readers), return_exceptions=True)
        return MarketEnd(complete=True, stopped=stop.is_set())


async def ask_instruments(
    wanted: Mapping[Feed, Sequence[str]], venues: Mapping[str, LiveVenueModule], settings: Settings
) -> dict[Feed, dict[str, Instrument]]:
    """Ask every venue for its instruments, all at once.

    Raises:
        SettingsError: If a symbol does not trade there.
        VenueError: If a venue cannot be asked.
    """
    answers = await asyncio.gather(
        *(venues[feed.venue].instruments(feed, symbols, settings) for feed, symbols in wanted.items())
    )
    return dict(zip(wanted, answers, strict=True))
