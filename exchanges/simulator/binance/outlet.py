"""The sending side of a WebSocket: frames made once for everybody, written together, never piled up without bound."""

import asyncio

from exchanges.simulator.faults.frame_codec import PING, PONG, TEXT, closing, encoded
from exchanges.simulator.faults.frame_tamper import Tamper

DEFAULT_BUFFER_BYTES = 4 << 20


def text_frame(text: str) -> bytes:
    """A whole WebSocket text frame as a server sends it."""
    return encoded(TEXT, text.encode())


class Outlet:
    """Writes whole frames to one client; a client that reads too slowly is cut off.

    Frames pushed in one turn of the event loop leave in one write: that is what makes 20,000 a second cheap.
    """

    def __init__(self, transport: asyncio.Transport, buffer_bytes: int = DEFAULT_BUFFER_BYTES) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._buffer_bytes = buffer_bytes
        self._pending: list[bytes] = []
        self._forced_bytes = 0
        self.is_closed = False
        self.tamper: Tamper | None = None
        """What a fault makes of every frame; None while none can strike here."""

    def push(self, frame: bytes) -> None:
        """Send a frame soon; nothing happens once the connection is closed."""
        if self.is_closed:
            return
        if self.tamper is not None:
            frame = self.tamper(frame)
            if not frame:
                return
        if not self._pending:
            self._loop.call_soon(self.flush)
        self._pending.append(frame)

    def say(self, text: str) -> None:
        """Send a text to this client alone."""
        self.push(text_frame(text))

    def ping(self, payload: bytes) -> None:
        """Send a ping frame."""
        self.push(encoded(PING, payload))

    def pong(self, payload: bytes) -> None:
        """Answer a ping."""
        self.push(encoded(PONG, payload))

    def force(self, frame: bytes) -> None:
        """Send a frame as it is, however large: until it has been read the bound is so much higher."""
        self.flush()
        if not self.is_closed:
            self._forced_bytes += len(frame)
            self._transport.write(frame)

    def flush(self) -> None:
        """Write what is pending; cut the client off where its backlog is over the bound."""
        if not self._pending:
            return
        frames, self._pending = self._pending, []
        if self.is_closed or self._transport.is_closing():
            self.is_closed = True
            return
        self._transport.write(b"".join(frames))
        backlog = self._transport.get_write_buffer_size()
        if backlog > self._buffer_bytes + self._forced_bytes:
            self.cut()
        elif backlog <= self._buffer_bytes:
            self._forced_bytes = 0

    def close(self, code: int, reason: str) -> None:
        """Say goodbye and close; a client with a backlog is cut off, since it may never read its way to the goodbye."""
        self.push(closing(code, reason))
        self.flush()
        if self.is_closed:
            return
        if self._transport.get_write_buffer_size():
            self.cut()
            return
        self.is_closed = True
        self._transport.close()

    def cut(self) -> None:
        """Drop the connection without a word (a client sees 1006)."""
        self.is_closed = True
        self._transport.abort()
