"""`--mode backup`: what is not there yet goes up, is read back, and then the index says that there is one more backup.

Until the index is replaced, the backups before are what there is: a backup that is killed leaves them as they were,
and the next one uses what it had brought.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bot.errors import StorageError
from bot.single_writer import SingleWriter
from bot.storage.archive.ports import SegmentInfo
from bot.storage.archive.roots import Root, archive_of, open_root
from bot.storage.archive.store import ArchiveStore
from bot.storage.backup import contents
from bot.storage.backup.contents import (
    BackupInfo,
    FileKind,
    Part,
    StoredFile,
    manifest_path,
    sha256,
)
from bot.storage.backup.shelf import Shelf, open_shelf
from bot.storage.backup.snapshot import ARCHIVE, Database, copy_of, databases, scratch_in
from bot.version import VERSION

BLOCK_BYTES = 1 << 20
"""Of a database."""
SETTINGS_NAME = "settings.yaml"
_LOCK = "backup.lock"
_IN_USE = "a backup of {data_dir} is running (process {holder})"
_ROUNDS = 5
"""An archive that is tidied while it is copied is listed anew this often."""


@dataclass(frozen=True, slots=True)
class BackupProgress:
    """How a backup or a restore goes."""

    objects_done: int
    objects: int
    bytes_done: int
    """Plain bytes, of the objects that were done."""


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup did."""

    backup: BackupInfo
    uploaded: int
    """Objects that were not there yet."""
    uploaded_bytes: int
    removed: int
    """Objects of backups that were given up."""


Tell = Callable[[BackupProgress], None]


def backup(
    data_dir: Path,
    url: str,
    now_ns: int,
    *,
    archive_url: str | None = None,
    keep: int | None = None,
    settings_file: Path | None = None,
    tell: Tell | None = None,
) -> BackupReport:
    """Back up a data directory, also one that is in use; blocks until it is done.

    Args:
        data_dir: Its databases, and those of its directories; the files of its archives.
        url: Directory or URL of the backups; of this data directory alone.
        now_ns: UTC, names the backup.
        archive_url: Where the archive's files lie, as `ArchiveStore.open` was told; None: in the data directory. The
            archive of a market's own directory lies in a directory of that name there.
        keep: Newest backups that stay, this one included; None: all.
        settings_file: Backed up too, as `settings.yaml`; None: no settings are.
        tell: Hears how it goes.

    Returns:
        What was done. Files of the archive that cannot be read stand in `backup.lost`; all others are in the backup.

    Raises:
        SettingsError: If the URL holds credentials.
        StorageError: If there is nothing to back up, a database is damaged, another backup of the directory runs, or
            something cannot be written and read back. The backups before are what they were.
    """
    if not databases(data_dir):
        raise StorageError(f"{data_dir} has no journal and no archive to back up")
    shelf = open_shelf(url)
    with SingleWriter(data_dir, _LOCK, _IN_USE), scratch_in(data_dir) as scratch:
        return _Backup(shelf, data_dir, scratch, archive_url, tell).run(now_ns, keep, settings_file)


def backups(url: str) -> list[BackupInfo]:
    """The backups at a place that are whole, oldest first.

    Raises:
        SettingsError: If the URL holds credentials.
        StorageError: If the place cannot be read.
    """
    return open_shelf(url).backups()


Load = Callable[[], bytes | None]
"""The plain bytes of a part; None where the original is gone or damaged."""


class _Backup:
    def __init__(self, shelf: Shelf, data_dir: Path, scratch: Path, archive_url: str | None, tell: Tell | None) -> None:
        self._shelf = shelf
        self._data_dir = data_dir
        self._scratch = scratch
        self._archive_url = archive_url
        self._tell = tell
        self._before = shelf.backups()
        self._files_before = {one.id: shelf.files(one) for one in self._before}
        self._known = {
            part.path: part.stored for files in self._files_before.values() for file in files for part in file.parts
        }
        self._left = shelf.pending()
        self._there: dict[str, int] = {}
        """Objects that this backup has written or found right, and their sizes."""
        self._roots: dict[str, Root] = {}
        self._uploaded = 0
        self._uploaded_bytes = 0

    def run(self, now_ns: int, keep: int | None, settings_file: Path | None) -> BackupReport:
        created = self._id(now_ns)
        kept = self._before[-(keep - 1) :] if keep is not None and keep > 1 else [] if keep == 1 else self._before
        dropped = [one for one in self._before if one not in kept]
        self._left |= self._given_up(dropped, created)
        files, lost = self._files(settings_file)
        files = [self._with_sizes(file) for file in files]
        data = contents.encode_manifest(files)
        info = BackupInfo(
            id=created,
            created_ns=now_ns,
            program=VERSION,
            files=len(files),
            size_bytes=sum(file.size for file in files),
            manifest_sha256=sha256(data),
            lost=tuple(lost),
        )
        self._shelf.put_checked(manifest_path(created), data)
        self._shelf.commit([*kept, info])
        removed = self._sweep([files, *(self._files_before[one.id] for one in kept)], [*kept, info])
        return BackupReport(info, self._uploaded, self._uploaded_bytes, removed)

    def _id(self, now_ns: int) -> str:
        name = f"{datetime.fromtimestamp(now_ns // 1_000_000_000, UTC):%Y%m%dT%H%M%SZ}"
        same = sum(one.id.startswith(name) for one in self._before)
        return f"{name}-{same + 1}" if same else name

    def _files(self, settings_file: Path | None) -> tuple[list[StoredFile], list[str]]:
        """All files, uploaded, and the names of those that are lost."""
        copied = databases(self._data_dir)
        for database in copied:
            copy_of(self._data_dir, database, self._scratch)
        archives = [database for database in copied if database.name == ARCHIVE]
        for _ in range(_ROUNDS):
            files = self._listed(copied, archives, settings_file)
            gone = self._upload([pair for file in files for pair in self._loads(file, settings_file)])
            if not gone:
                return files, []
            # Merged or removed while it was copied, or lost? The archives as they are now know.
            for archive in archives:
                copy_of(self._data_dir, archive, self._scratch)
            if gone <= {file.parts[0].path for archive in archives for file in self._segments(archive)}:
                lost = [file for file in files if file.parts[0].path in gone]
                return [file for file in files if file not in lost], [file.name for file in lost]
        raise StorageError("the archive was tidied again and again while it was copied: try again")

    def _listed(
        self, copied: Sequence[Database], archives: Sequence[Database], settings_file: Path | None
    ) -> list[StoredFile]:
        files = [self._database(database) for database in copied]
        if settings_file is not None:
            files.append(_of_settings(settings_file))
        return files + [file for archive in archives for file in self._segments(archive)]

    def _given_up(self, dropped: Sequence[BackupInfo], created: str) -> set[str]:
        """Paths that nobody may need when this is over."""
        parts = {part.path for one in dropped for file in self._files_before[one.id] for part in file.parts}
        return parts | {manifest_path(one.id) for one in dropped} | {manifest_path(created)}

    def _database(self, database: Database) -> StoredFile:
        copy = self._scratch / database.path
        whole, parts = hashlib.sha256(), []
        with copy.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                whole.update(block)
                parts.append(Part(sha256(block), len(block), is_packed=True))
        return StoredFile(
            FileKind.DATABASE, database.home, database.name, copy.stat().st_size, whole.hexdigest(), tuple(parts)
        )

    def _segments(self, archive: Database) -> list[StoredFile]:
        with ArchiveStore.open(self._scratch / archive.home, read_only=True) as store:
            return [_of_segment(archive.home, one) for one in store.segments()]

    def _loads(self, file: StoredFile, settings_file: Path | None) -> Iterator[tuple[Part, Load]]:
        if file.kind is FileKind.SEGMENT:
            yield file.parts[0], _segment(self._root(file.home), file)
            return
        path = self._scratch / file.home / file.path
        if file.kind is FileKind.SETTINGS and settings_file is not None:
            path = settings_file
        offset = 0
        for part in file.parts:
            yield part, _block(path, offset, part.size)
            offset += part.size

    def _root(self, home: str) -> Root:
        if home not in self._roots:
            url = archive_of(self._archive_url, home)
            self._roots[home] = open_root(url, self._data_dir / home / "archive")
        return self._roots[home]

    # Objects

    def _upload(self, wanted: Sequence[tuple[Part, Load]]) -> set[str]:
        """Have these objects there; the paths of those whose originals are gone or damaged."""
        missing = {part.path: (part, load) for part, load in wanted if not self._is_there(part)}
        self._left |= missing.keys()
        self._shelf.set_pending(self._left)
        gone, bytes_done = set(), 0
        for number, (path, (part, load)) in enumerate(missing.items()):
            data = load()
            if data is None:
                gone.add(path)
                continue
            self._there[path] = self._shelf.put(part, data)
            self._uploaded_bytes += self._there[path]
            self._uploaded += 1
            bytes_done += part.size
            if self._tell is not None:
                self._tell(BackupProgress(number + 1, len(missing), bytes_done))
        return gone

    def _is_there(self, part: Part) -> bool:
        """Whether an object needs no upload. One of an earlier backup was read back then; that it still is there is
        looked at, since a backup that names what is not there would be worth nothing."""
        path = part.path
        if path not in self._there:
            known = self._known.get(path)
            size = None
            if known is not None and self._shelf.has_size(path, known):
                size = known
            elif known is not None or path in self._left:
                size = self._shelf.size_if_right(part)
            if size is not None:
                self._there[path] = size
        return path in self._there

    def _with_sizes(self, file: StoredFile) -> StoredFile:
        return replace(file, parts=tuple(replace(part, stored=self._there[part.path]) for part in file.parts))

    def _sweep(self, files: Sequence[Sequence[StoredFile]], kept: Sequence[BackupInfo]) -> int:
        """Remove what no backup needs; how many objects."""
        needed = {part.path for one in files for file in one for part in file.parts}
        needed |= {manifest_path(one.id) for one in kept}
        unneeded = self._left - needed
        for path in unneeded:
            self._shelf.remove(path)
        self._shelf.set_pending(set())
        return len(unneeded)


def _of_settings(path: Path) -> StoredFile:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path} cannot be backed up: {error.strerror}") from error
    part = Part(sha256(data), len(data), is_packed=True)
    return StoredFile(FileKind.SETTINGS, "", SETTINGS_NAME, len(data), part.sha256, (part,))


def _of_segment(home: str, segment: SegmentInfo) -> StoredFile:
    part = Part(segment.sha256, segment.size_bytes, is_packed=False)
    return StoredFile(FileKind.SEGMENT, home, segment.path, segment.size_bytes, segment.sha256, (part,))


def _block(path: Path, offset: int, size: int) -> Load:
    def load() -> bytes:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    return load


def _segment(root: Root, file: StoredFile) -> Load:
    def load() -> bytes | None:
        try:
            data = root.get(file.path)
        except StorageError:
            return None  # told as lost, unless the archive was tidied meanwhile
        return data if sha256(data) == file.sha256 else None

    return load
