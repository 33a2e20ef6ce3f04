"""What a crash left of a write-ahead log: whole, torn in its last transaction, or damaged before that.

SQLite takes a log as far as its checksums hold, and says nothing of the rest. A transaction that a power cut or a kill
interrupted was never acknowledged, and nothing is lost with it; but a damaged frame hides every transaction after it,
acknowledged ones too. Format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
"""

import struct
from pathlib import Path

from bot.errors import StorageError

_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
_MAGIC = 0x377F0682
_WORD = 0xFFFFFFFF


def examine(wal: Path) -> str | None:
    """What is dropped at the end of the log, in words; None where it is whole, empty or absent.

    Call it before SQLite opens the database: afterwards the log may be gone.

    Raises:
        StorageError: If a frame is damaged that another transaction follows, or the log cannot be read.
    """
    try:
        log = wal.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{wal} cannot be read: {error.strerror}") from error
    if len(log) < _HEADER.size:
        return None
    magic, _, page_bytes, _, *salts, first, second = _HEADER.unpack_from(log)
    if magic & ~1 != _MAGIC or _checksum(log[:24], (0, 0), magic) != (first, second):
        return None  # SQLite takes nothing of it: nothing was in it when it was made
    size = _FRAME.size + page_bytes
    sums, accepted, seen, commits = (first, second), True, 0, 0
    for at in range(_HEADER.size, len(log), size):
        frame = log[at : at + size]
        if len(frame) >= 16 and list(_FRAME.unpack(frame[:16].ljust(_FRAME.size, b"\0")))[2:4] != salts:
            accepted = False
            continue  # left from before the log was begun anew
        whole = len(frame) == size
        sums = _checksum(frame[:8] + frame[_FRAME.size :], sums, magic) if whole and accepted else sums
        accepted = accepted and whole and sums == _FRAME.unpack_from(frame)[4:6]
        is_commit = whole and _FRAME.unpack_from(frame)[1] != 0
        if accepted and is_commit:
            seen = 0
        else:
            seen += 1
            commits += is_commit
    if commits > 1:
        raise StorageError(
            f"{wal} is damaged: {commits} transactions cannot be read; keep it and {wal.name.removesuffix('-wal')}, "
            "and use another --data-dir"
        )
    return f"the last transaction of {wal} was torn, and is dropped: it was never acknowledged" if seen else None


def _checksum(data: bytes, sums: tuple[int, int], magic: int) -> tuple[int, int]:
    first, second = sums
    words = struct.unpack(f"{'>' if magic & 1 else '<'}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _WORD
        second = (second + odd + first) & _WORD
    return first, second
