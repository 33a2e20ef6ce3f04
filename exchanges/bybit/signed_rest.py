"""Signed requests to Bybit.

Source: https://bybit-exchange.github.io/docs/v5/guide (authentication).
"""

import json
from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, ValidationError

from bot.clock import Clock
from bot.errors import OrderOutcomeUnknown, VenueUnavailable
from exchanges.bybit.normalize import VENUE
from exchanges.bybit.private_schemas import Envelope
from exchanges.bybit.refusals import checked
from exchanges.common.api_keys import ApiKeys
from exchanges.common.keyed_rest import ORDER_S, READ_S, READ_WINDOW_MS, KeyedRest
from exchanges.common.order_carrier import ORDER_WINDOW_MS
from exchanges.common.refusals import Refusal
from exchanges.common.venue_http import VenueHttp

_LOGIN_MS = 10_000
"""pybit's second is broken by a second of delay."""

_T = TypeVar("_T", bound=BaseModel)
Values = dict[str, str]
Body = Mapping[str, str | bool]


class SignedRest(KeyedRest[Envelope]):
    """Bybit v5 with one key."""

    def __init__(self, base_url: str, keys: ApiKeys, http: VenueHttp, clock: Clock) -> None:
        """Nothing is sent before `open`.

        Raises:
            SettingsError: If `base_url` is not on this machine.
        """
        super().__init__(base_url, keys, http, clock, checked)

    async def read(self, path: str, kind: type[_T], values: Values) -> _T:
        """A signed question; asked once more when Bybit did not like our clock.

        Raises:
            Refusal: Bybit refused what was asked.
            VenueError: It cannot be asked, or refuses us.
        """
        envelope = await self._asked(lambda: self._get(path, values))
        try:
            return kind.model_validate(envelope.result)
        except ValidationError as error:
            raise VenueUnavailable(VENUE, f"answered {path} in an unknown way") from error

    async def place(self, client_order_id: str, body: Body) -> None:
        """Send an order, once; the answer only acknowledges that it was taken.

        Raises:
            OrderRejected: Bybit refused it.
            OrderOutcomeUnknown: It may have arrived, or an order of this id is there already.
            VenueError: It did not arrive.
        """
        try:
            await self._sent_once(client_order_id, self._post("/v5/order/create", body, ORDER_WINDOW_MS))
        except Refusal as refusal:
            raise OrderOutcomeUnknown(client_order_id, str(refusal)) from refusal

    async def cancel(self, body: Body) -> None:
        """Cancel an order.

        Raises:
            Refusal: Bybit refused what was asked.
            VenueError: It cannot be asked, or refuses us.
        """
        await self._post("/v5/order/cancel", body, READ_WINDOW_MS)

    def login(self) -> list[object]:
        """The `args` of a socket's `auth`."""
        expires = self._now_ms() + _LOGIN_MS
        return [self._key, expires, self._hmac.hex(f"GET/realtime{expires}".encode())]

    async def _get(self, path: str, values: Values) -> Envelope:
        query = urlencode(values)
        headers = self._headers(query, READ_WINDOW_MS)
        answer = await self._http.request("GET", f"{self._base}{path}?{query}", headers, None, READ_S)
        return self._checked(answer)

    async def _post(self, path: str, body: Body, window_ms: int) -> Envelope:
        text = json.dumps(body, separators=(",", ":"))
        headers = {**self._headers(text, window_ms), "Content-Type": "application/json"}
        answer = await self._http.request("POST", f"{self._base}{path}", headers, text.encode(), ORDER_S)
        return self._checked(answer)

    def _headers(self, payload: str, window_ms: int) -> dict[str, str]:
        stamp = str(self._now_ms())
        return {
            "X-BAPI-API-KEY": self._key,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": str(window_ms),
            "X-BAPI-SIGN": self._hmac.hex(f"{stamp}{self._key}{window_ms}{payload}".encode()),
        }

    async def _server_time_ms(self) -> int:
        answer = await self._http.request("GET", f"{self._base}/v5/market/time", {}, None, READ_S)
        return self._checked(answer).time_ms
