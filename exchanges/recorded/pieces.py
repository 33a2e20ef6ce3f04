"""The text of a recording, piece by piece: gzip or plain, told by the first bytes and not by the name."""

import stat
import zlib
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from bot.errors import RecordingError

_GZIP_MAGIC = b"\x1f\x8b"
_READ_BYTES = 1 << 16
_PIECE_BYTES = 1 << 19
_GZIP_WBITS = 31


class PieceReader:
    """Reads one file from its beginning, once; a piece is at most half a MiB, whatever the compression ratio.

    `fault` is None until the file turns out to end early; then it says why in a few words, and everything before
    the fault has been delivered. `bytes_read` counts bytes of the file itself, for showing progress.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fault: str | None = None
        self.bytes_read = 0

    def __iter__(self) -> Iterator[bytes]:
        """The pieces in order.

        Raises:
            RecordingError: If the file cannot be opened.
        """
        with open_recording(self.path) as file:
            head = self._read(file, _READ_BYTES)
            if head.startswith(_GZIP_MAGIC):
                yield from self._inflated(file, head)
            else:
                while head:
                    yield head
                    head = self._read(file, _PIECE_BYTES)

    def _read(self, file: FileIO, size: int) -> bytes:
        try:
            data = file.read(size) or b""
        except OSError as error:
            self.fault = f"reading stopped: {error.strerror}"
            return b""
        self.bytes_read += len(data)
        return data

    def _inflated(self, file: FileIO, head: bytes) -> Iterator[bytes]:
        """Text of one gzip member after the other (`cat a.gz b.gz` is a gzip file as well)."""
        member = zlib.decompressobj(_GZIP_WBITS)
        data = head
        while data and self.fault is None:
            yield from self._member_pieces(member, data)
            if member.eof:
                # Zero padding after the last member is allowed, as by gzip itself.
                data = member.unused_data.lstrip(b"\0") or self._read(file, _READ_BYTES).lstrip(b"\0")
                if not data:
                    return
                member = zlib.decompressobj(_GZIP_WBITS)
            else:
                data = self._read(file, _READ_BYTES)
        if self.fault is None:
            yield member.flush()
            self.fault = "truncated: the gzip stream has no end"

    def _member_pieces(self, member: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
        while data and not member.eof:
            before = member.copy()
            try:
                piece = member.decompress(data, _PIECE_BYTES)
            except zlib.error:
                self.fault = "damaged: the gzip stream does not decompress"
                yield _all_before_damage(before, data)
                return
            yield piece
            data = member.unconsumed_tail


def _all_before_damage(member: "zlib._Decompress", data: bytes) -> bytes:
    """What a failing call had decompressed and thrown away, by going over the same bytes one at a time."""
    text = bytearray()
    try:
        for at in range(len(data)):
            text += member.decompress(data[at : at + 1])
    except zlib.error:
        pass
    return bytes(text)


def open_recording(path: Path) -> FileIO:
    """The file, open for reading, unbuffered.

    Raises:
        RecordingError: If there is none, it is not a regular file, it is empty or may not be read.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise RecordingError(f"{path} is a directory; name the recording's files, one --recording FEED=FILE each")
        if not stat.S_ISREG(status.st_mode):
            raise RecordingError(f"{path} is not a regular file; a recording is read twice and cannot be a pipe")
        if status.st_size == 0:
            raise RecordingError(f"{path} is empty; record it again or leave it out")
        return FileIO(path)
    except FileNotFoundError:
        raise RecordingError(f"{path} does not exist; check the path given to --recording") from None
    except PermissionError:
        raise RecordingError(f"{path} may not be read; check its permissions") from None
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path} cannot be opened: {error}") from None
