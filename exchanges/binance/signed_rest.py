"""Signed requests to one segment of Binance.

Source: https://developers.binance.com/docs (request security).
"""

from typing import TypeVar
from urllib.parse import urlencode

from pydantic import TypeAdapter, ValidationError

from bot.clock import Clock
from bot.domain.instrument import Feed, Segment
from bot.errors import VenueUnavailable
from exchanges.binance.endpoints import VENUE
from exchanges.binance.library_rest import LibraryRest
from exchanges.binance.private_schemas import ServerTime
from exchanges.binance.refusals import checked, code_of
from exchanges.binance.request_costs import adopt, cost, learn, refused_for
from exchanges.common.account.order_carrier import ORDER_WINDOW_MS
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.keyed_rest import ORDER_S, READ_S, READ_WINDOW_MS, KeyedRest
from exchanges.common.requests.request_budget import Cost
from exchanges.common.requests.request_pool import Lane
from exchanges.common.requests.venue_http import Answer, VenueHttp

_T = TypeVar("_T")
Values = dict[str, str]


class SignedRest(KeyedRest[str]):
    """One segment with one key."""

    def __init__(self, feed: Feed, base_url: str, keys: ApiKeys, http: VenueHttp, clock: Clock) -> None:
        """Nothing is sent before `open`.

        Raises:
            SettingsError: If the key must not be used at `base_url`.
        """
        super().__init__(base_url, keys, http, clock, checked)
        self._feed = feed
        self._prefix = "/api" if feed.segment is Segment.SPOT else "/fapi"
        self._time = "/v3/time" if feed.segment is Segment.SPOT else "/v1/time"
        self._headers = {"X-MBX-APIKEY": self._key}
        self._library = LibraryRest(keys.key, keys.secret)

    async def read(self, path: str, kind: TypeAdapter[_T], values: Values, lane: Lane = Lane.READ) -> _T:
        """A signed question; asked once more when Binance did not like our clock.

        Raises:
            Refusal: Binance refused what was asked.
            VenueError: It cannot be asked, or refuses us.
        """
        text = await self._asked(lambda: self._signed("GET", path, values, READ_WINDOW_MS, READ_S, lane))
        return _understood(path, kind, text)

    async def public(self, path: str, kind: TypeAdapter[_T], values: Values) -> _T:
        """A question that needs no key.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """
        return _understood(path, kind, await self.public_text(path, values))

    async def public_text(self, path: str, values: Values, lane: Lane = Lane.READ) -> str:
        """The same as it came.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """
        url = self._url(path) + _query(values)
        charged = cost(self._feed, "GET", path, values)
        return await self._paid(charged, lane, lambda: self._http.request("GET", url, {}, None, READ_S))

    async def learn_limits(self, symbol: str) -> None:
        """Ask how much may be asked; `symbol` is one that it lists, for spot's answer is of any length without.

        Raises:
            VenueError: It cannot be asked, refuses, or names no limits: the published ones hold then.
        """
        is_spot = self._feed.segment is Segment.SPOT
        path, values = ("/v3/exchangeInfo", {"symbol": symbol}) if is_spot else ("/v1/exchangeInfo", {})
        text = await self.public_text(path, values)
        try:
            adopt(self._http.budget, self._feed, text)
        except ValidationError as error:
            raise VenueUnavailable(VENUE, f"answered {path} without its limits") from error

    async def key_only(self, method: str, path: str) -> str:
        """A request with the key and without a signature (`listenKey`): the answer's text.

        Raises:
            VenueError: It cannot be asked, or refuses.
        """
        url = self._url(path)
        charged = cost(self._feed, method, path, {})
        return await self._paid(
            charged, Lane.READ, lambda: self._http.request(method, url, self._headers, None, READ_S)
        )

    async def place(self, path: str, client_order_id: str, values: Values, lane: Lane = Lane.ORDER) -> None:
        """Send an order, once.

        Raises:
            OrderRejected: Binance refused it.
            OrderOutcomeUnknown: It may have arrived.
            Refusal: An order of this id may be there already: ask.
            VenueError: It did not arrive.
        """
        await self.sent_once(client_order_id, self._signed("POST", path, values, ORDER_WINDOW_MS, ORDER_S, lane))

    async def cancel(self, path: str, values: Values) -> None:
        """Cancel an order.

        Raises:
            Refusal: Binance refused what was asked.
            VenueError: It cannot be asked, or refuses us.
        """
        await self._signed("DELETE", path, values, READ_WINDOW_MS, ORDER_S, Lane.REDUCE)

    async def set_switch(self, path: str, values: Values) -> None:
        """Arm or put away a dead-man switch; that our key may not do so says nothing of the rest.

        Raises:
            Refusal: Binance refused what was asked.
            VenueError: It cannot be asked, or refuses us.
        """
        await self._signed("POST", path, values, READ_WINDOW_MS, READ_S, Lane.REDUCE, may_lack_right=True)

    def stamped(self, values: Values) -> Values:
        """`values` with the key, the time and a signature over all of it, sorted as the WebSocket API wants it."""
        full = {**values, "apiKey": self._key, "timestamp": str(self._now_ms())}
        ordered = dict(sorted(full.items()))
        text = "&".join(f"{name}={value}" for name, value in ordered.items())
        return {**ordered, "signature": self._hmac.hex(text.encode())}

    async def _signed(
        self,
        method: str,
        path: str,
        values: Values,
        window_ms: int,
        timeout_s: float,
        lane: Lane,
        *,
        may_lack_right: bool = False,
    ) -> str:
        async def send() -> Answer:
            formed = await self._library.formed(method, self._url(path), values, window_ms, self._now_ms())
            return await self._http.request(formed.method, formed.url, formed.headers, formed.body, timeout_s)

        charged = cost(self._feed, method, path, values)
        return await self._paid(charged, lane, send, may_lack_right=may_lack_right)

    def _learn(self, answer: Answer, charged: Cost) -> None:
        learn(self._http.budget, self._feed, answer)

    def _refused_for(self, answer: Answer, charged: Cost) -> list[str]:
        return refused_for(self._feed, code_of(answer), charged)

    async def _server_time_ms(self) -> int:
        return (await self.public(self._time, TypeAdapter(ServerTime), {})).ms

    def _url(self, path: str) -> str:
        return f"{self._base}{self._prefix}{path}"


def _understood(path: str, kind: TypeAdapter[_T], text: str) -> _T:
    try:
        return kind.validate_json(text)
    except ValidationError as error:
        raise VenueUnavailable(VENUE, f"answered {path} in an unknown way") from error


def _query(values: Values) -> str:
    return f"?{urlencode(values)}" if values else ""
