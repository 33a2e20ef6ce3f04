"""Signed requests to Bybit, and what their errors mean for an order.

Source: https://bybit-exchange.github.io/docs/v5/guide (authentication), https://bybit-exchange.github.io/docs/v5/error.
"""

import json
from typing import TypeVar
from urllib.parse import urlencode

from pybit.exceptions import FailedRequestError, InvalidRequestError
from pydantic import BaseModel, ValidationError

from bot.clock import Clock
from bot.errors import (
    BelowMinimum,
    ClockSkew,
    InsufficientBalance,
    OrderOutcomeUnknown,
    OrderRejected,
    VenueError,
    VenueUnavailable,
)
from exchanges.bybit.errors import venue_error
from exchanges.bybit.normalize import VENUE
from exchanges.bybit.private_schemas import Envelope
from exchanges.common.api_keys import ApiKeys, Hmac
from exchanges.common.clock_offset import measure_offset
from exchanges.common.loopback import require_loopback
from exchanges.common.order_carrier import ORDER_WINDOW_MS
from exchanges.common.plan import printable
from exchanges.common.venue_http import Answer, AnswerLost, VenueHttp

_READ_S = 5.0
_ORDER_S = 1.0
_READ_WINDOW_MS = 5000
_LOGIN_MS = 10_000
"""pybit's second is broken by a second of delay."""

_UNKNOWN = frozenset({10000, 10016, 170007, 170032, 170146, 170147})
_EXISTS = frozenset({10014, 110072, 170141})
_NO_SUCH_ORDER = frozenset({110001, 110008, 110010, 170139, 170142, 170143, 170213})
_REJECTIONS: dict[int, type[OrderRejected]] = {
    110004: InsufficientBalance,
    110006: InsufficientBalance,
    110007: InsufficientBalance,
    110012: InsufficientBalance,
    110044: InsufficientBalance,
    110045: InsufficientBalance,
    170033: InsufficientBalance,
    170131: InsufficientBalance,
    110094: BelowMinimum,
    170136: BelowMinimum,
    170140: BelowMinimum,
}

_T = TypeVar("_T", bound=BaseModel)
Values = dict[str, str]


class Refusal(VenueError):
    """Bybit refused one request for what it asked; `code` is Bybit's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(VENUE, message)
        self.code = code

    @property
    def is_no_such_order(self) -> bool:
        """Whether it says that the order is unknown, or over."""
        return self.code in _NO_SUCH_ORDER

    @property
    def is_existing(self) -> bool:
        """Whether an order of this client order id is there already."""
        return self.code in _EXISTS


class _ServerFault(VenueUnavailable):
    """A fault inside Bybit: the request may have done what it asked."""


class SignedRest:
    """Bybit v5 with one key."""

    def __init__(self, base_url: str, keys: ApiKeys, http: VenueHttp, clock: Clock) -> None:
        """Nothing is sent before `open`.

        Raises:
            SettingsError: If `base_url` is not on this machine.
        """
        self._base = require_loopback(base_url)
        self._key = keys.key.get_secret_value()
        self._hmac = Hmac(keys.secret)
        self._http = http
        self._clock = clock
        self._offset_ns = 0

    async def open(self) -> None:
        """Measure Bybit's clock.

        Raises:
            VenueError: It cannot be asked.
        """
        self._offset_ns, _ = await measure_offset(self._server_time_ms, self._clock)

    async def read(self, path: str, kind: type[_T], values: Values) -> _T:
        """A signed question; asked once more when Bybit did not like our clock.

        Raises:
            Refusal: Bybit refused what was asked.
            VenueError: It cannot be asked, or refuses us.
        """
        try:
            envelope = await self._get(path, values)
        except ClockSkew:
            await self.open()
            envelope = await self._get(path, values)
        try:
            return kind.model_validate(envelope.result)
        except ValidationError as error:
            raise VenueUnavailable(VENUE, f"answered {path} in an unknown way") from error

    async def place(self, client_order_id: str, body: Values) -> None:
        """Send an order, once; the answer only acknowledges that it was taken.

        Raises:
            OrderRejected: Bybit refused it.
            OrderOutcomeUnknown: It may have arrived, or an order of this id is there already.
            VenueError: It did not arrive.
        """
        try:
            await self._post("/v5/order/create", body, ORDER_WINDOW_MS)
        except (AnswerLost, _ServerFault) as lost:
            raise OrderOutcomeUnknown(client_order_id, str(lost)) from lost
        except ClockSkew:
            await self._measure_quietly()
            raise
        except Refusal as refusal:
            if refusal.is_existing:
                raise OrderOutcomeUnknown(client_order_id, str(refusal)) from refusal
            raise _REJECTIONS.get(refusal.code, OrderRejected)(client_order_id, str(refusal)) from refusal

    async def cancel(self, body: Values) -> None:
        """Cancel an order.

        Raises:
            Refusal: Bybit refused what was asked.
            VenueError: It cannot be asked, or refuses us.
        """
        await self._post("/v5/order/cancel", body, _READ_WINDOW_MS)

    def login(self) -> list[object]:
        """The `args` of a socket's `auth`."""
        expires = self._now_ms() + _LOGIN_MS
        return [self._key, expires, self._hmac.hex(f"GET/realtime{expires}".encode())]

    async def _get(self, path: str, values: Values) -> Envelope:
        query = urlencode(values)
        headers = self._headers(query, _READ_WINDOW_MS)
        answer = await self._http.request("GET", f"{self._base}{path}?{query}", headers, None, _READ_S)
        return _checked(answer)

    async def _post(self, path: str, body: Values, window_ms: int) -> Envelope:
        text = json.dumps(body, separators=(",", ":"))
        headers = {**self._headers(text, window_ms), "Content-Type": "application/json"}
        answer = await self._http.request("POST", f"{self._base}{path}", headers, text.encode(), _ORDER_S)
        return _checked(answer)

    def _headers(self, payload: str, window_ms: int) -> dict[str, str]:
        stamp = str(self._now_ms())
        return {
            "X-BAPI-API-KEY": self._key,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": str(window_ms),
            "X-BAPI-SIGN": self._hmac.hex(f"{stamp}{self._key}{window_ms}{payload}".encode()),
        }

    async def _server_time_ms(self) -> int:
        answer = await self._http.request("GET", f"{self._base}/v5/market/time", {}, None, _READ_S)
        return _checked(answer).time_ms

    async def _measure_quietly(self) -> None:
        try:
            await self.open()
        except VenueError:
            # The order was refused for the clock, and that is what its owner is told.
            return

    def _now_ms(self) -> int:
        return (self._clock.now_ns() + self._offset_ns) // 1_000_000


def _checked(answer: Answer) -> Envelope:
    if answer.status >= 500 or answer.status == 408:
        raise _ServerFault(VENUE, f"HTTP {answer.status}")
    if answer.status != 200:
        raise venue_error(FailedRequestError("", "", answer.status, "", None))
    try:
        envelope = Envelope.model_validate_json(answer.text)
    except ValidationError as error:
        # Whatever it was, it was not a refusal.
        raise _ServerFault(VENUE, "answered something that is not understood") from error
    if envelope.code:
        raise _complaint(envelope)
    return envelope


def _complaint(envelope: Envelope) -> VenueError:
    words = f"{printable(envelope.message)} (code {envelope.code})"
    if envelope.code in _UNKNOWN:
        return _ServerFault(VENUE, words)
    error = venue_error(InvalidRequestError("", envelope.message, envelope.code, "", None))
    return Refusal(envelope.code, words) if type(error) is VenueError else error
