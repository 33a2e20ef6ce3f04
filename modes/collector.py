"""What a market says, on its way to the archive: quotes, trades and funding, order books, combined views."""

from collections.abc import Callable, Mapping, Sequence

from bot.domain.instrument import Feed, Instrument
from bot.jobs import Job
from bot.ports import FrameTap, MarketReader, Wiring
from bot.recording.engine_quotes import EngineSlot
from bot.recording.recorder import Recorder, RecorderLimits
from bot.recording.views import ViewSampler
from bot.settings import Settings
from bot.storage.archive.store import ArchiveStore
from exchanges.depth.books import HasBooks
from exchanges.depth.readers import depth_readers
from exchanges.markets import OpenMarket
from modes.archive_jobs import archive_jobs

Log = Callable[[str, str], None]


class Collector:
    """A recorder, the readers of the order books that it keeps, and the jobs of its archive."""

    def __init__(
        self,
        opened: OpenMarket,
        settings: Settings,
        store: ArchiveStore,
        log: Log,
        *,
        engine: Sequence[EngineSlot] | None = None,
        tap: FrameTap | None = None,
    ) -> None:
        """Nothing is read and nothing written before `recorder` and `readers` are started.

        Args:
            opened: The market.
            settings: Which books and views are kept, and when rows leave memory.
            store: The archive.
            log: Takes a level and a line.
            engine: The slots of an engine that gets the same quotes first; None: there is none.
            tap: Sees every frame of an order book.

        Raises:
            SettingsError: If a feed has no order books, or a schedule cannot be read.
        """
        self._market = market = opened.market
        self._settings = settings
        self.recorder = Recorder(
            store, market.instruments, market.clock, engine=engine, limits=_limits(settings), log=log
        )
        slots = {one.id: slot for slot, one in enumerate(market.instruments)}
        books = kept_books(settings, market.by_feed, slots)
        kept = [slot for by_symbol in books.values() for slot in by_symbol.values()]
        self.readers: Sequence[MarketReader] = ()
        """Of the order books, where no engine follows them: beside one, the market itself reads them for both."""
        if kept and engine is not None and isinstance(market, HasBooks):
            market.books.listen(kept, self.recorder.keep_books(kept))
        elif kept:
            sink = self.recorder.keep_books(kept)
            self.readers = depth_readers(books, sink, Wiring(opened.settings, market.clock, tap=tap))
        self.jobs: list[Job] = archive_jobs(
            settings,
            store,
            market.instruments,
            [market.instruments[slot] for slot in kept],
            market.clock,
            self.recorder.durable_ns,
        )

    def sample_views(self) -> ViewSampler:
        """Sample the combined views from now on; the recorder ends it when it is closed."""
        archive = self._settings.archive
        return self.recorder.sample_views(archive.views, self._market.printed, archive.views_per_s)


def kept_books(
    settings: Settings, by_feed: Mapping[Feed, Mapping[str, Instrument]], slots: Mapping[str, int]
) -> dict[Feed, dict[str, int]]:
    """Feed -> the venue's symbol -> slot of the instruments whose order books are kept; those that are watched."""
    found: dict[Feed, dict[str, int]] = {}
    for feed, listed in by_feed.items():
        wanted = settings.archive.books.get(feed.venue, {}).get(feed.segment, [])
        books = {name: slots[one.id] for name, one in listed.items() if one.symbol in wanted or "ALL" in wanted}
        if books:
            found[feed] = books
    return found


def _limits(settings: Settings) -> RecorderLimits:
    """When rows leave memory."""
    # Who is silent is noticed by then, and connects anew.
    return RecorderLimits(every_s=settings.archive.every_s, silence_s=2 * settings.connection.silence_timeout_s)
