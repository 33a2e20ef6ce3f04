"""`--mode restore`: an empty data directory becomes what it was when it was backed up."""

import json

from bot.clock import SystemClock
from bot.command_line import Arguments
from bot.errors import ExitCode
from bot.headless import Headless
from bot.settings import Settings
from bot.storage.archive.roots import shown
from bot.storage.backup.restore import restore
from bot.storage.instants import utc_text
from bot.text import inert
from modes.backup import backup_place, facts, told_bytes
from modes.progress import Progress


def run_restore(arguments: Arguments, settings: Settings) -> int:
    """Restore; returns the exit code, which says whether files of the archive are lost.

    Raises:
        SettingsError: If no place is named, it holds no such backup, or the data directory is not empty.
        StorageError: If something is damaged or missing: it is named, and the data directory is as it was.
    """
    url = backup_place(arguments.place, settings, "--from")
    headless = Headless(as_json=arguments.json)
    tell = told_bytes(Progress(headless, SystemClock()))("restored")
    try:
        info = restore(
            url, settings.data_dir, backup_id=arguments.backup_id, archive_url=settings.archive.url, tell=tell
        )
    finally:
        headless.close()
    if arguments.json:
        print(json.dumps({"place": shown(url), "data_dir": str(settings.data_dir), "restored": facts(info)}))
    else:
        print(
            f"{inert(str(settings.data_dir))} is what it was at {utc_text(info.created_ns)} (backup {info.id}): "
            f"{info.files:,} files, {info.size_bytes / 1e6:,.1f} MB"
        )
    for name in info.lost:
        headless.log("error", f"{name} is not in the backup: it could not be read when the backup was made")
    return ExitCode.STORAGE if info.lost else ExitCode.OK
