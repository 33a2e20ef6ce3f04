"""Beside an engine: the archive of what its market says, the jobs of the timetable, and the MongoDB that is filled.

What only the archive and MongoDB need is imported where they are used: it takes a second to load.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from bot.domain.snapshot import UpkeepStatus
from bot.engine.engine import Engine
from bot.errors import BotError
from bot.jobs import Job
from bot.ports import Journal, MarketReader, MarketSink
from bot.settings import Settings
from exchanges.markets import OpenMarket
from modes.backup_job import backup_job
from modes.clock_offsets import clock_offset_job
from modes.daily_report import daily_report_job
from modes.upkeep import Refresh, Upkeep, check_schedules, fees_job, listed
from modes.waking_journal import WakingJournal

if TYPE_CHECKING:
    from bot.storage.archive.store import ArchiveStore
    from modes.collector import Collector
    from modes.shipping import Shipping

Log = Callable[[str, str], None]

LIVE = "live"
_HOUR_NS = 3_600_000_000_000
KeyWatch = Callable[[Callable[[str], None]], Job | None]


class Memory:
    """Implements `bot.engine.run.Beside`: nothing of it ever decides, or makes a decision wait."""

    def __init__(
        self,
        opened: OpenMarket,
        settings: Settings,
        journal: Journal,
        log: Log,
        uri: SecretStr | None,
        *,
        keeps_market: bool,
        settings_file: Path | None = None,
        refresh: Refresh | None = None,
        key_watch: KeyWatch | None = None,
    ) -> None:
        """Open what is needed.

        Args:
            opened: The market.
            settings: Of archive, MongoDB, jobs and backups.
            journal: Of the run.
            log: Takes a level and a line.
            uri: Of the MongoDB that is filled; None: there is none.
            keeps_market: Whether what the market says goes to the archive.
            settings_file: Goes into backups; None: none does.
            refresh: Asks the venues for fees and funding again; None: the job `fees` is left out.
            key_watch: Builds the job `rights` from what halts the run; None: it is left out.

        Raises:
            SettingsError, StorageError: If the archive, a schedule or the MongoDB that `uri` names cannot be used.
        """
        check_schedules(settings)
        self._opened = opened
        self._settings = settings
        self._log = log
        self._keeps_market = keeps_market
        self._settings_file = settings_file
        self._refresh = refresh
        self._key_watch = key_watch
        self._store = open_archive(settings) if keeps_market or uri is not None else None
        self._shipping = self._shipping_to(uri)
        clock = opened.market.clock
        self.journal = journal if self._shipping is None else WakingJournal(journal, self._shipping.wake, clock)
        """What the run is to write to: orders and fills in it are delivered at once."""
        self._collector: Collector | None = None
        self._upkeep: Upkeep | None = None
        self._starting: set[asyncio.Task[None]] = set()

    def _shipping_to(self, uri: SecretStr | None) -> "Shipping | None":
        if uri is None or self._store is None:
            return None
        from modes.shipping import Shipping

        clock = self._opened.market.clock
        return Shipping.of(self._settings, uri, self._settings.data_dir, self._store, clock, self._log)

    async def attach(self, engine: Engine) -> MarketSink:
        """Fill the engine's windows with the day that is in the archive, and listen beside it."""
        sink: MarketSink = engine
        if self._keeps_market and self._store is not None:
            sink = await self._collect(engine, self._store)
        kept = self._collector.jobs if self._collector is not None else []
        jobs = [*kept, *self._jobs(sink), *self._watching(engine)]
        self._upkeep = Upkeep(jobs, self.journal, self._opened.market.clock, self._log, self._shipping)
        return sink

    async def _collect(self, engine: Engine, store: "ArchiveStore") -> MarketSink:
        from bot.recording.fanout import Fanout
        from modes.collector import Collector

        now_ns = self._opened.market.clock.now_ns()
        rows = await asyncio.to_thread(_refilled, store, engine, self._settings, now_ns)
        if rows["quotes"]:
            more = " and ".join(f"{count:,} {what}" for what, count in rows.items() if what != "quotes")
            self._log("info", f"archive: {rows['quotes']:,} quotes of the last day are back in memory, {more}")
        self._collector = Collector(self._opened, self._settings, store, self._log, engine=engine.slots)
        return Fanout(engine, self._collector.recorder)

    def _watching(self, engine: Engine) -> list[Job]:
        return [] if self._key_watch is None else listed(self._key_watch(engine.desk.gate.halt))

    def _jobs(self, sink: MarketSink) -> list[Job]:
        settings = self._settings
        return listed(
            backup_job(settings, self._settings_file),
            fees_job(settings, self._refresh),
            clock_offset_job(self._opened, settings, sink),
            daily_report_job(settings, self._opened.market.clock),
        )

    async def start(self) -> None:
        """Begin.

        Raises:
            StorageError: If MongoDB's database must not be written to.
        """
        if self._collector is not None:
            self._collector.recorder.start()
            self._collector.sample_views()
            for reader in self._collector.readers:
                task = asyncio.create_task(self._start_books(reader))
                self._starting.add(task)
                task.add_done_callback(self._starting.discard)
        if self._upkeep is not None:
            await self._upkeep.start(self._settings.data_dir)

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
        if self._upkeep is not None:
            await self._upkeep.stop_jobs()
        if self._collector is not None:
            await self._stop_collecting(self._collector)
        if self._upkeep is not None:
            await self._upkeep.stop()
        if self._store is not None:
            self._store.close()

    async def _stop_collecting(self, collector: "Collector") -> None:
        await asyncio.gather(*(reader.stop() for reader in collector.readers), return_exceptions=True)
        collector.recorder.stop()
        lost = await asyncio.to_thread(collector.recorder.close)
        if lost:
            self._log("error", f"archive: {lost:,} rows could not be saved")

    def status(self) -> UpkeepStatus:
        """Jobs and the way to MongoDB, for the screen; cheap."""
        return UpkeepStatus() if self._upkeep is None else self._upkeep.status()


def _refilled(store: "ArchiveStore", engine: Engine, settings: Settings, now_ns: int) -> dict[str, int]:
    """Put what the archive has of the last hours back into the engine's memory; how many rows, by what they are."""
    from bot.market.gate_again import gate_again
    from bot.recording.restart import fill_funding, fill_trades, fill_windows

    hold_ns = round(settings.window.hold_h * _HOUR_NS)
    slots = {slot.instrument.id: slot for slot in engine.slots}
    quotes = {name: slot.window for name, slot in slots.items()}
    trades = {name: slot.trades for name, slot in slots.items()}
    rates = {name: slot.funding_rates for name, slot in slots.items() if slot.instrument.is_perpetual}
    filled = {
        "quotes": fill_windows(store, quotes, now_ns, hold_ns, gate=gate_again(settings.quote_gate)),
        "trades": fill_trades(store, trades, now_ns, hold_ns),
        "funding rates": fill_funding(store, rates, now_ns, hold_ns),
    }
    return {what: sum(one.rows for one in came.values()) for what, came in filled.items()}


def memory_dir(settings: Settings) -> Path:
    """Where a market's memory lies: prices that nobody ever paid never stand among real ones."""
    return settings.data_dir if settings.market == LIVE else settings.data_dir / settings.market


def open_archive(settings: Settings, *, read_only: bool = False) -> "ArchiveStore":
    """The archive of the market in use.

    Raises:
        StorageError: If it is being written by another process, or cannot be used.
    """
    from bot.storage.archive.roots import archive_of
    from bot.storage.archive.store import ArchiveStore

    home = "" if settings.market == LIVE else settings.market
    return ArchiveStore.open(memory_dir(settings), archive_of(settings.archive.url, home), read_only=read_only)


def mongo_uri(settings: Settings, environment: Mapping[str, str]) -> SecretStr | None:
    """Which MongoDB is to be filled; None: there is none."""
    uri = environment.get("MONGODB_URI") or settings.mongodb.uri
    return None if uri is None else SecretStr(uri)
