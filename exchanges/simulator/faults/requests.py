"""Strikes HTTP requests to both venues: one middleware in front of all routes, which looks and lets pass otherwise."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from bot.clock import Clock
from bot.domain.instrument import Segment
from exchanges.simulator.faults import request_binance, request_bybit
from exchanges.simulator.faults.desk import FaultDesk
from exchanges.simulator.faults.request_fates import Asked, Fate, RequestFates

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BINANCE, BYBIT = "binance", "bybit"
_BINANCE_STATUS = "/sapi/v1/system/status"
_BYBIT_STATUS = "/v5/system/status"
_CHANGING = frozenset({"POST", "PUT", "DELETE"})
_LONGEST_BODY = 64 * 1024
_PLACES: dict[str, tuple[str, Segment | None]] = {
    **dict.fromkeys(("api", "sapi", "ws", "stream", "ws-api"), (BINANCE, Segment.SPOT)),
    **dict.fromkeys(("fapi", "futures", "ws-fapi", "public", "market", "private"), (BINANCE, Segment.LINEAR)),
    "v5": (BYBIT, None),
}
"""By the first part of the path."""


def request_faults(faults: FaultDesk, clock: Clock) -> Middleware:
    """A middleware that does to requests what is ordered at the desk; while nothing is, it costs one look.

    WebSockets pass untouched, but for maintenance, which accepts none.
    """
    fates = RequestFates(faults, clock)

    @web.middleware
    async def strike(request: web.Request, handler: Handler) -> web.StreamResponse:
        place = None if faults.is_quiet else _PLACES.get(request.path.split("/", 2)[1])
        if place is None:
            return await handler(request)
        if request.headers.get("Upgrade", "").lower() == "websocket":
            venue, segment = place[0], place[1] or _public_segment(request.path)
            return web.Response(status=503) if fates.is_down(venue, segment) else await handler(request)
        status = _status(request.path, fates, clock)
        return status or await _answer(request, handler, await _asked(request, *place), fates, clock)

    return strike


async def _answer(
    request: web.Request, handler: Handler, asked: Asked, fates: RequestFates, clock: Clock
) -> web.StreamResponse:
    fate = fates.of(asked)
    if fate.is_lost:
        return _cut(request)
    answer = await handler(request) if fate.refusal is None else _refused(asked, fate, clock)
    if fate.is_answer_lost:
        return _cut(request)
    await _pause(fate.delay_s, clock)
    return answer


def _refused(asked: Asked, fate: Fate, clock: Clock) -> web.Response:
    if asked.venue == BINANCE:
        return request_binance.response(asked, fate, clock.now_ns())
    return request_bybit.response(asked, fate, clock.now_ns())


def _cut(request: web.Request) -> web.Response:
    """Reset the connection; what is returned is written to nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _pause(delay_s: float, clock: Clock) -> None:
    if delay_s:
        over = asyncio.Event()
        clock.call_later(delay_s, over.set)
        await over.wait()


def _status(path: str, fates: RequestFates, clock: Clock) -> web.Response | None:
    """What the venue says of itself while it is down; None: the handler says it."""
    if path == _BINANCE_STATUS and fates.maintenance(BINANCE, Segment.SPOT):
        return request_binance.system_status()
    if path == _BYBIT_STATUS and (maintenance := fates.maintenance(BYBIT, None)):
        return request_bybit.system_status(maintenance, clock.now_ns())
    return None


async def _asked(request: web.Request, venue: str, segment: Segment | None) -> Asked:
    if venue == BYBIT:
        segment = await _category(request)
    return Asked(venue, segment, f"{request.method} {request.path}", request.method in _CHANGING)


async def _category(request: web.Request) -> Segment | None:
    """Bybit's segments share their paths: the request itself says which, if it concerns one."""
    category: object = request.query.get("category")
    if category is None and request.content_length is not None and request.content_length <= _LONGEST_BODY:
        try:
            body = json.loads(await request.read() or b"null")
        except (ValueError, RecursionError):
            return None  # the handler says what is wrong with it
        category = body.get("category") if isinstance(body, dict) else None
    return _segment(category)


def _public_segment(path: str) -> Segment | None:
    return _segment(path.rpartition("/")[2])


def _segment(text: object) -> Segment | None:
    return Segment(text) if isinstance(text, str) and text in (Segment.SPOT, Segment.LINEAR) else None
