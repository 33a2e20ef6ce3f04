"""What a backup consists of, and how that is written down.

    index.json               the backups that are whole, oldest first; replaced as the last step of a backup
    backups/ID.json.z        the files of one backup, and the objects that they are made of
    objects/ab/abcdef...     a segment of the archive under its SHA-256
    objects/ab/abcdef....z   a block of a database under the SHA-256 of its bytes, zlib inside
    pending.json             objects that a backup is about to write or to remove; there only while it does

An object is written once, however many backups hold it: a segment never changes, and of a database that is appended to
few blocks do.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from bot.errors import StorageError

VERSION = 1


class FileKind(StrEnum):
    """What a file is to the bot."""

    DATABASE = "database"
    """SQLite, as of one moment; cut into blocks."""
    SEGMENT = "segment"
    """Of the archive; one object."""
    SETTINGS = "settings"


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of a file that lie together as one object."""

    sha256: str
    """Of the plain bytes."""
    size: int
    """Of the plain bytes."""
    is_packed: bool
    stored: int = field(default=0, compare=False)
    """Bytes of the object; 0 while that is not known."""

    @property
    def path(self) -> str:
        """Of the object."""
        return f"objects/{self.sha256[:2]}/{self.sha256}{'.z' if self.is_packed else ''}"

    def packed(self, data: bytes) -> bytes:
        """What the object is to hold."""
        return zlib.compress(data, 6) if self.is_packed else data

    def unpacked(self, data: bytes) -> bytes | None:
        """The plain bytes; None where the object does not hold them."""
        try:
            plain = zlib.decompress(data) if self.is_packed else data
        except zlib.error:
            return None
        return plain if sha256(plain) == self.sha256 else None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a backup."""

    kind: FileKind
    home: str
    """Directory below the data directory, whose archive or database it is; empty for itself."""
    path: str
    """Below the home; of a segment below the archive's root."""
    size: int
    sha256: str
    parts: tuple[Part, ...]

    @property
    def name(self) -> str:
        """For people."""
        root = "archive/" if self.kind is FileKind.SEGMENT else ""
        return f"{self.home}/{root}{self.path}" if self.home else root + self.path


@dataclass(frozen=True, slots=True)
class BackupInfo:
    """One backup that is whole."""

    id: str
    """The UTC time at which it was begun: `20261121T040000Z`."""
    created_ns: int
    program: str
    """Version that wrote it."""
    files: int
    size_bytes: int
    """Of the files that it gives back."""
    manifest_sha256: str
    lost: tuple[str, ...]
    """Files of the archive that could not be read, then or before, and that it therefore does not have."""


def manifest_path(backup_id: str) -> str:
    """Of the list of a backup's files."""
    return f"backups/{backup_id}.json.z"


def encode_manifest(files: list[StoredFile]) -> bytes:
    """The list of a backup's files, packed."""
    rows = [
        [
            one.kind,
            one.home,
            one.path,
            one.size,
            one.sha256,
            [[p.sha256, p.size, p.is_packed, p.stored] for p in one.parts],
        ]
        for one in files
    ]
    return zlib.compress(json.dumps({"version": VERSION, "files": rows}, separators=(",", ":")).encode(), 6)


def decode_manifest(data: bytes, where: str) -> list[StoredFile]:
    """The list again.

    Raises:
        StorageError: If a newer program wrote it, or it is none.
    """
    try:
        body = json.loads(zlib.decompress(data))
        _check_version(body, where)
        return [_file(row) for row in body["files"]]
    except (zlib.error, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{where} is damaged: {error}") from error


def encode_index(backups: list[BackupInfo]) -> bytes:
    """The list of backups, under its own checksum."""
    return sealed({"version": VERSION, "backups": [asdict(one) for one in backups]})


def decode_index(data: bytes, where: str) -> list[BackupInfo]:
    """The list again.

    Raises:
        StorageError: If a newer program wrote it, or it is none.
    """
    body = opened(data, where)
    try:
        _check_version(body, where)
        return [BackupInfo(**{**row, "lost": tuple(row["lost"])}) for row in body["backups"]]
    except (KeyError, TypeError) as error:
        raise StorageError(f"{where} is damaged: {error}") from error


def sealed(body: Mapping[str, Any]) -> bytes:
    """JSON in a line, and its SHA-256 in the line before it."""
    text = json.dumps(body, separators=(",", ":")).encode()
    return f"{sha256(text)}\n".encode() + text + b"\n"


def opened(data: bytes, where: str) -> dict[str, Any]:
    """The JSON of a sealed text.

    Raises:
        StorageError: If it is not what was sealed.
    """
    seal, _, text = data.rstrip(b"\n").partition(b"\n")
    if sha256(text) != seal.decode("ascii", "replace"):
        raise StorageError(f"{where} is damaged (checksum)")
    body: dict[str, Any] = json.loads(text)
    return body


def sha256(data: bytes) -> str:
    """In hex."""
    return hashlib.sha256(data).hexdigest()


def _check_version(body: Mapping[str, Any], where: str) -> None:
    if body["version"] > VERSION:
        raise StorageError(
            f"{where} was written by a newer version (format {body['version']}, this program knows {VERSION}): "
            "update the program"
        )


def _file(row: list[Any]) -> StoredFile:
    kind, home, path, size, digest, parts = row
    for name in (home, path):
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ValueError(f"{name!r} leads out of the data directory")
    return StoredFile(FileKind(kind), home, path, size, digest, tuple(Part(*part) for part in parts))
