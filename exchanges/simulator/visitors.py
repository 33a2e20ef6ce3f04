"""Who is connected, and how long a connection may stand without a whole request: sockets are few, and for everybody."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, cast

from aiohttp import StreamReader, web
from aiohttp.typedefs import Handler

from bot.clock import Clock, Timer
from exchanges.simulator.doorkeeper import source_of

PATIENCE_S = 10.0
"""For the head of a connection's first request, and for each body."""
IDLE_S = 75.0
"""For the next request on a connection that has had one."""
MOST_PER_SOURCE = 500
"""Connections of one address: half of the files that a process may usually have open."""


@dataclass(slots=True)
class _Visit:
    transport: asyncio.Transport
    source: str
    timer: Timer | None = field(default=None, repr=False)
    body: StreamReader | None = field(default=None, repr=False)
    """Of the request that is being answered."""

    @property
    def is_busy(self) -> bool:
        """Whether a request that has arrived whole is being answered; a WebSocket is, to its end."""
        return self.body is not None and self.body.is_eof()

    def stop(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def expire(self) -> None:
        self.timer = None
        if not self.is_busy:
            self.transport.abort()


class Visitors:
    """All connections of a server, by where they come from."""

    def __init__(self, clock: Clock, *, most_per_source: int = MOST_PER_SOURCE, patience_s: float = PATIENCE_S) -> None:
        """See the constants for what the figures mean."""
        self._clock = clock
        self._most = most_per_source
        self._patience_s = patience_s
        self._visits: dict[asyncio.BaseTransport, _Visit] = {}
        self._by_source: defaultdict[str, dict[asyncio.BaseTransport, _Visit]] = defaultdict(dict)

    def enter(self, transport: asyncio.Transport) -> bool:
        """Take a new connection, at the expense of one that asks for nothing where there are too many.

        False, and it is cut off, where all others of its address are being served.
        """
        peer = transport.get_extra_info("peername")
        source = source_of(peer[0] if peer else "")
        if len(self._by_source[source]) >= self._most and not self._make_room(source):
            transport.abort()
            return False
        visit = self._visits[transport] = self._by_source[source][transport] = _Visit(transport, source)
        visit.timer = self._clock.call_later(self._patience_s, visit.expire)
        return True

    def leave(self, transport: asyncio.BaseTransport | None) -> None:
        """It is gone."""
        visit = self._visits.pop(transport, None) if transport is not None else None
        if visit is None:
            return
        visit.stop()
        of_source = self._by_source[visit.source]
        del of_source[visit.transport]
        if not of_source:
            del self._by_source[visit.source]

    def _make_room(self, source: str) -> bool:
        # The one that has been idle the longest stands first.
        idle = next((one for one in self._by_source[source].values() if not one.is_busy), None)
        if idle is None:
            return False
        idle.transport.abort()
        self.leave(idle.transport)
        return True

    @web.middleware
    async def receive(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note that a head has arrived, and give its body as long again."""
        visit = self._visits.get(request.transport) if request.transport is not None else None
        if visit is None:
            return await handler(request)
        visit.stop()
        visit.body = request.content
        if not visit.is_busy:
            visit.timer = self._clock.call_later(self._patience_s, visit.expire)
        try:
            return await handler(request)
        finally:
            visit.stop()
            visit.body = None
            self._put_last(visit)

    def _put_last(self, visit: _Visit) -> None:
        of_source = self._by_source.get(visit.source, {})
        if of_source.pop(visit.transport, None) is not None:
            of_source[visit.transport] = visit


class Guest(web.RequestHandler):
    """One connection, known to `Visitors` for as long as it is open."""

    __slots__ = ("_visitors", "_way_in")

    def __init__(self, visitors: Visitors, server: web.Server, **manners: Any) -> None:
        """`manners` are those of `aiohttp`'s own connections."""
        super().__init__(server, loop=asyncio.get_running_loop(), keepalive_timeout=IDLE_S, **manners)
        self._visitors = visitors
        # Its own note: what it inherits forgets the transport before it hears that the connection is lost.
        self._way_in: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Serve it where there is room."""
        # uvloop's transports are of no class of asyncio's.
        way_in = cast(asyncio.Transport, transport)
        if self._visitors.enter(way_in):
            self._way_in = way_in
            super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Make room."""
        self._visitors.leave(self._way_in)
        super().connection_lost(exc)
