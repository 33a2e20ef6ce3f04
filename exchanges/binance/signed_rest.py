"""Signed requests to one segment of Binance.

Source: https://developers.binance.com/docs (request security).
"""

from typing import TypeVar
from urllib.parse import urlencode

from pydantic import TypeAdapter, ValidationError

from bot.clock import Clock
from bot.domain.instrument import Feed, Segment
from bot.errors import (
    Banned,
    ClockSkew,
    GeoBlocked,
    OrderOutcomeUnknown,
    VenueError,
    VenueUnavailable,
)
from exchanges.binance.endpoints import VENUE
from exchanges.binance.private_schemas import ServerTime
from exchanges.binance.refusals import Refusal, ServerFault, checked, rejected
from exchanges.common.api_keys import ApiKeys, Hmac
from exchanges.common.clock_offset import measure_offset
from exchanges.common.loopback import require_loopback
from exchanges.common.order_carrier import ORDER_WINDOW_MS
from exchanges.common.venue_http import Answer, AnswerLost, VenueHttp

_READ_S = 5.0
_ORDER_S = 1.0
_READ_WINDOW_MS = 5000
_FORM = "application/x-www-form-urlencoded"

_T = TypeVar("_T")
Values = dict[str, str]


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
            text = await self._signed("GET", path, values, _READ_WINDOW_MS, _READ_S)
        except ClockSkew:
            await self.open()
            text = await self._signed("GET", path, values, _READ_WINDOW_MS, _READ_S)
        return _understood(path, kind, text)

    async def public(self, path: str, kind: TypeAdapter[_T], values: Values) -> _T:
        """A question that needs no key.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """
        answer = await self._http.request("GET", self._url(path) + _query(values), {}, None, _READ_S)
        return _understood(path, kind, self._checked(answer))

    async def key_only(self, method: str, path: str) -> str:
        """A request with the key and without a signature (`listenKey`): the answer's text.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """
        answer = await self._http.request(method, self._url(path), self._headers, None, _READ_S)
        return self._checked(answer)

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
        except ServerFault as fault:
            raise OrderOutcomeUnknown(client_order_id, str(fault)) from fault
        except Refusal as refusal:
            if refusal.may_exist:
                raise
            raise rejected(client_order_id, refusal) from refusal

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
        return self._checked(answer)

    def _checked(self, answer: Answer) -> str:
        try:
            return checked(answer)
        except (Banned, GeoBlocked) as ban:
            self._http.sit_out(ban)
            raise

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


def _understood(path: str, kind: TypeAdapter[_T], text: str) -> _T:
    try:
        return kind.validate_json(text)
    except ValidationError as error:
        raise VenueUnavailable(VENUE, f"answered {path} in an unknown way") from error


def _query(values: Values) -> str:
    return f"?{urlencode(values)}" if values else ""
