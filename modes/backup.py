"""`--mode backup`: the data directory at another place; also which backups are there, and whether one is right."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from bot.clock import SystemClock
from bot.command_line import Arguments
from bot.errors import ExitCode, SettingsError
from bot.headless import Headless
from bot.settings import Settings
from bot.storage.archive.roots import shown
from bot.storage.backup.backup import BackupProgress, backup, backups
from bot.storage.backup.contents import BackupInfo
from bot.storage.backup.restore import verify
from bot.storage.instants import utc_text
from bot.text import inert
from modes.progress import Progress


def run_backup(arguments: Arguments, settings: Settings) -> int:
    """Back up, list or verify; returns the exit code.

    Raises:
        SettingsError: If no place is named, or it holds no such backup.
        StorageError: If something is damaged or missing, or cannot be read or written.
    """
    _refuse_contradictions(arguments)
    url = backup_place(arguments.to, settings, "--to")
    if arguments.list_backups:
        return _list(url, as_json=arguments.json)
    headless = Headless(as_json=arguments.json)
    tell = told_bytes(Progress(headless, SystemClock()))
    try:
        if arguments.verify:
            return _verify(url, arguments, tell("verified"))
        return _back_up(url, arguments, settings, tell("backed up"))
    finally:
        headless.close()


def backup_place(given: str | None, settings: Settings, option: str) -> str:
    """Where backups are: what the option says, or the settings.

    Raises:
        SettingsError: If neither does.
    """
    url = given or settings.backup.url
    if url is None:
        raise SettingsError(f"where are the backups? Add {option} DIRECTORY-OR-URL, or set backup.url")
    return url


def told_bytes(progress: Progress) -> Callable[[str], Callable[[BackupProgress], None]]:
    """By what is done to the objects: what hears how it goes."""

    def doing(verb: str) -> Callable[[BackupProgress], None]:
        return lambda at: progress.tell(
            f"{verb} {at.objects_done:,} of {at.objects:,} objects, {at.bytes_done / 1e6:,.1f} MB"
        )

    return doing


def facts(info: BackupInfo) -> dict[str, Any]:
    """A backup for programs."""
    return asdict(info) | {"created": utc_text(info.created_ns)}


def _refuse_contradictions(arguments: Arguments) -> None:
    if arguments.list_backups and arguments.verify:
        raise SettingsError("--list shows all backups and --verify reads one; leave one of them out")
    if arguments.backup_id is not None and not arguments.verify:
        raise SettingsError("--backup-id chooses the backup to --verify; a new one names itself")


def _list(url: str, *, as_json: bool) -> int:
    found = backups(url)
    if as_json:
        print(json.dumps({"place": shown(url), "backups": [facts(one) for one in found]}))
        return ExitCode.OK
    for one in found:
        lost = f", {len(one.lost)} files LOST" if one.lost else ""
        print(f"{one.id}  {utc_text(one.created_ns)}  {one.files:,} files, {one.size_bytes / 1e6:,.1f} MB{lost}")
    if not found:
        print(f"{inert(shown(url))} holds no backup")
    return ExitCode.OK


def _verify(url: str, arguments: Arguments, tell: Callable[[BackupProgress], None]) -> int:
    info = verify(url, arguments.backup_id, tell)
    if arguments.json:
        print(json.dumps({"place": shown(url), "verified": facts(info)}))
    else:
        print(f"backup {info.id} is right: {info.files:,} files, {info.size_bytes / 1e6:,.1f} MB, every byte was read")
    return _told_lost(info, arguments)


def _back_up(url: str, arguments: Arguments, settings: Settings, tell: Callable[[BackupProgress], None]) -> int:
    now_ns = SystemClock().now_ns()
    report = backup(
        settings.data_dir, url, now_ns, archive_url=settings.archive.url, keep=settings.backup.keep, tell=tell
    )
    info = report.backup
    sent = {"uploaded": report.uploaded, "uploaded_bytes": report.uploaded_bytes, "removed": report.removed}
    if arguments.json:
        print(json.dumps({"place": shown(url), "backup": facts(info), **sent}))
    else:
        print(
            f"backup {info.id} of {inert(str(settings.data_dir))} in {inert(shown(url))}: {info.files:,} files, "
            f"{info.size_bytes / 1e6:,.1f} MB; {report.uploaded:,} objects sent ({report.uploaded_bytes / 1e6:,.1f} MB)"
            + (f", {report.removed:,} of backups that were given up removed" if report.removed else "")
        )
    return _told_lost(info, arguments)


def _told_lost(info: BackupInfo, arguments: Arguments) -> int:
    """The exit code; each file that the backup does not have, since it could not be read, is named."""
    headless = Headless(as_json=arguments.json)
    for name in info.lost:
        headless.log("error", f"{name} is lost: it could not be read, and is in no backup that stays")
    return ExitCode.STORAGE if info.lost else ExitCode.OK
