"""Every HTTP request: bounded, counted, checked, answered; with Bybit's envelope whatever it was.

Source: https://bybit-exchange.github.io/docs/v5/guide.
"""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from aiohttp import web

from exchanges.simulator.bybit import rest_account, rest_asset, rest_market, rest_system, rest_trade
from exchanges.simulator.bybit.catalogue import CATEGORIES
from exchanges.simulator.bybit.customer import Customer
from exchanges.simulator.bybit.errors import ApiError
from exchanges.simulator.bybit.limits import AddressLimits, Allowance, RateExceeded
from exchanges.simulator.bybit.params import Params
from exchanges.simulator.bybit.requests import Call, Endpoint, Venue
from exchanges.simulator.bybit.signing import authenticated
from exchanges.simulator.bybit.wire import envelope
from exchanges.simulator.core.ports import Account

_log = logging.getLogger(__name__)
_MS = 1_000_000
_MOST_PARAMETERS = 100
_ENDPOINTS: Mapping[tuple[str, str], Endpoint] = {
    (endpoint.method, endpoint.path): endpoint
    for part in (rest_market, rest_trade, rest_account, rest_asset, rest_system)
    for endpoint in part.ENDPOINTS
}


class Rest:
    """Answers requests to `/v5`."""

    def __init__(self, venue: Venue, customer_of: Callable[[str, Account], Customer]) -> None:
        self._venue = venue
        self._customer_of = customer_of
        self._addresses = AddressLimits(venue.options)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request."""
        if not self._addresses.is_allowed(request.remote or "", self._venue.exchange.now_ns() // _MS):
            return web.Response(status=403, text="access too frequent, please try again later")
        endpoint = _ENDPOINTS.get((request.method, request.path))
        if endpoint is None:
            return web.Response(status=404, text="404 page not found")
        body = await _body(request, self._venue.options.max_body)
        return self._answer(endpoint, request, body)

    def _answer(self, endpoint: Endpoint, request: web.Request, body: bytes | None) -> web.Response:
        headers: dict[str, str] = {}
        try:
            text = self._result(endpoint, request, body, headers)
        except RateExceeded as error:
            headers |= error.allowance.headers()
            text = self._error(error.code, error.message)
        except ApiError as error:
            text = self._error(error.code, error.message)
        except Exception:  # noqa: BLE001 - a defect of ours must look like one of the venue's, and the log tells
            _log.exception("request to %s failed", endpoint.path)
            text = self._error(10016, "Internal System Error.")
        return web.Response(text=text, content_type="application/json", headers=headers)

    def _result(self, endpoint: Endpoint, request: web.Request, body: bytes | None, headers: dict[str, str]) -> str:
        if body is None:
            raise ApiError(10001, "params error: request body is too large")
        # As it was sent: the signature is over the bytes, not over what they mean.
        query = request.raw_path.partition("?")[2].encode(errors="surrogateescape")
        customer = None
        if endpoint.is_signed:
            payload = query if request.method == "GET" else body
            customer = self._customer_of(*authenticated(self._venue.exchange, request.headers, payload))
        params = _params(request.method, query, body)
        call = Call(self._venue, params, customer)
        if customer is not None:
            allowance = count(self._venue, customer, endpoint, params)
            if allowance is not None:
                headers |= allowance.headers()
        result = endpoint.handler(call)
        return envelope(result, call.now_ms, message=call.message, ext=call.ext)

    def _error(self, code: int, message: str) -> str:
        return envelope(None, self._venue.exchange.now_ns() // _MS, code=code, message=message)


def count(venue: Venue, customer: Customer, endpoint: Endpoint, params: Params) -> Allowance | None:
    """Count a request against its key's limit; a batch counts for its orders.

    Raises:
        RateExceeded: It is one too many.
    """
    category = params.text("category", "linear")
    group = endpoint.group.format(category if category in CATEGORIES else "linear")
    cost = rest_trade.batch_size(params) if endpoint.path.endswith("-batch") else 1
    return venue.limits.count(customer.key, group, venue.exchange.now_ns() // _MS, cost)


def trade_endpoint(path: str) -> Endpoint:
    """The endpoint that an operation of the trade socket stands for."""
    return _ENDPOINTS["POST", path]


async def _body(request: web.Request, most: int) -> bytes | None:
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        return None
    return body if len(body) <= most else None


def _params(method: str, query: bytes, body: bytes) -> Params:
    if method == "POST":
        return Params(json_object(body) if body else {})
    try:
        pairs = parse_qsl(query.decode(), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise ApiError(10001, "params error: the query cannot be read") from None
    return Params(dict(pairs))


def json_object(text: str | bytes) -> dict[str, Any]:
    """A JSON object that a client has sent.

    Raises:
        ApiError: It is something else.
    """
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ApiError(10001, "params error: the JSON cannot be read") from None
    if not isinstance(value, dict):
        raise ApiError(10001, "params error: a JSON object is wanted")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
