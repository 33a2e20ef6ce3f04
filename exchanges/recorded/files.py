"""Lines `<receive ns> <payload>` of one recording, streamed in batches.

What is wrong with a file never stops the reading of the rest: a malformed line is delivered as such, and a file
that ends early delivers everything before its end and then says that it is incomplete.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from bot.errors import RecordingError
from exchanges.recorded.pieces import PieceReader

_LINE_START = re.compile(rb"^[0-9]{1,19} ", re.MULTILINE)
_HEAD_BYTES = 1 << 16
_MAX_LINE_BYTES = 16 << 20
_MAX_NS = 2**63 - 1


@dataclass(slots=True)
class Batch:
    """Consecutive lines, as columns of equal length."""

    stamps: list[int]
    """Receive time, UTC ns. Never goes back: an earlier stamp is raised to the one before it."""
    payloads: list[bytes]
    """As the exchange sent it; for a malformed line the whole line."""
    faults: dict[int, str] = field(default_factory=dict)
    """By index in this batch: `file:line reason` of a malformed line."""
    file: str = ""
    """Name of the file."""
    first_line: int = 1
    """Number of its line at index 0."""


class RecordedFile:
    """One recording. Reading it anew starts from the beginning.

    `complete` is True until a reading found that the file ends early; `reason` then is one line that names it.

    Raises:
        RecordingError: If it is missing, unreadable, empty, or holds nothing like a recording's line at its start.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.complete = True
        self.reason: str | None = None
        self.size_bytes = 0
        self.bytes_read = 0
        self._lines = 0
        self._last_ns = 0
        self._check_start()

    def batches(self) -> Iterator[Batch]:
        """Every line in file order."""
        self.complete, self.reason, self._lines, self._last_ns = True, None, 0, 0
        pieces = PieceReader(self.path)
        rest = b""
        for piece in pieces:
            lines = (rest + piece).split(b"\n") if rest else piece.split(b"\n")
            rest = lines.pop()
            self.bytes_read = pieces.bytes_read
            if lines:
                yield self._batch(lines)
            if len(rest) > _MAX_LINE_BYTES:
                self._incomplete(f"line {self._lines + 1} is longer than {_MAX_LINE_BYTES >> 20} MiB")
                return
        if pieces.fault is not None:
            self._incomplete(f"{pieces.fault}, after line {self._lines}")
        if rest:
            yield from self._unterminated(rest)

    def _check_start(self) -> None:
        self.size_bytes = self.path.stat().st_size if self.path.is_file() else 0
        pieces = PieceReader(self.path)
        head = next((piece for piece in pieces if piece), b"")[:_HEAD_BYTES]
        if _LINE_START.search(head) is None:
            raise RecordingError(
                f"{self.path} is not a recording: no line '<receive ns> <payload>' at its start "
                f"({pieces.fault or 'gzip and plain text are read'})"
            )

    def _incomplete(self, why: str) -> None:
        self.complete = False
        self.reason = f"{self.path}: {why}"

    def _unterminated(self, line: bytes) -> Iterator[Batch]:
        """A last line without its newline counts if it is whole: only then does its payload parse."""
        stamp, space, payload = line.partition(b" ")
        if _stamp_fault(stamp, space) is None and is_json(payload):
            yield self._batch([line])
        elif self.complete:
            self._incomplete(f"truncated: line {self._lines + 1} is cut off")

    def _batch(self, lines: list[bytes]) -> Batch:
        heads, spaces, payloads = zip(*[line.partition(b" ") for line in lines], strict=True)
        # One look at all stamps together; int() alone would let signs, blanks and underscores through.
        if all(heads) and all(spaces) and b"".join(heads).isdigit() and max(map(len, heads)) <= 19:
            stamps = list(map(int, heads))
            if max(stamps) <= _MAX_NS:
                return self._counted(Batch(self._never_back(stamps), list(payloads)))
        return self._counted(self._batch_with_faults(lines))

    def _counted(self, batch: Batch) -> Batch:
        batch.file, batch.first_line = self.path.name, self._lines + 1
        self._lines += len(batch.stamps)
        return batch

    def _batch_with_faults(self, lines: list[bytes]) -> Batch:
        stamps: list[int] = []
        payloads: list[bytes] = []
        faults: dict[int, str] = {}
        for index, line in enumerate(lines):
            stamp, space, payload = line.partition(b" ")
            fault = _stamp_fault(stamp, space)
            if fault is None:
                stamps.append(int(stamp))
                payloads.append(payload)
            else:
                # Its time is that of the line before; 0 is raised to it.
                stamps.append(0)
                payloads.append(line)
                faults[index] = f"{self.path.name}:{self._lines + index + 1} {fault}"
        return Batch(self._never_back(stamps), payloads, faults)

    def _never_back(self, stamps: list[int]) -> list[int]:
        if stamps[0] < self._last_ns or stamps != sorted(stamps):
            stamps = list(accumulate(stamps, max, initial=self._last_ns))[1:]
        self._last_ns = stamps[-1]
        return stamps


def each_once(paths: Sequence[Path]) -> list[Path]:
    """Without each `.gz` whose plain file is named too: a recorder that is killed while it packs leaves both, whole."""
    named = {path.resolve() for path in paths}
    return [path for path in paths if path.suffix != ".gz" or path.resolve().with_suffix("") not in named]


def _stamp_fault(stamp: bytes, space: bytes) -> str | None:
    if not space:
        return "has no space between receive time and payload"
    if not stamp.isdigit():
        return "does not start with a receive time in ns"
    if len(stamp) > 19 or int(stamp) > _MAX_NS:
        return "has a receive time beyond the year 2262"
    return None


def is_json(payload: bytes) -> bool:
    """Whether a payload is whole: a cut one does not parse."""
    try:
        json.loads(payload)
    except (ValueError, RecursionError):
        return False
    return True
