"""The market memory of a market: its archive, the jobs that keep it, and the MongoDB that is filled from it."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import SecretStr

from bot.clock import Clock
from bot.domain.instrument import Feed, Instrument
from bot.engine.engine import Engine
from bot.errors import BotError
from bot.jobs import Job, Timetable
from bot.ports import Journal, MarketReader, MarketSink
from bot.recording.fanout import Fanout
from bot.recording.recorder import Recorder, RecorderLimits
from bot.recording.restart import fill_windows
from bot.recording.views import ViewSampler
from bot.settings import Settings
from bot.storage.archive.channels import Channel
from bot.storage.archive.store import ArchiveStore
from bot.storage.book_replay import DepthRules
from bot.storage.minutes.jobs import MinuteJobs
from exchanges.depth.readers import depth_readers
from exchanges.markets import OpenMarket
from modes.shipping import Shipping

Log = Callable[[str, str], None]

_DAY_NS = 86_400_000_000_000
LIVE = "live"
DEPTH_RULES = {
    "binance": DepthRules(1000),
    "bybit": DepthRules(50, is_window=True),
    "kraken": DepthRules(10, is_window=True),
}
"""By venue, how deep its readers keep their books: levels behind that are not known."""


class Memory:
    """Beside an engine: what its market says goes to the archive, jobs keep it, MongoDB is filled."""

    def __init__(
        self,
        opened: OpenMarket,
        settings: Settings,
        journal: Journal,
        log: Log,
        uri: SecretStr | None,
        *,
        keeps_market: bool,
    ) -> None:
        """Open the archive; without `keeps_market` nothing is written to it.

        Raises:
            SettingsError, StorageError: If the archive, a schedule or the MongoDB that `uri` names cannot be used.
        """
        self._opened = opened
        self._settings = settings
        self._journal = journal
        self._log = log
        self._keeps_market = keeps_market
        market = opened.market
        self._store = open_archive(settings)
        self._shipping = Shipping.of(settings, uri, settings.data_dir, self._store, market.clock, log)
        self._recorder: Recorder | None = None
        self._timetable: Timetable | None = None
        self._views: ViewSampler | None = None
        self._books: list[MarketReader] = []
        self._starting: set[asyncio.Task[None]] = set()

    async def attach(self, engine: Engine) -> MarketSink:
        """Fill the engine's windows with the day that is in the archive, and listen beside it."""
        if not self._keeps_market:
            return engine
        market, settings = self._opened.market, self._settings
        windows = {slot.instrument.id: slot.window for slot in engine.slots}
        filled = await asyncio.to_thread(fill_windows, self._store, windows, market.clock.now_ns())
        rows = sum(one.rows for one in filled.values())
        if rows:
            self._log("info", f"archive: {rows:,} quotes of the last day are back in memory")
        limits = recorder_limits(settings)
        self._recorder = recorder = Recorder(
            self._store, market.instruments, market.clock, engine=engine.slots, limits=limits, log=self._log
        )
        slots = {one.id: slot for slot, one in enumerate(market.instruments)}
        books = kept_books(settings, market.by_feed, slots)
        kept = [market.instruments[slot] for by_symbol in books.values() for slot in by_symbol.values()]
        if books:
            sink = recorder.keep_books(slot for by_symbol in books.values() for slot in by_symbol.values())
            spread = random.Random()  # noqa: S311 - spreads reconnects, guards nothing
            self._books = depth_readers(books, sink, self._opened.settings, market.clock, spread)
        jobs = archive_jobs(settings, self._store, market.instruments, kept, market.clock)
        self._timetable = Timetable(jobs, self._journal, market.clock, self._log)
        return Fanout(engine, recorder)

    async def start(self) -> None:
        """Begin.

        Raises:
            StorageError: If MongoDB's database must not be written to.
        """
        if self._recorder is not None and self._timetable is not None:
            archive, market = self._settings.archive, self._opened.market
            self._recorder.start()
            self._views = self._recorder.sample_views(archive.views, market.printed, archive.views_per_s)
            self._timetable.start()
            for reader in self._books:
                task = asyncio.create_task(self._start_books(reader))
                self._starting.add(task)
                task.add_done_callback(self._starting.discard)
        await self._shipping.start()

    async def _start_books(self, reader: MarketReader) -> None:
        # A book that cannot be kept is no reason not to trade.
        try:
            await reader.start()
        except BotError as error:
            self._log("error", f"archive: order books are not kept: {error}")

    async def stop(self) -> None:
        """Make durable what came, and deliver what can be delivered within seconds."""
        for task in tuple(self._starting):
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        await asyncio.gather(*(reader.stop() for reader in self._books), return_exceptions=True)
        if self._views is not None:
            self._views.stop()
        if self._timetable is not None:
            await self._timetable.stop()
        if self._recorder is not None:
            lost = await asyncio.to_thread(self._recorder.close)
            if lost:
                self._log("error", f"archive: {lost:,} rows could not be saved")
        await self._shipping.stop()
        self._store.close()


def recorder_limits(settings: Settings) -> RecorderLimits:
    """When rows leave memory."""
    # Who is silent is noticed by then, and connects anew.
    return RecorderLimits(every_s=settings.archive.every_s, silence_s=2 * settings.connection.silence_timeout_s)


def memory_dir(settings: Settings) -> Path:
    """Where a market's memory lies: prices that nobody ever paid never stand among real ones."""
    return settings.data_dir if settings.market == LIVE else settings.data_dir / settings.market


def open_archive(settings: Settings, *, read_only: bool = False) -> ArchiveStore:
    """The archive of the market in use.

    Raises:
        StorageError: If it is being written by another process, or cannot be used.
    """
    directory = memory_dir(settings)
    if not read_only:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    url = settings.archive.url
    if url is not None and settings.market != LIVE:
        url = f"{url.rstrip('/')}/{settings.market}"
    return ArchiveStore.open(directory, url, read_only=read_only)


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


def archive_jobs(
    settings: Settings,
    store: ArchiveStore,
    instruments: Sequence[Instrument],
    books: Sequence[Instrument],
    clock: Clock,
) -> list[Job]:
    """What is done in turn to keep the archive; jobs without a schedule are left out."""
    minutes = MinuteJobs(store, instruments, books, depth_rules=DEPTH_RULES)

    def write_minutes() -> str:
        done = minutes.run(clock.now_ns())
        return f"{done.trade_rows} minutes of trades, {done.corrections} corrected, {done.book_rows} of books"

    def merge() -> str:
        return f"{len(store.merge(clock.now_ns()))} segments made of smaller ones"

    def retain() -> str:
        days = settings.archive.keep_days
        ages = {Channel(channel): round(kept * _DAY_NS) for channel, kept in days.items()}
        gone = store.retain(clock.now_ns(), ages, settings.archive.max_bytes)
        return f"{len(gone)} segments removed, {sum(one.size_bytes for one in gone)} bytes"

    times = settings.jobs
    listed: list[tuple[str, str | None, Callable[[], str]]] = [
        ("minutes", times.minutes, write_minutes),
        ("merge", times.merge, merge),
        ("retention", times.retention, retain),
    ]
    return [Job(name, schedule, run) for name, schedule, run in listed if schedule is not None]


def mongo_uri(settings: Settings, environment: Mapping[str, str]) -> SecretStr | None:
    """Which MongoDB is to be filled; None: there is none."""
    uri = environment.get("MONGODB_URI") or settings.mongodb.uri
    return None if uri is None else SecretStr(uri)
