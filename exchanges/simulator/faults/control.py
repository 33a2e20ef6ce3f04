"""`/control`: faults ordered, listed and ended over HTTP while the exchanges run.

Every request proves itself with the API secret as a bearer token, and an order must be JSON by its type: a page in a
browser can send neither to an address that does not let it. Errors are `{"error": "..."}`.
"""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from pydantic_core import from_json

from bot.errors import SettingsError
from bot.text import clip, inert
from exchanges.simulator.faults.desk import FaultDesk, Ordered
from exchanges.simulator.faults.guide import catalogue_json
from exchanges.simulator.faults.values import Fault, fault_from_json

MAX_PENDING = 1_000
"""Faults that wait or are active."""
_ERROR_LENGTH = 300
_WANTED = "send one fault as an object, or a list of them"
_TEXT_ERRORS = "surrogateescape"
_Answer = Callable[[web.Request], Awaitable[dict[str, Any]]]


class _Refused(Exception):
    """Nothing was done; `status` and one line."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Control:
    """The endpoint of one server."""

    def __init__(self, faults: FaultDesk, secret: str, status: Callable[[], Mapping[str, Any]]) -> None:
        """Order from `faults`, for whoever knows `secret`; `status` is told as it is."""
        self._faults = faults
        self._bearer = f"Bearer {secret}".encode()
        self._status = status

    def routes(self) -> list[web.RouteDef]:
        """Everything below `/control`."""
        answers: list[tuple[str, str, _Answer]] = [
            ("GET", "/control/status", self._tell_status),
            ("GET", "/control/catalogue", _tell_catalogue),
            ("GET", "/control/faults", self._list),
            ("POST", "/control/faults", self._order),
            ("DELETE", "/control/faults", self._end_all),
            ("DELETE", r"/control/faults/{number:[0-9]{1,15}}", self._end_one),
            ("*", "/control{below:(/.*)?}", _no_such_path),
        ]
        return [web.route(method, path, self._guarded(answer)) for method, path, answer in answers]

    def _guarded(self, answer: _Answer) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def serve(request: web.Request) -> web.Response:
            if not self._is_authorized(request):
                return _error(401, "send the header Authorization: Bearer <api_secret>")
            try:
                return web.json_response(await answer(request))
            except _Refused as refused:
                return _error(refused.status, str(refused))
            except SettingsError as error:
                return _error(400, str(error))

        return serve

    def _is_authorized(self, request: web.Request) -> bool:
        shown = request.headers.get("Authorization", "").encode("utf-8", _TEXT_ERRORS)
        return hmac.compare_digest(shown, self._bearer)

    async def _tell_status(self, _: web.Request) -> dict[str, Any]:
        return dict(self._status())

    async def _list(self, _: web.Request) -> dict[str, Any]:
        return {"faults": [_as_json(ordered) for ordered in self._faults.orders]}

    async def _order(self, request: web.Request) -> dict[str, Any]:
        faults = _faults(await _json(request))
        pending = sum(ordered.state != "ended" for ordered in self._faults.orders)
        if pending + len(faults) > MAX_PENDING:
            raise _Refused(400, f"{pending} faults wait or are active, and {MAX_PENDING} is the most: none was ordered")
        return {"numbers": [self._faults.order(fault) for fault in faults]}

    async def _end_all(self, _: web.Request) -> dict[str, Any]:
        ended = [ordered.number for ordered in self._faults.orders if self._faults.end(ordered.number)]
        return {"ended": ended}

    async def _end_one(self, request: web.Request) -> dict[str, Any]:
        number = int(request.match_info["number"])
        if not self._faults.end(number):
            raise _Refused(404, f"no fault {number} waits or is active")
        return {"ended": [number]}


async def _tell_catalogue(_: web.Request) -> dict[str, Any]:
    return {"catalogue": catalogue_json()}


async def _no_such_path(_: web.Request) -> dict[str, Any]:
    raise _Refused(404, "there are GET /control/status, /control/catalogue, and GET, POST, DELETE /control/faults")


async def _json(request: web.Request) -> object:
    if request.content_type != "application/json":
        raise _Refused(415, "send Content-Type: application/json")
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise _Refused(413, "the body is too large") from error
    try:
        # Not json.loads: this one bounds the depth, and takes neither NaN nor lone surrogates.
        found: object = from_json(body, allow_inf_nan=False)
    except ValueError:
        raise _Refused(400, "the body is not JSON") from None
    return found


def _faults(found: object) -> list[Fault]:
    orders: list[object] = found if isinstance(found, list) else [found]
    if not orders:
        raise _Refused(400, _WANTED)
    return [_fault(order) for order in orders]


def _fault(order: object) -> Fault:
    if not isinstance(order, dict):
        raise _Refused(400, _WANTED)
    return fault_from_json(order)


def _as_json(ordered: Ordered) -> dict[str, Any]:
    told = {"number": ordered.number, "state": ordered.state, "struck": ordered.struck}
    failed = {"error": ordered.error} if ordered.error else {}
    return {**told, "order": ordered.fault.model_dump(mode="json", exclude_defaults=True), **failed}


def _error(status: int, message: str) -> web.Response:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return web.json_response({"error": clip(inert(message), _ERROR_LENGTH)}, status=status, headers=headers)
