"""Signed requests to Bybit.

Source: https://bybit-exchange.github.io/docs/v5/guide (authentication).
"""

from collections.abc import Awaitable, Mapping
from functools import partial
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from bot.clock import Clock
from bot.errors import OrderOutcomeUnknown, VenueUnavailable
from exchanges.bybit.library_rest import LibraryRest
from exchanges.bybit.normalize import VENUE
from exchanges.bybit.private_schemas import Envelope
from exchanges.bybit.refusals import checked, code_of
from exchanges.bybit.request_costs import cost, learn, refused_for, reset_ms
from exchanges.common.account.order_carrier import ORDER_WINDOW_MS
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.keyed_rest import ORDER_S, READ_S, READ_WINDOW_MS, KeyedRest
from exchanges.common.requests.refusals import Refusal
from exchanges.common.requests.request_budget import Cost
from exchanges.common.requests.request_pool import Lane
from exchanges.common.requests.venue_http import Answer, VenueHttp

_LOGIN_MS = 10_000
"""pybit's second is broken by a second of delay."""

_LONGEST_HOLD_MS = 60_000
"""Limits are counted by the second: a time further away is none of them."""

_T = TypeVar("_T", bound=BaseModel)
Values = dict[str, str]
Body = Mapping[str, str | bool | int]


class SignedRest(KeyedRest[Envelope]):
    """Bybit v5 with one key."""

    def __init__(self, base_url: str, keys: ApiKeys, http: VenueHttp, clock: Clock) -> None:
        """Nothing is sent before `open`.

        Raises:
            SettingsError: If the key must not be used at `base_url`.
        """
        super().__init__(base_url, keys, http, clock, checked)
        self._library = LibraryRest(keys.key, keys.secret, self._now_ms)

    async def read(self, path: str, kind: type[_T], values: Values, lane: Lane = Lane.READ) -> _T:
        """A signed question; asked once more when Bybit did not like our clock.

        Raises:
            Refusal: Bybit refused what was asked.
            VenueError: It cannot be asked, or refuses us.
        """
        envelope = await self._asked(lambda: self._get(path, values, lane))
        try:
            return kind.model_validate(envelope.result)
        except ValidationError as error:
            raise VenueUnavailable(VENUE, f"answered {path} in an unknown way") from error

    async def place(self, client_order_id: str, body: Body, lane: Lane = Lane.ORDER) -> None:
        """Send an order, once; the answer only acknowledges that it was taken.

        Raises:
            OrderRejected: Bybit refused it.
            OrderOutcomeUnknown: It may have arrived, or an order of this id is there already.
            VenueError: It did not arrive.
        """
        await self.settle(client_order_id, self._post("/v5/order/create", body, ORDER_WINDOW_MS, lane))

    async def settle(self, client_order_id: str, sending: Awaitable[object]) -> None:
        """What `sending` a new order, by whatever way, came to.

        Raises:
            OrderRejected: Bybit refused it.
            OrderOutcomeUnknown: It may have arrived, or an order of this id is there already.
            VenueError: It did not arrive.
        """
        try:
            await self.sent_once(client_order_id, sending)
        except Refusal as refusal:
            raise OrderOutcomeUnknown(client_order_id, str(refusal)) from refusal

    async def cancel(self, body: Body) -> None:
        """Cancel an order.

        Raises:
            Refusal: Bybit refused what was asked.
            VenueError: It cannot be asked, or refuses us.
        """
        await self._post("/v5/order/cancel", body, READ_WINDOW_MS, Lane.REDUCE)

    async def set_switch(self, path: str, body: Body) -> None:
        """Arm a dead-man switch; that our key may not do so says nothing of the rest.

        Raises:
            Refusal: Bybit refused what was asked.
            VenueError: It cannot be asked, or refuses us.
        """
        await self._post(path, body, READ_WINDOW_MS, Lane.REDUCE, may_lack_right=True)

    def login(self) -> list[object]:
        """The `args` of a socket's `auth`."""
        expires = self._now_ms() + _LOGIN_MS
        return [self._key, expires, self._hmac.hex(f"GET/realtime{expires}".encode())]

    def header(self, window_ms: int) -> dict[str, str]:
        """Of a request over the trade socket, which is refused when it is older than `window_ms` on arrival."""
        return {"X-BAPI-TIMESTAMP": str(self._now_ms()), "X-BAPI-RECV-WINDOW": str(window_ms)}

    async def _get(self, path: str, values: Values, lane: Lane) -> Envelope:
        send = partial(self._send, "GET", path, values, READ_WINDOW_MS, READ_S)
        return await self._paid(cost(path, values), lane, send)

    async def _post(
        self, path: str, body: Body, window_ms: int, lane: Lane, *, may_lack_right: bool = False
    ) -> Envelope:
        send = partial(self._send, "POST", path, body, window_ms, ORDER_S)
        return await self._paid(cost(path, body), lane, send, may_lack_right=may_lack_right)

    def _learn(self, answer: Answer, charged: Cost) -> None:
        learn(self._http.budget, charged, answer)

    def _refused_for(self, answer: Answer, charged: Cost) -> list[str]:
        return refused_for(charged, code_of(answer))

    def _held_s(self, answer: Answer) -> float | None:
        until_ms = reset_ms(answer)
        left_ms = 0 if until_ms is None else until_ms - self._now_ms()
        return left_ms / 1e3 if 0 < left_ms < _LONGEST_HOLD_MS else None

    async def _send(
        self, method: str, path: str, values: Mapping[str, object], window_ms: int, timeout_s: float
    ) -> Answer:
        formed = self._library.formed(method, f"{self._base}{path}", values, window_ms)
        return await self._http.request(formed.method, formed.url, formed.headers, formed.body, timeout_s)

    async def _server_time_ms(self) -> int:
        path = "/v5/market/time"
        send = partial(self._http.request, "GET", f"{self._base}{path}", {}, None, READ_S)
        return (await self._paid(cost(path, {}), Lane.READ, send)).time_ms
