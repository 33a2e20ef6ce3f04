"""Orders as Binance's WebSocket APIs take them: REST's parameters, signed with each request.

A key that signs by HMAC cannot log a session in (`session.logon` wants Ed25519), so nothing is to be done after the
handshake.

Source: https://developers.binance.com/docs/binance-spot-api-docs/websocket-api,
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-api-general-info.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.domain.instrument import Feed, Segment
from bot.domain.order import Order
from bot.errors import MalformedPayload, VenueError
from exchanges.binance.endpoints import VENUE
from exchanges.binance.order_requests import ORDER_PATHS, new_order
from exchanges.binance.request_costs import cost
from exchanges.binance.signed_rest import SignedRest, Values
from exchanges.common.account.order_carrier import ORDER_WINDOW_MS
from exchanges.common.account.trade_link import Reply, Request
from exchanges.common.requests.keyed_rest import READ_WINDOW_MS
from exchanges.common.requests.refusals import ServerFault
from exchanges.common.requests.request_budget import Cost
from exchanges.common.requests.venue_http import Answer

_PATHS = {Segment.SPOT: "/ws-api/v3", Segment.LINEAR: "/ws-fapi/v1"}
_HANDSHAKE = {Segment.SPOT: 2, Segment.LINEAR: 5}
_HEADERS = {"REQUEST_WEIGHT": "X-MBX-USED-WEIGHT", "ORDERS": "X-MBX-ORDER-COUNT"}
_COMPACT = json.JSONEncoder(separators=(",", ":"))
_INTEGERS = ("recvWindow", "timestamp")


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class _Details(_Row):
    server_ms: int = Field(default=0, validation_alias="serverTime")
    retry_ms: int = Field(default=0, validation_alias="retryAfter")


class _Complaint(_Row):
    code: int
    message: str = Field(default="", validation_alias="msg")
    data: _Details | None = None


class _Limit(_Row):
    kind: str = Field(validation_alias="rateLimitType")
    interval: str
    number: int = Field(validation_alias="intervalNum")
    count: int

    @property
    def header(self) -> str:
        return f"{_HEADERS.get(self.kind, self.kind)}-{self.number}{self.interval[:1]}"


class _Event(_Row):
    kind: str = Field(default="", validation_alias="e")


class _Message(_Row):
    """An answer, or an event: spot wraps events, USDⓈ-M may send them bare."""

    number: str | None = Field(default=None, validation_alias="id", coerce_numbers_to_str=True)
    status: int = 0
    error: _Complaint | None = None
    event: _Event | None = None
    kind: str = Field(default="", validation_alias="e")
    limits: tuple[_Limit, ...] = Field(default=(), validation_alias="rateLimits")

    def headers(self) -> dict[str, str]:
        """What REST says in its headers."""
        told = {row.header: str(row.count) for row in self.limits}
        data = None if self.error is None else self.error.data
        if data is not None and data.retry_ms and data.server_ms:  # a moment by the venue's clock says nothing alone
            told["Retry-After"] = str(max(0, -(-(data.retry_ms - data.server_ms) // 1000)))
        return told


class BinanceTrade:
    """A `TradeProtocol` of one segment."""

    venue = VENUE
    heartbeat: bytes | None = None

    def __init__(self, feed: Feed, stream_url: str, rest: SignedRest, symbols: Mapping[str, str]) -> None:
        """Speak for `rest`'s key.

        Args:
            feed: Spot or USDⓈ-M.
            stream_url: Where its WebSocket API is, without a slash at the end.
            rest: Signs, and knows the venue's clock.
            symbols: Binance's symbol by instrument id.

        Raises:
            SettingsError: If the key must not be used at `stream_url`.
        """
        self.name = f"{feed} order socket"
        self.hosts = rest.hosts
        self.url = rest.hosts.require(f"{stream_url}{_PATHS[feed.segment]}")
        self.handshake: Cost = {f"{feed.segment} weight 1M": _HANDSHAKE[feed.segment]}
        self._feed = feed
        self._path = ORDER_PATHS[feed.segment]
        self._order_cost = cost(feed, "POST", self._path, {})
        self._rest = rest
        self._symbols = symbols

    def order(self, number: str, order: Order) -> Request | None:
        """The request that places it; None where its instrument is not traded here."""
        symbol = self._symbols.get(order.instrument.id)
        if symbol is None:
            return None
        text = self._text(number, "order.place", new_order(symbol, order), ORDER_WINDOW_MS)
        return Request(text, self._order_cost)

    def cancel(self, number: str, order: Order) -> Request | None:
        """The request that cancels it; None where its instrument is not traded here."""
        symbol = self._symbols.get(order.instrument.id)
        if symbol is None:
            return None
        named = {"symbol": symbol, "origClientOrderId": order.client_order_id}
        text = self._text(number, "order.cancel", named, READ_WINDOW_MS)
        return Request(text, cost(self._feed, "DELETE", self._path, {}))

    def login(self, number: str) -> bytes | None:
        """Nothing."""
        return None

    def judge(self, cost: Cost, answer: Answer) -> VenueError | None:
        """Why Binance did not do it; None where it did. The budget is told of it."""
        wrong = self._rest.error_in(answer, cost)
        if wrong is None and answer.text:
            # A status that is none of an error, with one: whatever it was, it was not a refusal.
            return ServerFault(VENUE, f"status {answer.status} and an error")
        return wrong

    def read(self, payload: bytes) -> Reply:
        """What a message says.

        Raises:
            MalformedPayload: If it is not understood.
        """
        try:
            message = _Message.model_validate_json(payload)
        except ValidationError as error:
            raise MalformedPayload("neither an answer nor an event") from error
        if not message.status:
            kind = message.kind if message.event is None else message.event.kind
            return Reply(ends="Binance restarts this server" if kind == "serverShutdown" else "")
        complaint = message.error
        body = "" if complaint is None else json.dumps({"code": complaint.code, "msg": complaint.message})
        return Reply(message.number, Answer(message.status, message.headers(), body))

    def _text(self, number: str, method: str, values: Values, window_ms: int) -> bytes:
        params: dict[str, Any] = self._rest.stamped({**values, "recvWindow": str(window_ms)})
        for name in _INTEGERS:
            params[name] = int(params[name])
        return _COMPACT.encode({"id": number, "method": method, "params": params}).encode()
