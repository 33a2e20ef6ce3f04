"""Signed requests to one segment of Binance, and what their errors mean for an order.

Source: https://developers.binance.com/docs (request security, error codes of spot and USDⓈ-M).
"""

import json
from typing import Any, TypeVar
from urllib.parse import urlencode

from pydantic import TypeAdapter, ValidationError

from bot.clock import Clock
from bot.domain.instrument import Feed, Segment
from bot.errors import (
    BelowMinimum,
    ClockSkew,
    InsufficientBalance,
    OrderError,
    OrderOutcomeUnknown,
    OrderRejected,
    VenueError,
    VenueUnavailable,
)
from exchanges.binance.endpoints import VENUE
from exchanges.binance.errors import as_venue_error
from exchanges.binance.library import BinanceAPIException
from exchanges.binance.private_schemas import ServerTime
from exchanges.common.api_keys import ApiKeys, Hmac
from exchanges.common.clock_offset import measure_offset
from exchanges.common.loopback import require_loopback
from exchanges.common.order_carrier import ORDER_WINDOW_MS
from exchanges.common.plan import printable
from exchanges.common.venue_http import Answer, AnswerLost, VenueHttp

_READ_S = 5.0
_ORDER_S = 1.0
_READ_WINDOW_MS = 5000
_FORM = "application/x-www-form-urlencoded"

_OVERLOADED = -1008
"""Turned away before the matching engine saw it, for all that the status is a 503."""
_UNKNOWN = frozenset({-1006, -1007})
_NO_SUCH_ORDER = frozenset({-2011, -2013})
_MAY_EXIST = frozenset({-2010, -4116})
"""A client order id that is there already; spot says -2010 for that and for a wallet that does not cover it."""
_REJECTIONS: dict[int, type[OrderRejected]] = {
    -2018: InsufficientBalance,
    -2019: InsufficientBalance,
    -4004: BelowMinimum,
    -4164: BelowMinimum,
}

_T = TypeVar("_T")
Values = dict[str, str]


class Refusal(VenueError):
    """Binance refused one request for what it asked; `code` is Binance's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(VENUE, message)
        self.code = code

    @property
    def is_no_such_order(self) -> bool:
        """Whether it says that the order is unknown, or over."""
        return self.code in _NO_SUCH_ORDER

    @property
    def may_exist(self) -> bool:
        """Whether an order of this client order id may be there already."""
        return self.code in _MAY_EXIST


class SignedRest:
    """One segment with one key."""

    def __init__(self, feed: Feed, base_url: str, keys: ApiKeys, http: VenueHttp, clock: Clock) -> None:
        """Nothing is sent before `open`.

        Raises:
            SettingsError: If `base_url` is not on this machine.
        """
        self._base = require_loopback(base_url)
        self._prefix = "/api" if feed.segment is Segment.SPOT else "/fapi"
        self._time = "/v3/time" if feed.segment is Segment.SPOT else "/v1/time"
        self._headers = {"X-MBX-APIKEY": keys.key.get_secret_value()}
        self._form_headers = {**self._headers, "Content-Type": _FORM}
        self._hmac = Hmac(keys.secret)
        self._http = http
        self._clock = clock
        self._offset_ns = 0

    async def open(self) -> None:
        """Measure Binance's clock.

        Raises:
            VenueError: It cannot be asked.
        """
        self._offset_ns, _ = await measure_offset(self._server_time_ms, self._clock)

    async def read(self, path: str, kind: TypeAdapter[_T], values: Values) -> _T:
        """A signed question; asked once more when Binance did not like our clock.

        Raises:
            Refusal: Binance refused what was asked.
            VenueError: It cannot be asked, or refuses us.
        """
        try:
            return kind.validate_json(await self._signed("GET", path, values, _READ_WINDOW_MS, _READ_S))
        except ClockSkew:
            await self.open()
            return kind.validate_json(await self._signed("GET", path, values, _READ_WINDOW_MS, _READ_S))
        except ValidationError as error:
            raise VenueUnavailable(VENUE, f"answered {path} in an unknown way") from error

    async def public(self, path: str, kind: TypeAdapter[_T], values: Values) -> _T:
        """A question that needs no key.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """
        answer = await self._http.request("GET", self._url(path) + _query(values), {}, None, _READ_S)
        return _understood(path, kind, _checked(answer))

    async def key_only(self, method: str, path: str) -> str:
        """A request with the key and without a signature (`listenKey`): the answer's text.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """
        answer = await self._http.request(method, self._url(path), self._headers, None, _READ_S)
        return _checked(answer)

    async def place(self, path: str, client_order_id: str, values: Values) -> None:
        """Send an order, once.

        Raises:
            OrderRejected: Binance refused it.
            OrderOutcomeUnknown: It may have arrived.
            Refusal: An order of this id may be there already: ask.
            VenueError: It did not arrive.
        """
        try:
            await self._signed("POST", path, values, ORDER_WINDOW_MS, _ORDER_S)
        except AnswerLost as lost:
            raise OrderOutcomeUnknown(client_order_id, str(lost)) from lost
        except ClockSkew:
            await self._measure_quietly()
            raise
        except _ServerFault as fault:
            raise OrderOutcomeUnknown(client_order_id, str(fault)) from fault
        except Refusal as refusal:
            if refusal.may_exist:
                raise
            raise _rejected(client_order_id, refusal) from refusal

    async def cancel(self, path: str, values: Values) -> None:
        """Cancel an order.

        Raises:
            Refusal: Binance refused what was asked.
            VenueError: It cannot be asked, or refuses us.
        """
        await self._signed("DELETE", path, values, _READ_WINDOW_MS, _ORDER_S)

    def stamped(self, values: Values) -> Values:
        """`values` with the key, the time and a signature over all of it, sorted as the WebSocket API wants it."""
        full = {**values, "apiKey": self._headers["X-MBX-APIKEY"], "timestamp": str(self._now_ms())}
        ordered = dict(sorted(full.items()))
        text = "&".join(f"{name}={value}" for name, value in ordered.items())
        return {**ordered, "signature": self._hmac.hex(text.encode())}

    async def _signed(self, method: str, path: str, values: Values, window_ms: int, timeout_s: float) -> str:
        text = urlencode({**values, "recvWindow": str(window_ms), "timestamp": str(self._now_ms())})
        text = f"{text}&signature={self._hmac.hex(text.encode())}"
        url = self._url(path)
        if method == "POST":
            answer = await self._http.request(method, url, self._form_headers, text.encode(), timeout_s)
        else:
            answer = await self._http.request(method, f"{url}?{text}", self._headers, None, timeout_s)
        return _checked(answer)

    async def _server_time_ms(self) -> int:
        return (await self.public(self._time, TypeAdapter(ServerTime), {})).ms

    async def _measure_quietly(self) -> None:
        try:
            await self.open()
        except VenueError:
            # The order was refused for the clock, and that is what its owner is told.
            return

    def _now_ms(self) -> int:
        return (self._clock.now_ns() + self._offset_ns) // 1_000_000

    def _url(self, path: str) -> str:
        return f"{self._base}{self._prefix}{path}"


class _ServerFault(VenueUnavailable):
    """A fault inside Binance: the request may have done what it asked."""


def _checked(answer: Answer) -> str:
    if 200 <= answer.status < 300:
        return answer.text
    code, message = _complaint(answer.text)
    words = f"HTTP {answer.status}, code {code}: {printable(message)}"
    if code != _OVERLOADED and (answer.status >= 500 or answer.status == 408 or code in _UNKNOWN):
        raise _ServerFault(VENUE, words)
    body = json.dumps({"code": code, "msg": message})
    error = as_venue_error(BinanceAPIException(answer, answer.status, body))
    if type(error) is VenueError:
        raise Refusal(code, words)
    raise error


def _complaint(text: str) -> tuple[int, str]:
    try:
        body: Any = json.loads(text)
        return int(body["code"]), str(body["msg"])
    except (ValueError, TypeError, KeyError):
        return 0, ""


def complaint(venue_code: int, message: str, status: int) -> VenueError:
    """An error that came over the WebSocket API, as the same one over REST."""
    try:
        _checked(Answer(status, {}, json.dumps({"code": venue_code, "msg": message})))
    except VenueError as error:
        return error
    return VenueUnavailable(VENUE, f"answered with status {status} and an error")


def _rejected(client_order_id: str, refusal: Refusal) -> OrderError:
    return _REJECTIONS.get(refusal.code, OrderRejected)(client_order_id, str(refusal))


def _understood(path: str, kind: TypeAdapter[_T], text: str) -> _T:
    try:
        return kind.validate_json(text)
    except ValidationError as error:
        raise VenueUnavailable(VENUE, f"answered {path} in an unknown way") from error


def _query(values: Values) -> str:
    return f"?{urlencode(values)}" if values else ""
