"""The other end of the loopback benchmark: a process that sends frames on command and tells when it sent them."""

import asyncio
from contextlib import suppress
from multiprocessing.connection import Connection
from time import perf_counter_ns

import uvloop
from picows import WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server


class _Client(WSListener):
    """One connection; it gets a frame at once, so that a supervised client knows that the route is served."""

    def __init__(self, frames: list[bytes]) -> None:
        self._frames = frames
        self._at = 0
        self._transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self.send()

    def send(self) -> int:
        """Send the next frame; the time just before, ns."""
        assert self._transport is not None
        frame = self._frames[self._at]
        self._at += 1
        now_ns = perf_counter_ns()
        self._transport.send(WSMsgType.TEXT, frame)
        return now_ns


def serve(commands: Connection, frames: list[bytes], a_second: int) -> None:
    """Serve `frames` to each client, one at a time, until the pipe breaks: tells the port, then takes numbers to send.

    Answers each command with the times of sending, ns of the monotonic clock, which processes of a machine share.
    """
    with suppress(EOFError, KeyboardInterrupt):
        uvloop.run(_serve(commands, frames, a_second))


async def _serve(commands: Connection, frames: list[bytes], a_second: int) -> None:
    clients: list[_Client] = []

    def accept(request: WSUpgradeRequest) -> _Client:
        clients.append(_Client(frames))
        return clients[-1]

    server = await ws_create_server(accept, "127.0.0.1", 0)
    commands.send(server.sockets[0].getsockname()[1])
    while True:
        number = await asyncio.to_thread(commands.recv)
        commands.send(await _burst(clients[-1], number, a_second))


async def _burst(client: _Client, number: int, a_second: int) -> list[int]:
    sent_ns = []
    step_ns = 1_000_000_000 // a_second
    due_ns = perf_counter_ns()
    for _ in range(number):
        sent_ns.append(client.send())
        due_ns += step_ns
        await asyncio.sleep(max(0.0, (due_ns - perf_counter_ns()) / 1e9))
    return sent_ns
