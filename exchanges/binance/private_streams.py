"""Binance's user-data streams: USDⓈ-M over a listen key, spot over the WebSocket API.

Source: https://developers.binance.com/docs (user data streams of USDⓈ-M; user data requests of the spot WebSocket API).
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import aiohttp
from pydantic import TypeAdapter, ValidationError

from bot.domain.account import Balance, Position
from bot.domain.instrument import Feed, Instrument
from bot.errors import Banned, GeoBlocked, MalformedPayload, RateLimited, VenueUnavailable
from bot.masking import KNOWN
from exchanges.binance.endpoints import VENUE
from exchanges.binance.order_requests import fill_of_event, report_of_event
from exchanges.binance.private_schemas import (
    AccountUpdate,
    Execution,
    ListenKey,
    OrderTradeUpdate,
    OutboundPosition,
)
from exchanges.binance.refusals import complaint
from exchanges.binance.signed_rest import SignedRest
from exchanges.common.account.order_desk import OrderDesk
from exchanges.common.account.wallet_book import WalletBook
from exchanges.common.background import Log
from exchanges.common.market.plan import printable
from exchanges.common.requests.venue_http import VenueHttp

_LISTEN_KEY = TypeAdapter(ListenKey)
_KEEP_ALIVE_S = 1200.0
"""A listen key lives an hour: where it cannot be renewed once, there is another turn before its end."""
_LOGIN_S = 5.0
_FUNDING = "FUNDING_FEE"


class UserEvents:
    """What events do: orders and fills to the desk, balances and positions to the wallets."""

    def __init__(
        self,
        feed: Feed,
        instruments: Mapping[str, Instrument],
        desk: OrderDesk,
        wallets: WalletBook,
        on_funding_due: Callable[[], None],
        log: Log,
    ) -> None:
        """Take the events of one feed; `on_funding_due` is called when funding was settled, to be asked for."""
        self._feed = feed
        self._instruments = instruments
        self._desk = desk
        self._wallets = wallets
        self._on_funding_due = on_funding_due
        self._log = log
        self._by_name: dict[str, Callable[[Any], None]] = {
            "ORDER_TRADE_UPDATE": lambda event: self._on_execution(OrderTradeUpdate.model_validate(event).order),
            "executionReport": lambda event: self._on_execution(Execution.model_validate(event)),
            "ACCOUNT_UPDATE": lambda event: self._on_account(AccountUpdate.model_validate(event)),
            "outboundAccountPosition": lambda event: self._on_balances(OutboundPosition.model_validate(event)),
        }

    def take(self, event: Any) -> str:
        """Take one event; answers its name. One of another kind changes nothing.

        Raises:
            MalformedPayload: If it is not what its name says.
        """
        name = event.get("e") if isinstance(event, dict) else None
        if not isinstance(name, str):
            raise MalformedPayload("an event without a name")
        take = self._by_name.get(name)
        if take is not None:
            try:
                take(event)
            except ValidationError as error:
                raise MalformedPayload(f"{name} is not as documented") from error
        return name

    def _on_execution(self, event: Execution) -> None:
        instrument = self._instruments.get(event.symbol)
        ours = self._desk.find(event.client_order_id)
        if instrument is None or ours is None:
            order = printable(event.client_order_id, 40)
            self._log("warning", f"{self._feed}: order {order} ({printable(event.words)}) is none of this run")
            if instrument is not None:
                self._tell_fill(instrument, event)  # the venue's own orders trade positions of ours
            return
        self._tell_fill(instrument, event)
        self._desk.on_report(report_of_event(event))

    def _tell_fill(self, instrument: Instrument, event: Execution) -> None:
        fill = fill_of_event(instrument, event)
        if fill is not None:
            self._desk.on_fill(fill)

    def _on_account(self, update: AccountUpdate) -> None:
        for row in update.change.balances:
            self._wallets.set_balance(Balance(wallet=str(self._feed), asset=row.asset, total=row.total))
        for moved in update.change.positions:
            instrument = self._instruments.get(moved.symbol)
            if instrument is not None and moved.side == "BOTH":
                position = Position(
                    instrument=instrument,
                    quantity=moved.quantity,
                    average_price=moved.entry_price if moved.quantity else 0,
                    realised=moved.realised,
                )
                self._wallets.set_position(position)
        if update.change.cause == _FUNDING:
            self._on_funding_due()

    def _on_balances(self, update: OutboundPosition) -> None:
        for row in update.balances:
            total = row.free + row.locked
            self._wallets.set_balance(Balance(wallet=str(self._feed), asset=row.asset, total=total, locked=row.locked))


class _UserStream:
    """What both of Binance's are made with."""

    venue = VENUE
    beat_every_s = _KEEP_ALIVE_S

    def __init__(self, stream_url: str, rest: SignedRest, http: VenueHttp, events: UserEvents) -> None:
        """Nothing is connected yet; events go to `events`.

        Raises:
            SettingsError: If the key must not be used at `stream_url`.
        """
        self._url = http.hosts.require(stream_url)
        self._rest = rest
        self._http = http
        self._events = events


class FuturesUserStream(_UserStream):
    """USDⓈ-M's user stream: a `PrivateProtocol`. Every connection asks for a listen key of its own."""

    name = "binance.linear private stream"

    async def connect(self) -> aiohttp.ClientWebSocketResponse:
        """A socket on the account's listen key.

        Raises:
            VenueError: Why there is none.
        """
        text = await self._rest.key_only("POST", "/v1/listenKey")
        try:
            key = _LISTEN_KEY.validate_json(text).key
        except ValidationError as error:
            raise VenueUnavailable(VENUE, "gave no listen key that can be used") from error
        KNOWN.remember_for_now(key)
        return await self._http.socket(f"{self._url}/private/ws?listenKey={key}")

    async def beat(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Keep the listen key alive.

        Raises:
            VenueError: It is no longer there.
        """
        # Who cannot be asked now gives no new key either: what is heard on this one goes on.
        with suppress(Banned, GeoBlocked, RateLimited, VenueUnavailable):
            await self._rest.key_only("PUT", "/v1/listenKey")

    def on_text(self, text: str) -> bool:
        """Take one event; False where the listen key has expired: the socket stays open then, and silent.

        Raises:
            MalformedPayload: If it is not understood.
        """
        return self._events.take(_parsed(text)) != "listenKeyExpired"


class SpotUserStream(_UserStream):
    """Spot's user stream on the WebSocket API: a `PrivateProtocol`. A lost subscription is never renewed by itself."""

    name = "binance.spot private stream"

    async def connect(self) -> aiohttp.ClientWebSocketResponse:
        """A socket that is subscribed to the account's events.

        Raises:
            VenueError: Why there is none.
        """
        socket = await self._http.socket(f"{self._url}/ws-api/v3")
        try:
            await self._subscribe(socket)
        except BaseException:  # a cancelled start too leaves nothing open
            await socket.close()
            raise
        return socket

    async def _subscribe(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        params: dict[str, Any] = self._rest.stamped({})
        params["timestamp"] = int(params["timestamp"])
        await socket.send_json({"id": "login", "method": "userDataStream.subscribe.signature", "params": params})
        try:
            message = await socket.receive(timeout=_LOGIN_S)
        except TimeoutError as error:
            raise VenueUnavailable(VENUE, "did not answer the login to spot's private stream") from error
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise VenueUnavailable(VENUE, "hung up on the login to spot's private stream")
        _check_login(message.data)

    async def beat(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Nothing to do: WebSocket pings keep it alive."""

    def on_text(self, text: str) -> bool:
        """Take one event; False where the venue has ended the stream.

        Raises:
            MalformedPayload: If it is not understood.
        """
        frame = _parsed(text)
        if not isinstance(frame, dict) or "event" not in frame:
            return True
        return self._events.take(frame["event"]) != "eventStreamTerminated"


def _check_login(text: str) -> None:
    try:
        answer = json.loads(text)
        status = int(answer["status"])
        refusal = answer.get("error") or {}
        code, message = int(refusal.get("code", 0)), str(refusal.get("msg", ""))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise VenueUnavailable(VENUE, "answered the login to spot's private stream in an unknown way") from error
    if status != 200:
        raise complaint(code, message, status)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise MalformedPayload("not JSON") from error
