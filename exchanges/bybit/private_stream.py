"""Bybit's private stream: orders, executions, positions and the wallet on one socket.

Source: https://bybit-exchange.github.io/docs/v5/ws/connect.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NoReturn

import aiohttp
from pydantic import ValidationError

from bot.domain.instrument import Feed, Instrument
from bot.errors import AuthenticationFailed, ClockSkew, MalformedPayload, VenueUnavailable
from exchanges.bybit.account_requests import WALLET, balance_of, funding_of, position_of
from exchanges.bybit.margins import wallet_margin
from exchanges.bybit.normalize import LINEAR, SPOT, VENUE
from exchanges.bybit.order_requests import fill_of, report_of
from exchanges.bybit.private_schemas import ExecutionRow, ExecutionRows, OrderRows, PositionRows, WalletRows
from exchanges.bybit.signed_rest import SignedRest
from exchanges.common.account.funding_desk import FundingDesk
from exchanges.common.account.order_desk import OrderDesk
from exchanges.common.account.wallet_book import WalletBook
from exchanges.common.background import Log
from exchanges.common.market.plan import printable
from exchanges.common.requests.venue_http import VenueHttp

_TOPICS = ("order", "execution", "position", "wallet")
_ANSWER_S = 5.0
_PING_EVERY_S = 20.0
"""A private connection without a message is cut after ten minutes."""
_PROTECTING = "dcp"
_FEEDS = {"spot": SPOT, "linear": LINEAR}


class PrivateTopics:
    """What messages do: orders and fills to the desk, balances and positions to the wallets."""

    def __init__(
        self,
        by_feed: Mapping[Feed, Mapping[str, Instrument]],
        desk: OrderDesk,
        wallets: WalletBook,
        funding: FundingDesk,
        log: Log,
    ) -> None:
        self._by_feed = by_feed
        self._desk = desk
        self._wallets = wallets
        self._funding = funding
        self._log = log
        self._by_topic: dict[str, Callable[[Any], None]] = {
            "order": lambda message: self._on_orders(OrderRows.model_validate(message)),
            "execution": lambda message: self._on_executions(ExecutionRows.model_validate(message)),
            "position": lambda message: self._on_positions(PositionRows.model_validate(message)),
            "wallet": lambda message: self._on_wallets(WalletRows.model_validate(message)),
        }

    def take(self, message: Any) -> None:
        """Take one message; an answer, or a topic that nobody asked for, changes nothing.

        Raises:
            MalformedPayload: If it is not what its topic says.
        """
        if not isinstance(message, dict):
            raise MalformedPayload("not an object")
        take = self._by_topic.get(str(message.get("topic")))
        if take is None:
            return
        try:
            take(message)
        except ValidationError as error:
            raise MalformedPayload(f"topic {message['topic']} is not as documented") from error

    def _on_orders(self, message: OrderRows) -> None:
        for row in message.rows:
            if self._desk.find(row.client_order_id) is None:
                order = printable(row.client_order_id or row.order_id, 40)
                self._log("warning", f"bybit: order {order} ({row.words}) is none of this run")
                continue
            self._desk.on_report(report_of(row))

    def _on_executions(self, message: ExecutionRows) -> None:
        for row in message.rows:
            instrument = self._instrument(row.category, row.symbol)
            if instrument is not None:
                self._on_execution(instrument, row)

    def _on_execution(self, instrument: Instrument, row: ExecutionRow) -> None:
        if row.kind == "Funding":
            self._funding.take(funding_of(instrument, row, self._wallets))
            return
        fill = fill_of(instrument, row)
        if fill is not None and self._desk.on_fill(fill) and row.profit:
            self._wallets.add_realised(instrument, row.profit)

    def _on_positions(self, message: PositionRows) -> None:
        for row in message.rows:
            instrument = self._instrument(row.category, row.symbol)
            if instrument is not None and not row.index:
                self._wallets.set_position(position_of(instrument, row, self._wallets))

    def _on_wallets(self, message: WalletRows) -> None:
        for row in message.rows:
            if row.account == "UNIFIED":
                for coin in row.coins:
                    self._wallets.set_balance(balance_of(coin))
                if (margin := wallet_margin(WALLET, row)) is not None:
                    self._wallets.set_margin(margin)

    def _instrument(self, category: str, symbol: str) -> Instrument | None:
        feed = _FEEDS.get(category)
        return None if feed is None else self._by_feed.get(feed, {}).get(symbol)


class BybitPrivateStream:
    """Bybit's private socket: a `PrivateProtocol`."""

    venue = VENUE
    name = "bybit private stream"
    beat_every_s = _PING_EVERY_S

    def __init__(self, url: str, rest: SignedRest, http: VenueHttp, topics: PrivateTopics) -> None:
        self._url = http.hosts.require(url)
        self._rest = rest
        self._http = http
        self._topics = topics
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._protections: set[str] = set()
        self.on_unprotected: Callable[[str], None] = lambda why: None
        """Hears, in Bybit's words, that it does not offer disconnection protection to this account."""

    async def connect(self) -> aiohttp.ClientWebSocketResponse:
        """A socket that is logged in and subscribed.

        Raises:
            VenueError: Why there is none.
        """
        socket = await self._http.socket(self._url)
        try:
            if not await self._ask(socket, {"op": "auth", "args": self._rest.login()}):
                await self._refused()
            if not await self._ask(socket, {"op": "subscribe", "args": list(_TOPICS)}):
                raise VenueUnavailable(VENUE, "refused the subscription to the private topics")
            for topic in tuple(self._protections):
                # Apart from the others: an account that has lost it keeps its orders and fills.
                await socket.send_json(_joining(topic))
        except BaseException:  # a cancelled start too leaves nothing open
            await socket.close()
            raise
        self._socket = socket
        return socket

    async def _refused(self) -> NoReturn:
        # The answer has no code: a login that is too late, by a clock that has been set since, looks like a wrong key.
        if await self._rest.clock_moved():
            raise ClockSkew(VENUE, "refused the login to the private stream: its clock has moved, or ours")
        raise AuthenticationFailed(VENUE, "refused the login to the private stream; check the key")

    async def protect(self, topic: str) -> None:
        """Join a topic of disconnection protection, now and on every connection to come.

        Raises:
            VenueError: There is no connection now.
        """
        if topic not in self._protections:
            self._protections.add(topic)
            await self._say(_joining(topic))

    async def unprotect(self, topics: frozenset[str]) -> None:
        """Leave these topics; the connection that is gone has left them already."""
        self._protections -= topics
        with suppress(VenueUnavailable):
            await self._say({"op": "unsubscribe", "args": sorted(topics)})

    async def sign_of_life(self) -> None:
        """Let Bybit hear of us.

        Raises:
            VenueError: There is no connection now.
        """
        await self._say({"op": "ping"})

    async def _say(self, message: dict[str, Any]) -> None:
        try:
            if self._socket is None or self._socket.closed:
                raise VenueUnavailable(VENUE, "the private stream is not connected")
            await self._socket.send_json(message)
        except (aiohttp.ClientError, OSError) as error:
            raise VenueUnavailable(VENUE, f"the private stream broke ({type(error).__name__})") from error

    async def _ask(self, socket: aiohttp.ClientWebSocketResponse, request: dict[str, Any]) -> bool:
        """Whether it was granted; messages that come before the answer are taken."""
        await socket.send_json(request)
        while True:
            try:
                message = await socket.receive(timeout=_ANSWER_S)
            except TimeoutError as error:
                raise VenueUnavailable(VENUE, f"did not answer {request['op']} on the private stream") from error
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise VenueUnavailable(VENUE, f"hung up on {request['op']} on the private stream")
            answer = _parsed(message.data)
            if isinstance(answer, dict) and answer.get("op") == request["op"]:
                return answer.get("success") is True
            self._topics.take(answer)

    async def beat(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Ping, as Bybit wants it: as a message."""
        await socket.send_str('{"op":"ping"}')

    def on_text(self, text: str) -> bool:
        """Take one message.

        Raises:
            MalformedPayload: If it is not understood.
        """
        message = _parsed(text)
        if isinstance(message, dict) and message.get("req_id") == _PROTECTING and message.get("success") is False:
            self.on_unprotected(printable(message.get("ret_msg")))
        self._topics.take(message)
        return True


def _joining(topic: str) -> dict[str, Any]:
    return {"op": "subscribe", "req_id": _PROTECTING, "args": [topic]}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise MalformedPayload("not JSON") from error
