"""What every WebSocket of Binance has in common: pings, the pace of incoming messages, the planned end after a day."""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from bot.clock import Clock, Timer
from exchanges.simulator.binance.outlet import DEFAULT_BUFFER_BYTES, Outlet
from exchanges.simulator.faults.frame_dialect import Label
from exchanges.simulator.faults.frames import FrameFaults

_POLICY = 1008
_SECOND_NS = 1_000_000_000
MAX_MESSAGE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Manners:
    """How a segment treats its connections."""

    ping_s: float
    pong_within_s: float
    messages_a_second: int | None
    """Incoming, pings and pongs too; None where weights bound them instead."""
    lifetime_s: float = 86_400.0
    buffer_bytes: int = DEFAULT_BUFFER_BYTES
    max_streams: int = 1024


SPOT_STREAMS = Manners(20.0, 60.0, 5)
LINEAR_STREAMS = Manners(180.0, 600.0, 10)
SPOT_API = Manners(20.0, 60.0, None)
LINEAR_API = Manners(180.0, 600.0, None)


class Line:
    """One open connection: its outlet, its timers, and the loop that reads it."""

    def __init__(self, clock: Clock, manners: Manners, outlet: Outlet) -> None:
        self.outlet = outlet
        self._clock = clock
        self._manners = manners
        self._arrivals: deque[int] = deque(maxlen=(manners.messages_a_second or 0) + 1)
        self._ponged_ns = clock.monotonic_ns()
        self._ping = clock.call_later(manners.ping_s, self._send_ping)
        self._end: Timer = clock.call_later(manners.lifetime_s, lambda: outlet.close(1000, "24 hours"))

    def _send_ping(self) -> None:
        if self.outlet.is_closed:
            return
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._ponged_ns > (self._manners.ping_s + self._manners.pong_within_s) * _SECOND_NS:
            self.outlet.close(_POLICY, "Pong timeout")
            return
        self.outlet.ping(str(self._clock.now_ns() // 1_000_000).encode())
        self._ping = self._clock.call_later(self._manners.ping_s, self._send_ping)

    def is_too_fast(self) -> bool:
        """Count an incoming message; whether it is one too many within a second."""
        most = self._manners.messages_a_second
        if most is None:
            return False
        now_ns = self._clock.monotonic_ns()
        self._arrivals.append(now_ns)
        return len(self._arrivals) > most and now_ns - self._arrivals[0] < _SECOND_NS

    async def read(self, socket: web.WebSocketResponse, on_text: Callable[[str], None]) -> None:
        """Hand over texts until the connection ends, by whomever."""
        while not self.outlet.is_closed:
            message = await socket.receive()
            if message.type not in (WSMsgType.TEXT, WSMsgType.PING, WSMsgType.PONG):
                return
            if self.is_too_fast():
                self.outlet.close(_POLICY, "Too many requests")
                return
            if message.type is WSMsgType.TEXT:
                on_text(message.data)
            elif message.type is WSMsgType.PING:
                self.outlet.pong(message.data)
            else:
                self._ponged_ns = self._clock.monotonic_ns()

    def stop(self) -> None:
        """Cancel the timers."""
        self._ping.cancel()
        self._end.cancel()
        self.outlet.is_closed = True


class Sockets:
    """All open connections of the server."""

    def __init__(self, clock: Clock, faults: FrameFaults) -> None:
        self._clock = clock
        self._faults = faults
        self._open: set[Outlet] = set()

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    async def run(
        self,
        request: web.Request,
        manners: Manners,
        label: Label,
        serve: Callable[[Outlet], tuple[Callable[[str], None], Callable[[], None]]],
    ) -> web.WebSocketResponse:
        """Accept a connection and serve it to its end; `serve` returns what takes texts and what cleans up."""
        # Without compression: clients offer it, Binance does not take it. Pings are counted, so they are not automatic.
        socket = web.WebSocketResponse(compress=False, autoping=False, max_msg_size=MAX_MESSAGE_BYTES)
        await socket.prepare(request)
        transport = request.transport
        if transport is None:  # gone before it was accepted
            return socket
        outlet = Outlet(transport, manners.buffer_bytes)
        line = Line(self._clock, manners, outlet)
        self._open.add(outlet)
        self._faults.opened(outlet, label)
        on_text, on_end = serve(outlet)
        try:
            await line.read(socket, on_text)
        finally:
            line.stop()
            self._open.discard(outlet)
            self._faults.closed(outlet)
            on_end()
        return socket

    def close_all(self, code: int, reason: str) -> None:
        """End every connection, as a restart or a planned cut does."""
        for outlet in list(self._open):
            outlet.close(code, reason)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
