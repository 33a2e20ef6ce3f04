"""The job `backup`: the data directory to `backup.url`, in a process of its own."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.clock import SystemClock
from bot.errors import SettingsError, StorageError
from bot.jobs import Job
from bot.settings import Settings
from modes.nice_process import in_nice_process, serve

if TYPE_CHECKING:
    from bot.storage.backup.backup import BackupProgress

_MODULE = "modes.backup_job"


def backup_job(settings: Settings, settings_file: Path | None) -> Job | None:
    """The job; None where it has no schedule.

    Raises:
        SettingsError: If it has one, and no place to go to.
    """
    if settings.jobs.backup is None:
        return None
    if settings.backup.url is None:
        raise SettingsError("jobs.backup is set and backup.url is not: say where backups go, or unset jobs.backup")
    file = None if settings_file is None or not settings_file.exists() else str(settings_file.absolute())
    wanted = {
        "data_dir": str(settings.data_dir.absolute()),
        "url": _absolute(settings.backup.url),
        "archive_url": None if settings.archive.url is None else _absolute(settings.archive.url),
        "keep": settings.backup.keep,
        "settings_file": file,
    }

    async def run() -> str:
        return await in_nice_process(_MODULE, wanted)

    return Job("backup", settings.jobs.backup, run, is_cut_short=True)


def _absolute(place: str) -> str:
    """The same place from another directory; URLs are so already."""
    return place if "://" in place else str(Path(place).expanduser().absolute())


def back_up(wanted: Mapping[str, Any]) -> str:
    """Do it, in the process of its own; says what was done.

    Raises:
        SettingsError, StorageError: As `bot.storage.backup.backup.backup`; also if the archive has lost files.
    """
    from bot.storage.backup.backup import backup  # loads what only this process needs

    parent = wanted["parent"]

    def tell(progress: "BackupProgress") -> None:
        if os.getppid() != parent:
            raise StorageError("whoever wanted the backup was killed")

    file = wanted["settings_file"]
    done = backup(
        Path(wanted["data_dir"]),
        wanted["url"],
        SystemClock().now_ns(),
        archive_url=wanted["archive_url"],
        keep=wanted["keep"],
        settings_file=None if file is None else Path(file),
        tell=tell,
    )
    told = (
        f"{done.backup.id}: {done.backup.files} files, {done.uploaded_bytes:,} bytes new, {done.removed} objects gone"
    )
    if done.backup.lost:
        lost = done.backup.lost
        raise StorageError(f"{told}; {len(lost)} files of the archive cannot be read, the first: {lost[0]}")
    return told


if __name__ == "__main__":
    sys.exit(serve(back_up))
