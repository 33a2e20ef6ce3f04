"""The WebSocket APIs, `/ws-api/v3` and `/ws-fapi/v1`: requests like REST's, and spot's user data on the same socket."""

import json
import re
from collections.abc import Callable

from aiohttp import web

from bot.domain.instrument import Segment
from exchanges.simulator.binance.endpoints import LINEAR_WS, SPOT_WS
from exchanges.simulator.binance.errors import Rejected, illegal, missing, unknown_key
from exchanges.simulator.binance.gateway import Access, Call, Endpoint, Gateway
from exchanges.simulator.binance.outlet import Outlet
from exchanges.simulator.binance.parameters import MAX_PARAMETERS, Parameters
from exchanges.simulator.binance.signing import account_of, check_signature, check_time
from exchanges.simulator.binance.sockets import LINEAR_API, SPOT_API, Manners, Sockets
from exchanges.simulator.faults.frame_dialect import Label
from exchanges.simulator.faults.request_binance import refusal
from exchanges.simulator.faults.request_fates import UNHARMED, Asked, Fate, RequestFates

_TABLES = {Segment.SPOT: SPOT_WS, Segment.LINEAR: LINEAR_WS}
_HANDSHAKE_WEIGHT = {Segment.SPOT: 2, Segment.LINEAR: 5}
_CHANGING = frozenset({"order.place", "order.cancel", "openOrders.cancelAll"})
_ID = re.compile(r"[ -~]{1,36}")


class WsApi:
    """Accepts connections of both segments."""

    def __init__(
        self,
        gateway: Gateway,
        sockets: Sockets,
        fates: RequestFates,
        *,
        spot: Manners = SPOT_API,
        linear: Manners = LINEAR_API,
    ) -> None:
        self._gateway = gateway
        self._fates = fates
        self._sockets = sockets
        self._manners = {Segment.SPOT: spot, Segment.LINEAR: linear}

    async def spot(self, request: web.Request) -> web.StreamResponse:
        """`/ws-api/v3`."""
        return await self._serve(request, Segment.SPOT)

    async def linear(self, request: web.Request) -> web.StreamResponse:
        """`/ws-fapi/v1`."""
        return await self._serve(request, Segment.LINEAR)

    async def _serve(self, request: web.Request, segment: Segment) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return web.Response(status=400, text="Bad Request")
        desk, address = self._gateway.desk, request.remote or ""
        try:
            desk.meter(address, segment).charge(_HANDSHAKE_WEIGHT[segment], desk.now_ns())
        except Rejected as error:
            return web.json_response(error.body(), status=error.status)
        shows_limits = request.query.get("returnRateLimits", "true") != "false"

        def serve(outlet: Outlet) -> tuple[Callable[[str], None], Callable[[], None]]:
            session = ApiSession(self._gateway, segment, outlet, address, self._fates, shows_limits=shows_limits)
            return session.on_text, session.end

        return await self._sockets.run(request, self._manners[segment], Label(segment, "ws-api"), serve)


class ApiSession:
    """One connection's requests and subscriptions."""

    def __init__(
        self,
        gateway: Gateway,
        segment: Segment,
        outlet: Outlet,
        address: str,
        fates: RequestFates,
        *,
        shows_limits: bool,
    ) -> None:
        self._gateway = gateway
        self._desk = gateway.desk
        self._segment = segment
        self._outlet = outlet
        self._meter = gateway.desk.meter(address, segment)
        self._fates = fates
        self._shows_limits = shows_limits
        self._connected_ms = gateway.desk.now_ms()
        self._next_subscription = 0
        self._subscriptions: dict[int, tuple[str, Callable[[], None]]] = {}

    def on_text(self, text: str) -> None:
        """Answer a request."""
        number: object = None
        endpoint: Endpoint | None = None
        call = Call(self._gateway, self._segment, Parameters({}))
        fate = UNHARMED
        try:
            request = _read(text)
            number = _number(request)
            method = request.get("method")
            if not isinstance(method, str):
                raise missing("method")
            asked = Asked("binance", self._segment, method, method in _CHANGING)
            fate = self._fates.of(asked)
            if fate.is_lost:
                self._outlet.cut()
                return
            if fate.refusal is not None:
                raise refusal(asked, fate, self._desk.now_ns())
            values = _values(request.get("params", {}))
            call.parameters = Parameters(values)
            endpoint = self._endpoint(method)
            result = self._answer(endpoint, call, values)
        except Rejected as error:
            reply = {"id": number, "status": error.status, "error": self._error(error)}
        else:
            reply = {"id": number, "status": 200, "result": result}
        self._reply(reply, call, endpoint, fate)

    def _endpoint(self, method: str) -> Endpoint:
        found = _TABLES[self._segment].get(method) or self._own(method)
        if found is None:
            self._meter.charge(1, self._desk.now_ns())
            raise Rejected(-1020, "This operation is not supported.")
        return found

    def _own(self, method: str) -> Endpoint | None:
        """Methods that concern this connection."""
        own = {
            "session.logon": Endpoint(self._logon, Access.KEY, 2),
            "session.status": Endpoint(self._session_status, weight=2),
            "session.logout": Endpoint(self._session_status, weight=2),
        }
        if self._segment is Segment.SPOT:
            own |= {
                "userDataStream.subscribe.signature": Endpoint(self._subscribe, Access.SIGNED, 2),
                "userDataStream.subscribe": Endpoint(self._needs_session, weight=2),
                "userDataStream.unsubscribe": Endpoint(self._unsubscribe, weight=2),
                "session.subscriptions": Endpoint(self._list, weight=2),
            }
        return own.get(method)

    def _answer(self, endpoint: Endpoint, call: Call, values: dict[str, str]) -> object:
        self._meter.charge(endpoint.cost(call.parameters), self._desk.now_ns())
        if endpoint.access is not Access.OPEN:
            call.api_key = call.parameters.required("apiKey")
            call.signer = account_of(self._desk.exchange, call.api_key)
        if endpoint.access.is_signed:
            signed = "&".join(f"{name}={values[name]}" for name in sorted(values) if name != "signature")
            payload = signed.encode("utf-8", "surrogatepass")
            check_signature(self._desk.exchange, call.api_key, payload, values.get("signature", ""))
            check_time(call.parameters, self._desk.now_ns())
        if not endpoint.access.is_right_of(self._desk.exchange.setup):
            raise unknown_key()
        return endpoint.run(call)

    def _error(self, error: Rejected) -> dict[str, object]:
        body = error.body()
        if error.retry_after_s is not None:
            now_ms = self._desk.now_ms()
            body["data"] = {"serverTime": now_ms, "retryAfter": now_ms + error.retry_after_s * 1000}
        return body

    def _reply(self, reply: dict[str, object], call: Call, endpoint: Endpoint | None, fate: Fate) -> None:
        if fate.is_answer_lost:
            self._outlet.cut()
            return
        if self._shows_limits:
            now_ns = self._desk.now_ns()
            windows = [self._meter.weight]
            if endpoint is not None and endpoint.is_order and call.signer is not None:
                windows = [*self._desk.order_meter(call.api_key, self._segment).windows, *windows]
            reply["rateLimits"] = [window.rate.row(window.count(now_ns)) for window in windows]
        text = json.dumps(reply, separators=(",", ":"))
        self._fates.later(fate.delay_s, lambda: self._outlet.say(text))

    # Sessions and subscriptions

    def _logon(self, _: Call) -> object:
        raise Rejected(-4056, "HMAC_SHA256 API key is not supported.")

    def _needs_session(self, _: Call) -> object:
        raise Rejected(-1002, "You are not authorized to execute this request.", status=401)

    def _session_status(self, _: Call) -> dict[str, object]:
        return {
            "apiKey": None,
            "authorizedSince": None,
            "connectedSince": self._connected_ms,
            "returnRateLimits": self._shows_limits,
            "serverTime": self._desk.now_ms(),
            "userDataStream": bool(self._subscriptions),
        }

    def _subscribe(self, call: Call) -> dict[str, object]:
        if any(api_key == call.api_key for api_key, _ in self._subscriptions.values()):
            raise Rejected(-2035, "User Data Stream subscription already active.")
        number, self._next_subscription = self._next_subscription, self._next_subscription + 1
        feed = self._gateway.feeds.of(call.api_key, call.account, Segment.SPOT)
        stop = feed.listen(lambda _, text: self._outlet.say(f'{{"subscriptionId":{number},"event":{text}}}'))
        self._subscriptions[number] = call.api_key, stop
        return {"subscriptionId": number}

    def _unsubscribe(self, call: Call) -> dict[str, object]:
        number = call.parameters.integer("subscriptionId")
        if number is None:
            self.end()
            return {}
        if number not in self._subscriptions:
            raise Rejected(-2036, "User Data Stream subscription not active.")
        self._subscriptions.pop(number)[1]()
        return {}

    def _list(self, _: Call) -> list[dict[str, object]]:
        return [{"subscriptionId": number} for number in self._subscriptions]

    def end(self) -> None:
        """Drop every subscription."""
        for _, stop in self._subscriptions.values():
            stop()
        self._subscriptions.clear()


def _read(text: str) -> dict[str, object]:
    try:
        # Decimals stay the text they were sent as: that is what was signed.
        request = json.loads(text, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise Rejected(-1135, "Invalid JSON Request") from error
    if not isinstance(request, dict):
        raise Rejected(-1135, "Invalid JSON Request")
    return request


def _number(request: dict[str, object]) -> object:
    number = request.get("id")
    if isinstance(number, bool) or not isinstance(number, int | str | None):
        raise illegal("id", "^[a-zA-Z0-9-_]{1,36}$")
    if isinstance(number, str) and not _ID.fullmatch(number):
        raise illegal("id", "^[a-zA-Z0-9-_]{1,36}$")
    return number


def _values(params: object) -> dict[str, str]:
    if params is None:
        return {}
    if not isinstance(params, dict) or len(params) > MAX_PARAMETERS:
        raise Rejected(-1101, "Too many parameters sent for this endpoint.")
    return {str(name): _text(value) for name, value in params.items()}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    return json.dumps(value, separators=(",", ":"))
