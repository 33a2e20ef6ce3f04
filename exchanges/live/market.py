"""Live venues as a market: what `--market live` reads."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial

from bot.clock import SystemClock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument
from bot.domain.market import PrintedQuote
from bot.errors import BotError, SettingsError
from bot.patience import Patience
from bot.ports import FrameTap, LiveVenueModule, MarketEnd, MarketReader, MarketSink, Wiring
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
        patience: Patience | None = None,
    ) -> None:
        """Watch the instruments of `by_feed` (feed -> the venue's symbol -> instrument) for `run_s` seconds.

        `name` stands on every screen and report: `live`, or `simulated` where the venues are not the real ones. A feed
        that cannot be started is tried again as long as there is `patience`; the others deliver meanwhile.
        """
        self._patience = patience
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
        readers: list[MarketReader] = []
        stopping = asyncio.create_task(stop.wait())
        try:
            async with asyncio.TaskGroup() as group:
                starting = [group.create_task(self._start(feed, slots, sink, readers)) for feed in self.by_feed]
                stopping.add_done_callback(partial(_cancel_all, starting))
                self.books.start()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._run_s)
        except* BotError as failures:
            raise failures.exceptions[0] from None
        finally:
            stopping.cancel()
            await asyncio.gather(self.books.stop(), *(reader.stop() for reader in readers), return_exceptions=True)
        return MarketEnd(complete=True, stopped=stop.is_set())

    async def _start(self, feed: Feed, slots: Mapping[str, int], sink: MarketSink, started: list[MarketReader]) -> None:
        """Begin to read one feed; a reader that fails has let go of everything, and the next try is a new one."""
        found = {symbol: slots[one.id] for symbol, one in self.by_feed[feed].items()}

        async def attempt() -> None:
            wiring = Wiring(self._settings, self.clock, tap=self.tap)
            reader = self._venues[feed.venue].reader(feed, found, sink, wiring)
            try:
                await reader.start()
            except BaseException:  # a cancelled start too leaves nothing open
                await reader.stop()
                raise
            started.append(reader)

        await (attempt() if self._patience is None else self._patience.asked(attempt))


def _cancel_all(starting: Sequence[asyncio.Task[None]], stopped: asyncio.Task[bool]) -> None:
    """Nobody waits any more for what has not begun yet."""
    if not stopped.cancelled():
        for task in starting:
            task.cancel()


async def ask_instruments(
    wanted: Mapping[Feed, Sequence[str]],
    venues: Mapping[str, LiveVenueModule],
    settings: Settings,
    patience: Patience | None = None,
) -> dict[Feed, dict[str, Instrument]]:
    """Ask every venue for its instruments, all at once; again, as long as there is `patience`.

    Raises:
        SettingsError: If a symbol does not trade there.
        VenueError: If a venue cannot be asked.
    """
    asks = [partial(venues[feed.venue].instruments, feed, symbols, settings) for feed, symbols in wanted.items()]
    answers = await asyncio.gather(*(ask() if patience is None else patience.asked(ask) for ask in asks))
    return dict(zip(wanted, answers, strict=True))
