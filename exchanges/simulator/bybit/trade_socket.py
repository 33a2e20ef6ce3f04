"""One client of `/v5/trade`: orders by WebSocket, acknowledged like those by HTTP.

Source: https://bybit-exchange.github.io/docs/v5/websocket/trade/guideline.
"""

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from bot.domain.instrument import Segment
from exchanges.simulator.bybit.connection import Connection
from exchanges.simulator.bybit.customer import Customer
from exchanges.simulator.bybit.errors import ApiError
from exchanges.simulator.bybit.ids import Sequence as Ids
from exchanges.simulator.bybit.limits import Allowance, RateExceeded
from exchanges.simulator.bybit.params import Params
from exchanges.simulator.bybit.requests import Call, Venue
from exchanges.simulator.bybit.rest import count, trade_endpoint
from exchanges.simulator.bybit.signing import check_time, socket_authenticated
from exchanges.simulator.core.ports import Account
from exchanges.simulator.faults.request_bybit import socket_error
from exchanges.simulator.faults.request_fates import Asked, RequestFates

_log = logging.getLogger(__name__)
_MS = 1_000_000
_PATHS = {
    "order.create": "/v5/order/create",
    "order.amend": "/v5/order/amend",
    "order.cancel": "/v5/order/cancel",
    "order.create-batch": "/v5/order/create-batch",
    "order.amend-batch": "/v5/order/amend-batch",
    "order.cancel-batch": "/v5/order/cancel-batch",
}
_PER_SECOND = 3_000
_REMEMBERED = 10_000
_LONGEST_ID = 36


class TradeSocket:
    """Answers what one client says."""

    def __init__(
        self,
        connection: Connection,
        venue: Venue,
        customer_of: Callable[[str, Account], Customer],
        fates: RequestFates,
    ) -> None:
        self._connection = connection
        self._venue = venue
        self._customer_of = customer_of
        self._fates = fates
        self._customer: Customer | None = None
        self._seen: set[str] = set()
        self._order: deque[str] = deque()
        self._second = 0
        self._in_second = 0
        self._traces = Ids(connection.conn_id)

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer one message."""
        op = message.get("op")
        if op == "ping":
            self._pong(message)
        elif op == "auth":
            self._authenticate(message)
        else:
            self._request(message, str(op)[:40])

    def close(self) -> None:
        """Nothing is left behind."""

    @property
    def _now_ms(self) -> int:
        return self._venue.exchange.now_ns() // _MS

    def _pong(self, message: dict[str, Any]) -> None:
        conn_id = self._connection.conn_id
        pong = {"retCode": 0, "retMsg": "OK", "op": "pong", "data": [str(self._now_ms)], "connId": conn_id}
        self._connection.say({**_req_id(message), **pong})

    def _authenticate(self, message: dict[str, Any]) -> None:
        code, said = 0, "OK"
        try:
            if self._customer is not None:
                raise ApiError(20001, "Repeat auth")
            self._customer = self._customer_of(*socket_authenticated(self._venue.exchange, message.get("args")))
        except ApiError as error:
            code, said = error.code, error.message
        conn_id = self._connection.conn_id
        self._connection.say({**_req_id(message), "retCode": code, "retMsg": said, "op": "auth", "connId": conn_id})

    def _request(self, message: dict[str, Any], op: str) -> None:
        allowance: Allowance | None = None
        ext: dict[str, Any] = {}
        result: Any = {}
        code, said = 0, "OK"
        fate = self._fates.of(Asked("bybit", _segment(message), op, changes=op in _PATHS))
        if fate.is_lost:
            self._connection.cut()
            return
        try:
            if fate.refusal is not None:
                raise socket_error(fate, self._venue.exchange.now_ns())
            call, allowance = self._call(message, op)
            result = trade_endpoint(_PATHS[op]).handler(call)
            ext = call.ext
        except RateExceeded as error:
            allowance, code, said = error.allowance, error.code, error.message
        except ApiError as error:
            code, said = error.code, error.message
        except Exception:  # noqa: BLE001 - a defect of ours must look like one of the venue's, and the log tells
            _log.exception("trade request %s failed", op)
            code, said = 10016, "Internal server error"
        if fate.is_answer_lost:
            self._connection.cut()
            return
        answer = {**_req_id(message), "retCode": code, "retMsg": said, "op": op, "data": result, "retExtInfo": ext}
        answer |= {"header": self._header(allowance), "connId": self._connection.conn_id}
        self._fates.later(fate.delay_s, lambda: self._connection.say(answer))

    def _header(self, allowance: Allowance | None) -> dict[str, str]:
        header = allowance.headers() if allowance is not None else {}
        return {**header, "Traceid": self._traces.next(), "Timenow": str(self._now_ms)}

    def _call(self, message: dict[str, Any], op: str) -> tuple[Call, Allowance | None]:
        if self._customer is None:
            raise ApiError(20001, "Not authorized") if op in _PATHS else ApiError(10404, "op type is not found")
        if self._venue.exchange.account(self._customer.key) is None:
            raise ApiError(10003, "API key is invalid.")
        self._pace()
        if op not in _PATHS:
            raise ApiError(10404, "op type is not found")
        self._remember(message.get("reqId"))
        header = message.get("header")
        if not isinstance(header, dict):
            raise ApiError(10001, "params error: header is required")
        check_time(self._venue.exchange, header.get("X-BAPI-TIMESTAMP"), header.get("X-BAPI-RECV-WINDOW", ""))
        args = message.get("args")
        if not isinstance(args, list) or len(args) != 1 or not isinstance(args[0], dict):
            raise ApiError(10001, "params error: args is invalid")
        params = Params(args[0])
        if params.text("category") not in ("linear", "spot"):
            raise ApiError(10404, "category is not supported")
        allowance = count(self._venue, self._customer, trade_endpoint(_PATHS[op]), params)
        return Call(self._venue, params, self._customer), allowance

    def _remember(self, req_id: Any) -> None:
        if req_id is None or req_id == "":
            return
        if not isinstance(req_id, str) or len(req_id) > _LONGEST_ID:
            raise ApiError(10001, "params error: reqId is invalid")
        if req_id in self._seen:
            raise ApiError(20006, "reqId is duplicate")
        self._seen.add(req_id)
        self._order.append(req_id)
        if len(self._order) > _REMEMBERED:
            self._seen.discard(self._order.popleft())

    def _pace(self) -> None:
        if not self._venue.options.limit_factor:
            return
        second = self._now_ms // 1000
        if second != self._second:
            self._second, self._in_second = second, 0
        self._in_second += 1
        if self._in_second > _PER_SECOND * self._venue.options.limit_factor:
            raise ApiError(20003, "Too frequent requests under the same session")


def _segment(message: dict[str, Any]) -> Segment | None:
    match message.get("args"):
        case [{"category": "spot" | "linear" as category}]:
            return Segment(category)
    return None


def _req_id(message: dict[str, Any]) -> dict[str, object]:
    req_id = message.get("reqId")
    return {"reqId": req_id} if isinstance(req_id, str) and len(req_id) <= _LONGEST_ID else {}
