"""Orders as Bybit's `/v5/trade` takes them: REST's bodies, on a connection that is logged in once.

An answer acknowledges that the order was taken, as REST's does; what became of it comes on the private stream.

Source: https://bybit-exchange.github.io/docs/v5/websocket/trade/guideline.
"""

import json
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.domain.order import Order
from bot.errors import MalformedPayload, VenueError
from exchanges.bybit.normalize import VENUE
from exchanges.bybit.order_requests import new_order
from exchanges.bybit.request_costs import cost
from exchanges.bybit.signed_rest import Body, SignedRest
from exchanges.common.account.order_carrier import ORDER_WINDOW_MS
from exchanges.common.account.trade_link import Reply, Request
from exchanges.common.requests.keyed_rest import READ_WINDOW_MS
from exchanges.common.requests.request_budget import Cost
from exchanges.common.requests.venue_http import Answer

_PATHS = {"order.create": "/v5/order/create", "order.cancel": "/v5/order/cancel"}
_COMPACT = json.JSONEncoder(separators=(",", ":"))
_ENDING = {10019: "Bybit restarts this server", 20001: "Bybit no longer knows the login"}


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    number: str | None = Field(default=None, validation_alias="reqId")
    code: int = Field(default=0, validation_alias="retCode")
    words: str = Field(default="", validation_alias="retMsg")
    op: str = ""
    headers: dict[str, str] = Field(default_factory=dict, validation_alias="header")


class BybitTrade:
    """A `TradeProtocol` of spot and linear together."""

    venue = VENUE
    name = "bybit order socket"
    handshake: Cost = {}  # noqa: RUF012 - nothing is counted
    heartbeat: bytes | None = b'{"op":"ping"}'

    def __init__(self, url: str, rest: SignedRest, symbols: Mapping[str, str]) -> None:
        """Speak for `rest`'s key; `symbols` is Bybit's symbol by instrument id.

        Raises:
            SettingsError: If the key must not be used at `url`.
        """
        self.hosts = rest.hosts
        self.url = rest.hosts.require(url)
        self._rest = rest
        self._symbols = symbols
        self._login_number = ""

    def order(self, number: str, order: Order) -> Request | None:
        """The request that places it; None where its instrument is not traded here."""
        symbol = self._symbols.get(order.instrument.id)
        if symbol is None:
            return None
        return self._request(number, "order.create", new_order(symbol, order), ORDER_WINDOW_MS)

    def cancel(self, number: str, order: Order) -> Request | None:
        """The request that cancels it; None where its instrument is not traded here."""
        symbol = self._symbols.get(order.instrument.id)
        if symbol is None:
            return None
        category = str(order.instrument.segment)
        named = {"category": category, "symbol": symbol, "orderLinkId": order.client_order_id}
        return self._request(number, "order.cancel", named, READ_WINDOW_MS)

    def login(self, number: str) -> bytes | None:
        """The request that logs in."""
        self._login_number = number
        return _text({"reqId": number, "op": "auth", "args": self._rest.login()})

    def judge(self, cost: Cost, answer: Answer) -> VenueError | None:
        """Why Bybit did not do it; None where it did. The budget is told of it."""
        return self._rest.error_in(answer, cost)

    def read(self, payload: bytes) -> Reply:
        """What a message says.

        Raises:
            MalformedPayload: If it is not understood.
        """
        try:
            message = _Message.model_validate_json(payload)
        except ValidationError as error:
            raise MalformedPayload("not an answer") from error
        if message.op == "pong":
            return Reply()
        # The documentation shows an answer to a login that repeats no number.
        number = message.number or (self._login_number if message.op == "auth" else None)
        body = json.dumps({"retCode": message.code, "retMsg": message.words})
        return Reply(number, Answer(200, message.headers, body), _ENDING.get(message.code, ""))

    def _request(self, number: str, op: str, body: Body, window_ms: int) -> Request:
        text = _text({"reqId": number, "header": self._rest.header(window_ms), "op": op, "args": [body]})
        return Request(text, cost(_PATHS[op], body))


def _text(request: Mapping[str, object]) -> bytes:
    return _COMPACT.encode(request).encode()
