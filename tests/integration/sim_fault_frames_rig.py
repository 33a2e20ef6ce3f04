"""Both simulated exchanges on one port with their fault desk at hand, and raw sockets to them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from bot.clock import SystemClock
from bot.domain.instrument import Segment
from exchanges.simulator.faults.catalogue import FaultKind
from exchanges.simulator.faults.values import Fault
from exchanges.simulator.server import Address, SimulatorServer

PATIENCE_S = 60
LARGE = 32 << 20


@dataclass(frozen=True)
class Line:
    """A way to listen to one venue."""

    venue: str
    segment: Segment
    path: str
    topics: tuple[str, ...]
    """For Bybit; Binance's stand in the path."""
    ack: str
    """What only an acknowledgement has."""


BINANCE = Line("binance", Segment.LINEAR, "/public/stream?streams=btcusdt@bookTicker/btcusdt@depth@100ms", (), '"id":1')
SPOT = Line("binance", Segment.SPOT, "/stream?streams=btcusdt@bookTicker/btcusdt@depth20@100ms", (), '"id":1')
BYBIT = Line(
    "bybit", Segment.LINEAR, "/v5/public/linear", ("orderbook.1.BTCUSDT", "orderbook.50.BTCUSDT"), '"req_id":"1"'
)
LINES = (BINANCE, SPOT, BYBIT)


class Socket:
    """A raw client: every frame as it comes, pongs included."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, line: Line) -> None:
        self.raw = socket
        self.line = line

    async def next(self) -> aiohttp.WSMessage:
        return await self.raw.receive(timeout=PATIENCE_S)

    async def text(self, wanted: Callable[[str], object] = lambda _: True) -> str:
        """The next wanted text; a connection that ends is an error."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                message = await self.raw.receive()
                assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.PONG), message
                if message.type is aiohttp.WSMsgType.TEXT and wanted(message.data):
                    return message.data

    async def data(self, wanted: Callable[[str], object] = lambda _: True) -> Any:
        """The next wanted data frame."""
        return json.loads(await self.text(lambda text: is_data(text) and wanted(text)))

    async def ask(self) -> None:
        """Say something that is acknowledged."""
        if self.line.venue == "bybit":
            await self.raw.send_json({"op": "ping", "req_id": "1"})
        else:
            await self.raw.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 1})

    async def acknowledged(self) -> None:
        await self.ask()
        await self.text(lambda text: self.line.ack in text)

    async def ended(self) -> int | None:
        """Read to the end; the close code."""
        async with asyncio.timeout(PATIENCE_S):
            async for _ in self.raw:
                pass
        return self.raw.close_code


def is_data(text: str) -> bool:
    return text.startswith(('{"stream"', '{"topic"', '{"id":"', '{"subscriptionId"', '{"e":"', '{"u":'))


@dataclass
class Rig:
    server: SimulatorServer
    address: Address
    http: aiohttp.ClientSession

    def order(self, kind: FaultKind, line: Line, **fields: Any) -> int:
        return self.server.faults.order(Fault(fault=kind, venue=line.venue, segment=line.segment, **fields))

    def end(self, number: int) -> None:
        assert self.server.faults.end(number)

    def struck(self, number: int) -> int:
        ordered = next(one for one in self.server.faults.orders if one.number == number)
        assert not ordered.error
        return ordered.struck

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait while the servers go on."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.002)

    @asynccontextmanager
    async def listening(self, line: Line, path: str = "") -> AsyncIterator[Socket]:
        """A subscribed client of the line."""
        url = self.address.ws_url + (path or line.path)
        async with self.http.ws_connect(url, autoping=False, max_msg_size=LARGE) as socket:
            if line.topics and not path:
                await socket.send_json({"op": "subscribe", "args": list(line.topics)})
            yield Socket(socket, line)


@asynccontextmanager
async def rig(rate: float = 0.3) -> AsyncIterator[Rig]:
    """Serve; a third of the measured update rate keeps tests quick on a busy machine."""
    server = SimulatorServer("calm", 7, SystemClock(), rate=rate)
    address = await server.start(0)
    stop = asyncio.Event()
    running = asyncio.create_task(server.run(stop))
    try:
        async with aiohttp.ClientSession() as http:
            yield Rig(server, address, http)
    finally:
        stop.set()
        await running
