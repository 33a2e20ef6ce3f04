"""What goes out on one connection while faults of frames may strike there."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from exchanges.simulator.faults.catalogue import FaultKind
from exchanges.simulator.faults.desk import FaultDesk
from exchanges.simulator.faults.frame_codec import CLOSE, TEXT, decoded, encoded
from exchanges.simulator.faults.frame_dialect import Dialect, Label, Message
from exchanges.simulator.faults.frame_rewrites import Crossing, spoil
from exchanges.simulator.faults.values import Fault

_NOTHING = b""
_SPOILED = {FaultKind.NOT_A_NUMBER: "NaN", FaultKind.EMPTY_FIELD: ""}
KINDS = (
    FaultKind.SILENCE,
    FaultKind.NO_DATA,
    FaultKind.GAP,
    FaultKind.DUPLICATE,
    FaultKind.REORDER,
    FaultKind.CROSSED,
    FaultKind.TRUNCATED,
    *_SPOILED,
)

Tamper = Callable[[bytes], bytes]
"""Takes a whole frame that is about to go out; the frames that go out in its place, one behind the other."""


class Pipe(Protocol):
    """The sending side of a connection."""

    tamper: Tamper | None

    def force(self, frame: bytes) -> None:
        """Send a frame as it is, however much is waiting already."""

    def close(self, code: int, reason: str) -> None:
        """Send a close frame and close."""

    def cut(self) -> None:
        """Drop the connection without a word."""


class FrameTamper:
    """Puts itself on its pipe while it has something to do there. Frames are shared, so it never changes one."""

    def __init__(self, desk: FaultDesk, dialect: Dialect, pipe: Pipe, label: Label) -> None:
        self.label = label
        self._desk = desk
        self._dialect = dialect
        self._pipe = pipe
        self._seen: Counter[Fault] = Counter()
        self._crossing = Crossing()
        self._held: tuple[str, bytes] | None = None

    def settle(self) -> None:
        """Stay on the pipe, or leave it."""
        busy = self._held is not None or not self._crossing.is_clean
        if busy or self._desk.is_active(KINDS, self._dialect.venue, self.label.segment):
            self._pipe.tamper = self
        else:
            self._pipe.tamper = None
            self._seen.clear()

    def __call__(self, frame: bytes) -> bytes:
        """The frames that go out in its place; none where it is swallowed or held back."""
        out = self._tampered(frame)
        self.settle()  # a strike may have been the last, and what is held back still has to come
        return out

    def _tampered(self, frame: bytes) -> bytes:
        opcode, payload = decoded(frame)
        if opcode == CLOSE:
            return frame
        text = payload.decode(errors="replace")  # a pong repeats whatever bytes the client has sent
        if self._strike(FaultKind.SILENCE, text):
            return _NOTHING
        if opcode != TEXT or not self._dialect.is_data(text):
            return frame
        if self._strike(FaultKind.NO_DATA, text) or self._strike_in_turn(FaultKind.GAP, text):
            return _NOTHING
        out = self._rewritten(text, frame)
        return self._reordered(text, out * 2 if self._strike_in_turn(FaultKind.DUPLICATE, text) else out)

    def _strike(self, kind: FaultKind, text: str) -> Fault | None:
        return self._desk.strike(kind, self._dialect.venue, self.label.segment, text)

    def _peek(self, kind: FaultKind, text: str) -> Fault | None:
        return self._desk.peek(kind, self._dialect.venue, self.label.segment, text)

    def _is_turn(self, kind: FaultKind, text: str) -> bool:
        """Whether it is one of the every so many that the fault strikes."""
        fault = self._peek(kind, text)
        if fault is None:
            return False
        self._seen[fault] += 1
        return self._seen[fault] % max(1, round(fault.size)) == 0

    def _strike_in_turn(self, kind: FaultKind, text: str) -> Fault | None:
        return self._strike(kind, text) if self._is_turn(kind, text) else None

    def _rewritten(self, text: str, frame: bytes) -> bytes:
        spoils = [said for kind, said in _SPOILED.items() if self._peek(kind, text)]
        out = text
        if spoils or not self._crossing.is_clean or self._peek(FaultKind.CROSSED, text):
            message = json.loads(text)
            if self._cross(message, text) + self._spoil(message, text):
                out = json.dumps(message, separators=(",", ":"))
        if self._strike(FaultKind.TRUNCATED, text):
            out = out[: len(out) // 2]
        return frame if out is text else encoded(TEXT, out.encode())

    def _cross(self, message: Message, text: str) -> bool:
        book = self._dialect.book(message) if isinstance(message, dict) else None
        if book is None:
            return False
        if self._peek(FaultKind.CROSSED, text) is None:
            return self._crossing.heal(book)
        if not self._crossing.cross(book):
            return False
        self._strike(FaultKind.CROSSED, text)
        return True

    def _spoil(self, message: Message, text: str) -> int:
        changed = 0
        for kind, said in _SPOILED.items():
            if self._peek(kind, text) and spoil(message, self._dialect.is_figure, said):
                changed += 1
                self._strike(kind, text)
        return changed

    def _reordered(self, text: str, out: bytes) -> bytes:
        is_turn = self._is_turn(FaultKind.REORDER, text)
        if self._held is None and not is_turn:
            return out
        stream = self._stream(text)
        if self._held is None:
            self._strike(FaultKind.REORDER, text)
            self._held = stream, out
            return _NOTHING
        late_stream, late = self._held
        if stream != late_stream:
            return out
        self._held = None
        return out + late

    def _stream(self, text: str) -> str:
        message = json.loads(text)
        return self._dialect.stream(message, self.label) if isinstance(message, dict) else ""
