"""The outgoing half of one WebSocket: what is sent is written at once, and a reader that is too slow is cut off."""

import asyncio
from collections.abc import Iterable

from exchanges.simulator.bybit.wire import dumps, frame
from exchanges.simulator.faults.frame_codec import PONG, closing, encoded
from exchanges.simulator.faults.frame_tamper import Tamper


class Connection:
    """Writes whole frames to a transport."""

    __slots__ = ("_forced_bytes", "_max_unsent", "_transport", "conn_id", "is_open", "tamper")

    def __init__(self, transport: asyncio.Transport, conn_id: str, max_unsent: int) -> None:
        self._transport = transport
        self._max_unsent = max_unsent
        self._forced_bytes = 0
        self.conn_id = conn_id
        self.is_open = True
        self.tamper: Tamper | None = None
        """What a fault makes of every frame; None while none can strike here."""

    def send(self, data: bytes) -> None:
        """Write a frame that `wire.frame` made; nothing happens once the connection is lost or given up."""
        if not self.is_open:
            return
        if self.tamper is not None:
            data = self.tamper(data)
        transport = self._transport
        unsent = transport.get_write_buffer_size() + len(data)
        if transport.is_closing():
            self.is_open = False
        elif unsent > self._max_unsent + self._forced_bytes:
            self.cut()
        elif data:
            transport.write(data)
        if unsent <= self._max_unsent:
            self._forced_bytes = 0

    def force(self, data: bytes) -> None:
        """Write a frame as it is, however large: until it has been read the bound is so much higher."""
        if self.is_open and not self._transport.is_closing():
            self._forced_bytes += len(data)
            self._transport.write(data)

    def pong(self, payload: bytes) -> None:
        """Answer a ping frame."""
        self.send(encoded(PONG, payload))

    def say(self, message: dict[str, object]) -> None:
        """Write one JSON message."""
        self.send(frame(dumps(message)))

    def close(self, code: int, reason: str) -> None:
        """Say goodbye and close, once what was written before has been read."""
        self.send(closing(code, reason))
        self.is_open = False
        self._transport.close()

    def cut(self) -> None:
        """Drop the connection and what it has not read."""
        self.is_open = False
        self._transport.abort()


def broadcast(connections: Iterable[Connection], text: str) -> None:
    """Encode once, write to each."""
    data = frame(text)
    for connection in connections:
        connection.send(data)
