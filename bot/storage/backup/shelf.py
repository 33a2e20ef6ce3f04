"""Where backups lie: named objects under a directory or URL. What was put is read back before it counts."""

from pathlib import Path
from urllib.parse import urlsplit

from bot.errors import SettingsError, StorageError
from bot.storage.archive.errors import FileGone
from bot.storage.archive.roots import Root, open_root, shown
from bot.storage.backup import contents
from bot.storage.backup.contents import BackupInfo, Part, StoredFile, manifest_path

INDEX = "index.json"
PENDING = "pending.json"


class Shelf:
    """Backups at one place. Every method raises `StorageError` where the place fails."""

    def __init__(self, root: Root, name: str) -> None:
        """`name` stands in messages."""
        self._root = root
        self.name = name

    def backups(self) -> list[BackupInfo]:
        """Those that are whole, oldest first."""
        try:
            data = self._root.get(INDEX)
        except FileGone:
            return []
        return contents.decode_index(data, f"{self.name}/{INDEX}")

    def files(self, backup: BackupInfo) -> list[StoredFile]:
        """What a backup holds."""
        path = manifest_path(backup.id)
        data = self._get(path, f"backup {backup.id}")
        if contents.sha256(data) != backup.manifest_sha256:
            raise StorageError(f"backup {backup.id}: {self.name}/{path} is damaged (checksum)")
        return contents.decode_manifest(data, f"{self.name}/{path}")

    def get(self, part: Part, whose: str) -> bytes:
        """The plain bytes of an object; `whose` begins the message where it is missing or damaged."""
        data = part.unpacked(self._get(part.path, whose))
        if data is None:
            raise StorageError(f"{whose}: {self.name}/{part.path} is damaged (checksum)")
        return data

    def size_if_right(self, part: Part) -> int | None:
        """Bytes of an object that is there and right, to the last byte; else None."""
        try:
            data = self._root.get(part.path)
        except FileGone:
            return None
        return len(data) if part.unpacked(data) is not None else None

    def has_size(self, path: str, size: int) -> bool:
        """Whether an object is there and as long as it was."""
        try:
            return size > 0 and len(self._root.get(path, size - 1, 2)) == 1
        except FileGone:
            return False

    def put(self, part: Part, data: bytes) -> int:
        """Keep the plain bytes as an object, and read it back; bytes that were sent."""
        packed = part.packed(data)
        self.put_checked(part.path, packed)
        return len(packed)

    def put_checked(self, path: str, data: bytes) -> None:
        """Write an object, and read it back."""
        self._root.put(path, memoryview(data))
        if self._get(path, "the backup") != data:
            raise StorageError(f"{self.name}/{path} does not read as it was written")

    def commit(self, backups: list[BackupInfo]) -> None:
        """From now on these are the backups."""
        self.put_checked(INDEX, contents.encode_index(backups))

    def pending(self) -> set[str]:
        """Paths that a backup was about to write or to remove, and has not said that it is done."""
        try:
            data = self._root.get(PENDING)
        except FileGone:
            return set()
        try:
            return set(contents.opened(data, PENDING)["paths"])
        except StorageError:
            return set()  # it helps to tidy up; without it nothing is lost but room

    def set_pending(self, paths: set[str]) -> None:
        """Note them; an empty set takes the note away."""
        if paths:
            self._root.put(PENDING, memoryview(contents.sealed({"paths": sorted(paths)})))
        else:
            self._root.remove(PENDING)

    def remove(self, path: str) -> None:
        """Take an object away."""
        self._root.remove(path)

    def _get(self, path: str, whose: str) -> bytes:
        try:
            return self._root.get(path)
        except FileGone as error:
            raise StorageError(f"{whose}: {self.name}/{path} is missing") from error


def open_shelf(url: str) -> Shelf:
    """The backups under a directory or URL (`s3://bucket/prefix?endpoint_override=...`, whatever fsspec knows).

    Raises:
        SettingsError: If the URL holds credentials: they belong in the environment.
        StorageError: If the URL is not understood.
    """
    parts = urlsplit(url)
    if "://" in url and (parts.username is not None or parts.password is not None):
        raise SettingsError(
            f"the URL of the backups ({parts.scheme}://...) holds credentials: put them in the environment"
        )
    root = open_root(url, Path(url))
    return Shelf(root, shown(url).rstrip("/"))
