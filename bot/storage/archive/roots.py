"""Where the files lie: a local directory, or whatever fsspec has a name for. Paths are relative, with `/`."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from bot.errors import StorageError
from bot.storage.archive.errors import FileGone

_ATTEMPTS = 2


class Root(Protocol):
    """Holds whole files under names; a name is there with all its bytes, or not at all."""

    def put(self, path: str, data: memoryview) -> None:
        """Write a file; it is durable when this returns.

        Raises:
            StorageError: If it cannot be written; the name is not there then.
        """

    def get(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes of a file, fewer where it ends early.

        Raises:
            FileGone: If there is no such file.
            StorageError: If it cannot be read.
        """

    def remove(self, path: str) -> None:
        """Take a file away, and what a broken write of it left; one that is not there is fine.

        Raises:
            StorageError: If it cannot be removed.
        """


def archive_of(url: str | None, home: str) -> str | None:
    """Where the archive of a market's own directory lies, if `url` is where that of the data directory does."""
    if url is None or not home:
        return url
    place, mark, options = url.partition("?")
    return f"{place.rstrip('/')}/{home}{mark}{options}"


def open_root(root: str | None, default: Path) -> Root:
    """The root at a path or URL; None: `default`.

    S3 takes what pyarrow's file system takes (`s3://bucket/prefix?region=...&endpoint_override=...`), and its keys from
    the environment or the machine's role: a URL with a password is refused, since URLs are shown.

    Raises:
        StorageError: If the URL is not understood.
    """
    if root is None or "://" not in root:
        return LocalRoot(default if root is None else Path(root).expanduser())
    parts = urlsplit(root)
    if parts.password is not None or parts.username is not None:
        raise StorageError(f"the archive's URL ({parts.scheme}://...) holds credentials: put them in the environment")
    if parts.scheme in ("file", "local"):
        return LocalRoot(Path(parts.path))
    try:
        return _s3(root) if parts.scheme == "s3" else _fsspec(root)
    except Exception as error:  # what a URL's own library raises is its own business
        raise StorageError(f"the archive's root {shown(root)} cannot be opened: {error}") from error


def shown(root: str) -> str:
    """A URL without its query, which may hold more than a person should see."""
    return root.partition("?")[0]


class LocalRoot:
    """A directory, made (0700) as it is needed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, path: str, data: memoryview) -> None:
        """Write beside the name, fsync, rename, fsync the directory."""
        target = self._directory / path
        part = _part(target)
        try:
            self._write(part, data)
            os.replace(part, target)
            _fsync_directory(target.parent)
        except OSError as error:
            with suppress(OSError):  # the first error is the one to tell; what stays is removed with the name
                part.unlink(missing_ok=True)
            raise StorageError(f"{target} cannot be written: {error.strerror}") from error

    def get(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """Read; not through a memory map, in which a file cut short would end the process."""
        target = self._directory / path
        try:
            with target.open("rb") as file:
                file.seek(offset)
                return file.read(-1 if length is None else length)
        except FileNotFoundError as error:
            raise FileGone(f"archive file {target} is gone") from error
        except OSError as error:
            raise StorageError(f"archive file {target} cannot be read: {error.strerror}") from error

    def remove(self, path: str) -> None:
        """Remove it, and directories that are empty then."""
        target = self._directory / path
        try:
            target.unlink(missing_ok=True)
            _part(target).unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError as error:
            raise StorageError(f"{target} cannot be removed: {error.strerror}") from error
        with suppress(OSError):  # not empty
            target.parent.rmdir()

    def _write(self, part: Path, data: memoryview) -> None:
        for attempt in range(_ATTEMPTS):
            _make(part.parent)
            try:
                file = os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", buffering=0)
            except FileNotFoundError:
                # Removing the last file of a day took the directory away between the two lines.
                if attempt == _ATTEMPTS - 1:
                    raise
                continue
            with file:
                rest = data
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
            return


class UrlRoot:
    """A prefix of an fsspec file system. Whether a write is durable is the service's word; S3's is."""

    def __init__(self, system: Any, prefix: str) -> None:
        self._system = system
        self._prefix = prefix.rstrip("/")

    def put(self, path: str, data: memoryview) -> None:
        """Upload as one object, which appears when it is whole."""
        try:
            self._system.makedirs(self._full(path).rpartition("/")[0], exist_ok=True)
            self._system.pipe_file(self._full(path), bytes(data))
        except Exception as error:  # every file system has exceptions of its own
            raise StorageError(f"{self._full(path)} cannot be written: {_reason(error)}") from error

    def get(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """Download, or a range of it."""
        try:
            end = None if length is None else offset + length
            return bytes(self._system.cat_file(self._full(path), start=offset, end=end))
        except FileNotFoundError as error:
            raise FileGone(f"archive file {self._full(path)} is gone") from error
        except Exception as error:  # every file system has exceptions of its own
            raise StorageError(f"archive file {self._full(path)} cannot be read: {_reason(error)}") from error

    def remove(self, path: str) -> None:
        """Remove the object."""
        try:
            self._system.rm_file(self._full(path))
        except FileNotFoundError:
            return
        except Exception as error:  # every file system has exceptions of its own
            raise StorageError(f"{self._full(path)} cannot be removed: {_reason(error)}") from error

    def _full(self, path: str) -> str:
        return f"{self._prefix}/{path}"


def _s3(url: str) -> UrlRoot:
    # s3fs pins packages that our other dependencies do not bear; pyarrow speaks S3 by itself.
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow.fs import FileSystem

    system, prefix = FileSystem.from_uri(url)
    return UrlRoot(_FlatS3(ArrowFSWrapper(system), system), prefix)


class _FlatS3:
    """S3 has no directories: nothing makes them, and what looks for them would cost requests."""

    def __init__(self, wrapped: Any, system: Any) -> None:
        self.pipe_file = wrapped.pipe_file
        self._system = system

    def makedirs(self, path: str, exist_ok: bool) -> None:
        pass

    def cat_file(self, path: str, start: int, end: int | None) -> bytes:
        with self._system.open_input_file(path) as file:
            file.seek(min(start, file.size()))
            return bytes(file.read(None if end is None else end - start))

    def rm_file(self, path: str) -> None:
        self._system.delete_file(path)


def _fsspec(url: str) -> UrlRoot:
    from fsspec.core import url_to_fs

    system, prefix = url_to_fs(url)
    return UrlRoot(system, prefix)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _make(directory: Path) -> None:
    if directory.is_dir():
        return
    _make(directory.parent)
    directory.mkdir(mode=0o700, exist_ok=True)
    _fsync_directory(directory.parent)


def _fsync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
