"""The HTTP side: reading a request within bounds, proving who sent it, answering with Binance's headers and errors."""

import json
from collections.abc import Mapping

from aiohttp import web

from bot.domain.instrument import Segment
from exchanges.simulator.binance.endpoints import LINEAR, SPOT, WALLET
from exchanges.simulator.binance.errors import Rejected, bad_key, unknown_key
from exchanges.simulator.binance.gateway import Access, Call, Endpoint, Gateway
from exchanges.simulator.binance.limits import Meter
from exchanges.simulator.binance.parameters import Parameters, parse
from exchanges.simulator.binance.signing import account_of, check_signature, check_time, without_signature

MAX_BODY_BYTES = 64 * 1024
_KEY_HEADER = "X-MBX-APIKEY"
_TABLES: Mapping[Segment, Mapping[tuple[str, str], Endpoint]] = {
    Segment.SPOT: {**SPOT, **WALLET},
    Segment.LINEAR: LINEAR,
}
_TEXT_ERRORS = "surrogateescape"
"""Bytes that are no UTF-8 go through unharmed, so that signatures are checked over what was sent."""


class Rest:
    """Answers every HTTP request below Binance's prefixes."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._desk = gateway.desk

    async def spot(self, request: web.Request) -> web.Response:
        """`/api` and `/sapi`."""
        return await self._serve(request, Segment.SPOT)

    async def linear(self, request: web.Request) -> web.Response:
        """`/fapi` and `/futures/data`."""
        return await self._serve(request, Segment.LINEAR)

    async def _serve(self, request: web.Request, segment: Segment) -> web.Response:
        meter = self._desk.meter(request.remote or "", segment)
        call = Call(self._gateway, segment, Parameters({}))
        endpoint = _TABLES[segment].get((request.method, request.path))
        try:
            body = await _body(request)
            meter.check(self._desk.now_ns())
            if endpoint is None:
                meter.charge(1, self._desk.now_ns())
                raise _no_such_path(request)
            result = self._answer(request, body, endpoint, call, meter)
        except Rejected as error:
            return _response(error.body(), error.status, self._headers(call, endpoint, meter, error))
        return _response(result, 200, self._headers(call, endpoint, meter, None))

    def _answer(self, request: web.Request, body: str, endpoint: Endpoint, call: Call, meter: Meter) -> object:
        query = request.raw_path.partition("?")[2]
        try:
            call.parameters = Parameters(parse(query, body))
            cost = endpoint.cost(call.parameters)
        except Rejected:
            meter.charge(1, self._desk.now_ns())
            raise
        meter.charge(cost, self._desk.now_ns())
        if endpoint.access is not Access.OPEN:
            call.api_key = _key(request)
            call.signer = account_of(self._desk.exchange, call.api_key)
        if endpoint.access.is_signed:
            self._prove(call, query, body)
        if not endpoint.access.is_right_of(self._desk.exchange.setup):
            raise unknown_key()
        return endpoint.run(call)

    def _prove(self, call: Call, query: str, body: str) -> None:
        query, in_query = without_signature(query)
        body, in_body = without_signature(body)
        payload = (query + body).encode("utf-8", _TEXT_ERRORS)
        check_signature(self._desk.exchange, call.api_key, payload, in_query or in_body or "")
        check_time(call.parameters, self._desk.now_ns())

    def _headers(self, call: Call, endpoint: Endpoint | None, meter: Meter, error: Rejected | None) -> dict[str, str]:
        now_ns = self._desk.now_ns()
        used = str(meter.weight.count(now_ns))
        headers = {"X-MBX-USED-WEIGHT": used, f"X-MBX-USED-WEIGHT-{meter.weight.rate.label}": used}
        if endpoint is not None and endpoint.is_order and call.signer is not None:
            for window in self._desk.order_meter(call.api_key, call.segment).windows:
                headers[f"X-MBX-ORDER-COUNT-{window.rate.label}"] = str(window.count(now_ns))
        if error is not None and error.retry_after_s is not None:
            headers["Retry-After"] = str(error.retry_after_s)
        return headers


async def _body(request: web.Request) -> str:
    try:
        return (await request.read()).decode("utf-8", _TEXT_ERRORS)
    except web.HTTPRequestEntityTooLarge as error:
        raise Rejected(-1101, "Too many parameters sent for this endpoint.", status=413) from error


def _key(request: web.Request) -> str:
    key = request.headers.get(_KEY_HEADER, "")
    if not key:
        raise bad_key()
    return key


def _no_such_path(request: web.Request) -> Rejected:
    return Rejected(-5000, f"Path {request.path}, Method {request.method} is invalid", status=404)


def _response(body: object, status: int, headers: dict[str, str]) -> web.Response:
    text = json.dumps(body, separators=(",", ":"))
    return web.Response(body=text.encode(), status=status, headers=headers, content_type="application/json")
