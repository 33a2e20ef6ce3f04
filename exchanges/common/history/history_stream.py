"""The bytes of a history file, unpacked as they are read."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from bot.errors import RecordingError


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """What is in a `.zip` with one member or in a `.gz`, or the file itself; what the block reads is checked.

    Raises:
        RecordingError: If the file cannot be read, or is not what was packed.
    """
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive, archive.open(_only_member(archive, path)) as stream:
                yield stream
        elif path.suffix == ".gz":
            with gzip.open(path, "rb") as packed:
                yield cast(IO[bytes], packed)
        else:
            with path.open("rb") as stream:
                yield stream
    except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise RecordingError(f"{path} is damaged: {error}; download it again") from error
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror or error}") from error


def _only_member(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) != 1:
        raise RecordingError(f"{path} holds {len(members)} files, and history files hold one")
    return members[0]
