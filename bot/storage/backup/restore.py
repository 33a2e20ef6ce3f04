"""`--mode restore`: a backup becomes a data directory again, all of it or nothing.

Everything is written beside the data directory and checked; then one rename puts it in its place. Where that cannot
be (the data directory is a mount), it is written inside, and moved up when it is whole, the journal last.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from bot.errors import SettingsError, StorageError
from bot.storage.archive.roots import Root, archive_of, open_root
from bot.storage.backup.backup import BackupProgress, Tell
from bot.storage.backup.contents import BackupInfo, FileKind, StoredFile
from bot.storage.backup.shelf import Shelf, open_shelf
from bot.storage.backup.snapshot import JOURNAL

STAGING = ".restoring"


def restore(
    url: str, data_dir: Path, *, backup_id: str | None = None, archive_url: str | None = None, tell: Tell | None = None
) -> BackupInfo:
    """Make a data directory of a backup; which one it was. Blocks until it is done.

    Args:
        url: Directory or URL of the backups.
        data_dir: Missing or empty.
        backup_id: Which; None: the newest.
        archive_url: Where the archive's files are to lie; None: in the data directory. Files at a URL are written
            there one by one, and stay if the restore fails.
        tell: Hears how it goes.

    Raises:
        SettingsError: If there is no such backup, the directory is not empty, or the URL holds credentials.
        StorageError: If an object is missing or damaged (it is named), or the disk does not take it; the data
            directory is as it was.
    """
    shelf = open_shelf(url)
    info = _chosen(shelf, backup_id)
    data_dir = data_dir.resolve()
    _refuse_full(data_dir)
    files = shelf.files(info)
    staging = _staging(data_dir)
    try:
        _write(shelf, info, files, staging, archive_url, tell)
        _put_in_place(staging, data_dir)
    except OSError as error:
        raise StorageError(f"{data_dir} cannot be restored: {error}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return info


def verify(url: str, backup_id: str | None = None, tell: Tell | None = None) -> BackupInfo:
    """Read every object of a backup and compare it with what it should be; which backup it was.

    Raises:
        SettingsError: If there is no such backup, or the URL holds credentials.
        StorageError: If an object is missing or damaged; it is named.
    """
    shelf = open_shelf(url)
    info = _chosen(shelf, backup_id)
    for file in _told(shelf.files(info), tell):
        whole = hashlib.sha256()
        for part in file.parts:
            whole.update(shelf.get(part, _whose(info, file)))
        _check(whole.hexdigest(), info, file)
    return info


def _chosen(shelf: Shelf, backup_id: str | None) -> BackupInfo:
    found = shelf.backups()
    if not found:
        raise SettingsError(f"{shelf.name} holds no backup")
    if backup_id is None:
        return found[-1]
    for info in found:
        if info.id == backup_id:
            return info
    raise SettingsError(f"{shelf.name} holds no backup {backup_id}: it has {', '.join(info.id for info in found)}")


def _refuse_full(data_dir: Path) -> None:
    try:
        names = [path.name for path in data_dir.iterdir() if path.name not in (STAGING, "lost+found")]
    except FileNotFoundError:
        return
    except OSError as error:
        raise SettingsError(f"{data_dir} is no directory to restore into: {error.strerror}") from error
    if names:
        raise SettingsError(f"{data_dir} is not empty ({names[0]}): restore into an empty or a new directory")


def _staging(data_dir: Path) -> Path:
    """An empty directory on the same disk; what a restore that was killed has left in it is gone."""
    beside = data_dir.with_name(f".{data_dir.name}{STAGING}")
    staging = data_dir / STAGING if os.path.ismount(data_dir) else beside
    try:
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(mode=0o700)
    except OSError as error:
        raise StorageError(f"{staging} cannot be made: {error.strerror}") from error
    return staging


def _write(
    shelf: Shelf,
    info: BackupInfo,
    files: Sequence[StoredFile],
    staging: Path,
    archive_url: str | None,
    tell: Tell | None,
) -> None:
    for file in _told(files, tell):
        whose = _whose(info, file)
        if file.kind is FileKind.SEGMENT:
            data = shelf.get(file.parts[0], whose)
            _archive_root(staging, file.home, archive_url).put(file.path, memoryview(data))
        else:
            parts = (shelf.get(part, whose) for part in file.parts)
            _check(_write_whole(staging / file.home / file.path, parts), info, file)


def _write_whole(target: Path, parts: Iterable[bytes]) -> str:
    """The SHA-256 of what was written, fsynced."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    whole = hashlib.sha256()
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for data in parts:
            whole.update(data)
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return whole.hexdigest()


def _archive_root(staging: Path, home: str, archive_url: str | None) -> Root:
    return open_root(archive_of(archive_url, home), staging / home / "archive")


def _put_in_place(staging: Path, data_dir: Path) -> None:
    for directory, _, _ in os.walk(staging):
        _fsync(Path(directory))
    if staging.parent == data_dir:
        for path in sorted(staging.iterdir(), key=lambda one: (one.name == JOURNAL, one.name)):
            path.rename(data_dir / path.name)
        _fsync(data_dir)
        return
    with suppress(FileNotFoundError):
        shutil.rmtree(data_dir / STAGING, ignore_errors=True)
        data_dir.rmdir()
    staging.rename(data_dir)
    _fsync(data_dir.parent)


def _told(files: Sequence[StoredFile], tell: Tell | None) -> Iterator[StoredFile]:
    """The files, and after each one word of it."""
    done, bytes_done, total = 0, 0, sum(len(file.parts) for file in files)
    for file in files:
        yield file
        done += len(file.parts)
        bytes_done += file.size
        if tell is not None:
            tell(BackupProgress(done, total, bytes_done))


def _whose(info: BackupInfo, file: StoredFile) -> str:
    return f"backup {info.id}, {file.name}"


def _check(digest: str, info: BackupInfo, file: StoredFile) -> None:
    if digest != file.sha256:
        raise StorageError(f"{_whose(info, file)}: its parts do not make the file (checksum)")


def _fsync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
