"""WebSockets of every kind: opened, read with bounds, cut when idle, slow or in breach of the protocol."""

import asyncio
import re
from collections.abc import Callable
from typing import Any, Protocol

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from exchanges.simulator.bybit.connection import Connection
from exchanges.simulator.bybit.errors import ApiError
from exchanges.simulator.bybit.ids import Sequence as Ids
from exchanges.simulator.bybit.options import BybitOptions
from exchanges.simulator.bybit.rest import json_object
from exchanges.simulator.faults.frame_dialect import Label
from exchanges.simulator.faults.frames import FrameFaults

_ACTIVE = re.compile(r"(\d{1,4})([sm])")
_LEAST_ACTIVE_S = 30.0
_GOODBYE_S = 1.0
"""How long a client may take to answer a close."""


class Socket(Protocol):
    """What answers one client."""

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer one message."""

    def close(self) -> None:
        """The client is gone."""


class Sockets:
    """Keeps every open WebSocket, so that a server that stops can close them."""

    def __init__(self, options: BybitOptions, faults: FrameFaults) -> None:
        self._options = options
        self._faults = faults
        self._open: set[web.WebSocketResponse] = set()
        self._ids = Ids("sim")

    async def serve(
        self, request: web.Request, label: Label, make: Callable[[Connection], Socket]
    ) -> web.StreamResponse:
        """Serve one client until it goes or is cut."""
        # No deflate: python-binance and ccxt offer it, Bybit does not take it. Frames are shared between clients too.
        # Pings are answered here: a venue that has fallen silent answers none.
        response = web.WebSocketResponse(
            compress=False, autoping=False, max_msg_size=self._options.max_body, timeout=_GOODBYE_S
        )
        if not response.can_prepare(request):
            return web.Response(status=400, text="Bad Request: a WebSocket is wanted")
        await response.prepare(request)
        transport = request.transport
        if transport is None:
            return response
        connection = Connection(transport, self._ids.next(), self._options.max_unsent)
        self._faults.opened(connection, label)
        socket = make(connection)
        self._open.add(response)
        try:
            await self._read(response, connection, socket, _idle_s(request, self._options.idle_s))
        finally:
            connection.is_open = False
            self._open.discard(response)
            self._faults.closed(connection)
            socket.close()
        return response

    async def close(self) -> None:
        """Say goodbye to everybody."""
        await asyncio.gather(*(one.close(code=WSCloseCode.GOING_AWAY) for one in list(self._open)))

    async def _read(
        self, response: web.WebSocketResponse, connection: Connection, socket: Socket, idle_s: float
    ) -> None:
        while connection.is_open:
            try:
                message = await asyncio.wait_for(_receive(response, connection), idle_s)
            except TimeoutError:
                await response.close()
                return
            if message.type is WSMsgType.TEXT:
                _hear(message.data, connection, socket)
            elif message.type is not WSMsgType.BINARY:
                return


async def _receive(response: web.WebSocketResponse, connection: Connection) -> WSMessage:
    """The next message that is one; pings do not keep a connection from being idle."""
    while True:
        message = await response.receive()
        if message.type is WSMsgType.PING:
            connection.pong(message.data)
        elif message.type is not WSMsgType.PONG:
            return message


def _hear(text: str, connection: Connection, socket: Socket) -> None:
    try:
        message = json_object(text)
    except ApiError:
        refusal = {"success": False, "ret_msg": "error:request is not a JSON object"}
        connection.say({**refusal, "conn_id": connection.conn_id, "req_id": "", "op": ""})
        return
    socket.on_message(message)


def _idle_s(request: web.Request, default: float) -> float:
    # Clients may ask to be kept for less time: ?max_active_time=30s ... 10m.
    found = _ACTIVE.fullmatch(request.query.get("max_active_time", ""))
    if found is None:
        return default
    seconds = float(found[1]) * (60 if found[2] == "m" else 1)
    return min(max(seconds, _LEAST_ACTIVE_S), default)
