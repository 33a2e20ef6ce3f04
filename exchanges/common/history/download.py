"""Files from the web: in pieces, resumed where a connection broke, checked before anybody reads them."""

import hashlib
import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from bot.errors import RecordingError, SettingsError, StorageError, VenueUnavailable
from exchanges.common.history.files import TellBytes

_CHUNK = 1 << 20
_MAX_CHECKSUM_BYTES = 4_096
_CHECKSUM = re.compile(r"([0-9a-fA-F]{64})(?:\s.*)?", re.DOTALL)


class Downloader:
    """Fetches from one venue. It blocks: use it in a thread of its own, or where nothing else is to be done."""

    def __init__(
        self,
        venue: str,
        *,
        timeout_s: float = 30.0,
        attempts: int = 5,
        wait_s: float = 2.0,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Nothing is connected before the first question.

        Args:
            venue: For messages.
            timeout_s: Without a byte, after which a connection counts as broken.
            attempts: That follow one another without a byte of progress.
            wait_s: Before the second attempt, twice as long before each further one.
            pause: Waits that many seconds.
        """
        self._venue = venue
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._wait_s = wait_s
        self._pause = pause

    def text(self, url: str) -> str:
        """A small text.

        Raises:
            FileNotFoundError: If it is not published.
            VenueUnavailable: If it cannot be had.
        """
        body = self._persistently(url, lambda: (self._small(url), False))
        return body.decode("utf-8", "replace")

    def file(self, url: str, target: Path, tell: TellBytes) -> None:
        """Download into `target`; what an earlier try left beside it, as `.part`, is gone on with.

        Raises:
            FileNotFoundError: If it is not published.
            StorageError: If the disk does not take it.
            VenueUnavailable: If it cannot be had.
        """
        part = target.with_name(target.name + ".part")
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)

        def attempt() -> tuple[bytes, bool]:
            before = _size(part)
            try:
                self._continue(url, part, tell)
            except (_Broken, ConnectionError) as error:
                if _size(part) > before:
                    raise _Progressed(str(error)) from error
                raise
            return b"", True

        self._persistently(url, attempt)
        part.replace(target)

    def _continue(self, url: str, part: Path, tell: TellBytes) -> None:
        have = _size(part)
        try:
            answer = self._opened(url, have)
        except urllib.error.HTTPError as error:
            if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
            answer = self._opened(url, 0)  # the part is as long as the file, or of another one
        with answer:
            if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
                have = 0
            length = answer.headers.get("Content-Length")
            total = have + int(length) if length is not None and length.isascii() and length.isdigit() else None
            with _written(part), part.open("ab" if have else "wb") as file:
                while piece := _received(answer):
                    have += file.write(piece)
                    tell(have, total)
        if total is not None and have != total:
            raise ConnectionError(f"{have} of {total} bytes came")

    def _small(self, url: str) -> bytes:
        with self._opened(url, 0) as answer:
            return bytes(answer.read(_MAX_CHECKSUM_BYTES))

    def _opened(self, url: str, offset: int) -> Any:
        part = {"Range": f"bytes={offset}-"} if offset else {}
        request = urllib.request.Request(url, headers=part)  # noqa: S310 - `_persistently` has looked at the scheme
        # No proxy: where data come from is what the settings say, nothing else.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        return opener.open(request, timeout=self._timeout_s)

    def _persistently(self, url: str, attempt: Callable[[], tuple[bytes, bool]]) -> bytes:
        if urlsplit(url).scheme not in ("http", "https"):
            raise SettingsError(f"{url} is no http or https address")
        failed, wait_s = 0, self._wait_s
        while True:
            try:
                return attempt()[0]
            except urllib.error.HTTPError as error:
                error.close()
                if error.code in (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.FORBIDDEN):
                    # S3 says "forbidden" of what is not there, where listing is.
                    raise FileNotFoundError(f"{url} is not published (HTTP {error.code})") from None
                reason = f"HTTP {error.code}"
            except _Progressed as error:
                failed, wait_s, reason = 0, self._wait_s, str(error)
            except (_Broken, OSError, http.client.HTTPException) as error:
                reason = str(getattr(error, "reason", "")) or str(error) or type(error).__name__
            failed += 1
            if failed >= self._attempts:
                raise VenueUnavailable(self._venue, f"{url} cannot be downloaded: {reason}") from None
            self._pause(wait_s)
            wait_s *= 2


class _Progressed(Exception):
    """The connection broke, and it had brought something."""


class _Broken(Exception):
    """The connection broke; told apart from a disk that does."""


def _received(answer: Any) -> bytes:
    try:
        return bytes(answer.read(_CHUNK))
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(str(error) or type(error).__name__) from error


@contextmanager
def _written(part: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{part} cannot be written: {error.strerror or error}") from error


@dataclass(frozen=True)
class Published:
    """A file under the first of these addresses that is there. An `Origin`."""

    downloader: Downloader
    urls: Sequence[str]
    has_checksum: bool
    """Whether the address with `.CHECKSUM` behind it tells the SHA-256."""
    keep: bool = False
    """Whether it stays when it has been used."""

    def told_sha256(self) -> str | None:
        """What the venue says it should be."""
        return self._told(self.urls[0]) if self.has_checksum else None

    def fetched(self, scratch: Path, tell: TellBytes) -> Path:
        """The file in `scratch`, under the path of its address; one that is there already is only checked."""
        refusals = []
        for url in self.urls:
            try:
                return self._fetched(url, scratch / urlsplit(url).path.lstrip("/"), tell)
            except FileNotFoundError as error:
                refusals.append(str(error))
        raise FileNotFoundError("; ".join(refusals))

    def _fetched(self, url: str, target: Path, tell: TellBytes) -> Path:
        told = self._told(url) if self.has_checksum else None
        if target.is_file():
            if told is None or sha256_of(target) == told:
                return target
            target.unlink()
        self.downloader.file(url, target, tell)
        if told is not None and sha256_of(target) != told:
            target.unlink()
            raise RecordingError(
                f"{url} is not what its checksum says: it was changed on the way, or is being replaced"
            )
        return target

    def _told(self, url: str) -> str:
        return checksum_in(self.downloader.text(url + ".CHECKSUM"), url + ".CHECKSUM")

    def discard(self, path: Path) -> None:
        """Remove the download, unless it is to be kept."""
        if not self.keep:
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Local:
    """A file that somebody has downloaded; it is never removed. An `Origin`."""

    path: Path

    def told_sha256(self) -> str | None:
        """What a `.CHECKSUM` file beside it says; without one, what the file is."""
        beside = self.path.with_name(self.path.name + ".CHECKSUM")
        if beside.is_file():
            return checksum_in(beside.read_text(errors="replace"), str(beside))
        return self._sha256()

    def fetched(self, scratch: Path, tell: TellBytes) -> Path:
        """The same file."""
        if self._sha256() != self.told_sha256():
            raise RecordingError(f"{self.path} is not what its checksum says: download it again")
        return self.path

    def discard(self, path: Path) -> None:
        """It is not ours."""

    def _sha256(self) -> str:
        try:
            return sha256_of(self.path)
        except FileNotFoundError:
            raise FileNotFoundError(f"{self.path} is not there") from None
        except OSError as error:
            raise RecordingError(f"{self.path} cannot be read: {error.strerror}") from error


def checksum_in(text: str, where: str) -> str:
    """The SHA-256 that a `.CHECKSUM` file tells: `<64 hex digits>  <file name>`.

    Raises:
        RecordingError: If it tells none.
    """
    found = _CHECKSUM.fullmatch(text.strip())
    if found is None:
        raise RecordingError(f"{where} holds no SHA-256")
    return found[1].lower()


def sha256_of(path: Path) -> str:
    """Of a file of any size, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def address(base: str, path: str) -> str:
    """A path under a base, as a URL writes it."""
    return f"{base.rstrip('/')}/{quote(path)}"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
