"""A server that sends every text back: what a round trip costs where nothing is done with it."""

import asyncio
from multiprocessing.connection import Connection

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server


class _Echo(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT:
            transport.send(WSMsgType.TEXT, frame.get_payload_as_bytes())


def serve(commands: Connection) -> None:
    """Tell the port, and serve until the process is ended."""
    uvloop.run(_serve(commands))


async def _serve(commands: Connection) -> None:
    def accept(request: WSUpgradeRequest) -> _Echo:
        return _Echo()

    server = await ws_create_server(accept, "127.0.0.1", 0)
    commands.send(server.sockets[0].getsockname()[1])
    await asyncio.get_running_loop().create_future()
