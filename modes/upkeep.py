"""What goes on beside trading or recording, and is seen: the jobs of the timetable, and the way to MongoDB."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bot.clock import Clock
from bot.domain.snapshot import UpkeepStatus
from bot.errors import SettingsError, StorageError
from bot.jobs import Job, Timetable, trigger_of
from bot.ports import Journal
from bot.settings import Settings
from bot.storage.last_jobs import last_jobs
from bot.storage.queries import JournalReader

if TYPE_CHECKING:
    from modes.shipping import Shipping

Log = Callable[[str, str], None]
Refresh = Callable[[], Awaitable[None]]
"""Asks the venues for fees and funding again."""


class Upkeep:
    """A timetable, and a shipper where there is a MongoDB."""

    def __init__(
        self, jobs: Sequence[Job], journal: Journal, clock: Clock, log: Log, shipping: "Shipping | None"
    ) -> None:
        """Nothing happens before `start`.

        Raises:
            SettingsError: If a schedule cannot be read.
        """
        self._timetable = Timetable(jobs, journal, clock, log)
        self._shipping = shipping
        self._log = log

    async def start(self, data_dir: Path | None = None) -> None:
        """Begin; jobs show when they ran last by what the journal of `data_dir` says.

        Raises:
            StorageError: If MongoDB's database must not be written to.
        """
        if data_dir is not None:
            await self._recall(data_dir)
        if self._shipping is not None:
            await self._shipping.start()
        self._timetable.start()

    async def _recall(self, data_dir: Path) -> None:
        def read() -> None:
            with JournalReader.open(data_dir) as reader:
                self._timetable.recall(last_jobs(reader))

        try:
            await asyncio.to_thread(read)
        except StorageError as error:
            self._log("warning", f"when jobs ran last is not known: {error}")

    async def stop_jobs(self) -> None:
        """Wait for jobs that run; those that may be are ended."""
        await self._timetable.stop()

    async def stop(self) -> None:
        """The jobs too, and deliver what can be delivered within seconds."""
        await self.stop_jobs()
        if self._shipping is not None:
            await self._shipping.stop()

    def status(self) -> UpkeepStatus:
        """How it stands now; cheap."""
        return UpkeepStatus(
            jobs=tuple(state.row() for state in self._timetable.status()),
            shipper=None if self._shipping is None else self._shipping.row(),
        )


def check_schedules(settings: Settings) -> None:
    """Look at every schedule before anything is started, also of jobs that this run does not have.

    Raises:
        SettingsError: If one cannot be read, or a backup has a schedule and no place to go to.
    """
    for name, schedule in settings.jobs.model_dump().items():
        if schedule is not None:
            try:
                trigger_of(schedule)
            except SettingsError as error:
                raise SettingsError(f"jobs.{name}: {error}") from None
    if settings.jobs.backup is not None and settings.backup.url is None:
        raise SettingsError("jobs.backup is set and backup.url is not: say where backups go, or unset jobs.backup")


def fees_job(settings: Settings, refresh: Refresh | None) -> Job | None:
    """The job `fees`; None where it has no schedule, or nothing to refresh."""
    if settings.jobs.fees is None or refresh is None:
        return None

    async def run() -> str:
        await refresh()
        return "fees and funding asked for again"

    return Job("fees", settings.jobs.fees, run, is_cut_short=True)


def listed(*jobs: Job | None) -> list[Job]:
    """Those that there are."""
    return [job for job in jobs if job is not None]
