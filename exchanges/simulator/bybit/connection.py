"""The outgoing half of one WebSocket: what is sent is written at once, and a reader that is too slow is cut off."""

import asyncio
from collections.abc import Iterable

from exchanges.simulator.bybit.wire import dumps, frame


class Connection:
    """Writes whole frames to a transport."""

    __slots__ = ("_max_unsent", "_transport", "conn_id", "is_open")

    def __init__(self, transport: asyncio.Transport, conn_id: str, max_unsent: int) -> None:
        self._transport = transport
        self._max_unsent = max_unsent
        self.conn_id = conn_id
        self.is_open = True

    def send(self, data: bytes) -> None:
        """Write a frame that `wire.frame` made; nothing happens once the connection is lost or given up."""
        if not self.is_open:
            return
        transport = self._transport
        if transport.is_closing():
            self.is_open = False
        elif transport.get_write_buffer_size() + len(data) > self._max_unsent:
            self.cut()
        else:
            transport.write(data)

    def say(self, message: dict[str, object]) -> None:
        """Write one JSON message."""
        self.send(frame(dumps(message)))

    def cut(self) -> None:
        """Drop the connection and what it has not read."""
        self.is_open = False
        self._transport.abort()


def broadcast(connections: Iterable[Connection], text: str) -> None:
    """Encode once, write to each."""
    data = frame(text)
    for connection in connections:
        connection.send(data)
