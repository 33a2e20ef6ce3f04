"""One file of a raw recording on disk: whole lines only, whatever happens to it."""

import gzip
import json
import os
import threading
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from io import FileIO
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

_COPY_BYTES = 1 << 20
_GZIP_LEVEL = 4
"""Frames shrink to an eighth at 4 as at 6, in half the time."""


class RawFile:
    """`<feed>-<UTC yyyymmddThhmmss>.raw`, new and open for appending; a name that is taken gets `-2`, `-3`, ...

    Raises:
        OSError: If it cannot be made.
    """

    def __init__(self, directory: Path, feed: str, first_ns: int) -> None:
        self.first_ns = first_ns
        self._file, self.path = _create(directory, f"{feed}-{_stamp(first_ns)}")
        self._size = 0
        sync_directory(directory)

    def append(self, lines: bytes) -> None:
        """Write whole lines; if the disk takes only some of them, the one that was cut is taken back.

        Raises:
            OSError: If not all of it could be written.
        """
        try:
            _write_all(self._file, lines)
        except OSError:
            written = os.fstat(self._file.fileno()).st_size - self._size
            self._size += lines.rfind(b"\n", 0, written) + 1
            os.ftruncate(self._file.fileno(), self._size)
            raise
        self._size += len(lines)

    def sync(self) -> None:
        """Return when what was written survives a power cut."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Sync and let go of it."""
        try:
            self.sync()
        finally:
            self._file.close()


def compress(path: Path, abandon: threading.Event) -> None:
    """Replace a finished `.raw` by its `.raw.gz`, atomically; `abandon` leaves it as it was.

    Raises:
        OSError: If the disk refuses; the `.raw` is still there.
    """

    def write(file: BinaryIO) -> bool:
        with path.open("rb") as source, gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as packed:
            while chunk := source.read(_COPY_BYTES):
                if abandon.is_set():
                    return False
                packed.write(chunk)
        return True

    if _replace_file(_packed(path), write):
        path.unlink()


def is_packed(path: Path, abandon: threading.Event) -> bool:
    """Whether the `.raw.gz` beside a `.raw` is whole and has the same bytes; False as well where it was abandoned.

    Raises:
        OSError: If either cannot be read.
    """
    try:
        with path.open("rb") as plain, gzip.open(_packed(path)) as packed:
            while not abandon.is_set():
                chunk = plain.read(_COPY_BYTES)
                if packed.read(_COPY_BYTES) != chunk:
                    return False
                if not chunk:
                    return True
    except (EOFError, zlib.error, gzip.BadGzipFile):
        pass
    return False


def left_by_a_kill(directory: Path) -> list[Path]:
    """Each `.raw` whose `.raw.gz` is there too; what was never finished is removed, and a `.raw` that was never begun.

    Nobody else may be recording or packing there.

    Raises:
        OSError: If the directory cannot be read or changed.
    """
    for path in directory.glob("*.raw.gz.tmp"):
        path.unlink()
    for path in directory.glob("*.raw"):
        if not path.stat().st_size:
            path.unlink()
    return sorted(path for path in directory.glob("*.raw") if _packed(path).exists())


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Put a JSON document in place, atomically.

    Raises:
        OSError: If the disk refuses; what stood there still does.
    """
    write_text(path, json.dumps(document, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Put a UTF-8 text in place, atomically.

    Raises:
        OSError: If the disk refuses; what stood there still does.
    """

    def write(file: BinaryIO) -> bool:
        file.write(text.encode())
        return True

    _replace_file(path, write)


def _replace_file(path: Path, write: Callable[[BinaryIO], bool]) -> bool:
    """Write a file beside `path`, fsync it and rename it to `path`; False, and no trace, if `write` says False.

    Raises:
        OSError: If the disk refuses; what stood at `path` still does.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        # Buffered: an unbuffered file may take less than it was given, and gzip does not look.
        with temporary.open("wb") as file:
            done = write(file)
            file.flush()
            os.fsync(file.fileno())
        if done:
            temporary.replace(path)
            sync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return done


def sync_directory(directory: Path) -> None:
    """Return when the names in it survive a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _packed(path: Path) -> Path:
    return path.with_name(path.name + ".gz")


def _write_all(file: FileIO, data: bytes) -> None:
    """An unbuffered file may take a part only; the next call then says why."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) or 0 :]


def _create(directory: Path, stem: str) -> tuple[FileIO, Path]:
    for number in count(1):
        path = directory / (f"{stem}.raw" if number == 1 else f"{stem}-{number}.raw")
        if _packed(path).exists():
            continue
        try:
            return FileIO(path, "xb"), path
        except FileExistsError:
            continue
    raise AssertionError("there is always a next number")


def _stamp(ns: int) -> str:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y%m%dT%H%M%S")
