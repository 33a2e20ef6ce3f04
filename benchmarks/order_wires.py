"""Four ways to bring an order to the simulated exchanges, and an echo: each sends one and waits for the answer."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from pydantic import SecretStr

from bot.clock import SystemClock
from bot.domain.instrument import Feed, Segment
from bot.domain.order import Order
from exchanges.binance import order_requests as binance_orders
from exchanges.binance.signed_rest import SignedRest as BinanceRest
from exchanges.bybit import order_requests as bybit_orders
from exchanges.bybit.signed_rest import SignedRest as BybitRest
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.venue_http import VenueHttp
from exchanges.simulator.server import Address

SYMBOL = "BTCUSDT"
_WINDOW_MS = "5000"


class Wire(Protocol):
    """One way to send orders."""

    venue: str
    name: str

    async def send(self, order: Order) -> None:
        """Returns when the venue has answered that it took it.

        Raises:
            RuntimeError: If it has not (over a socket; over REST what `SignedRest.place` raises).
        """


class RestWire:
    """Over HTTP, by the bot's own client."""

    name = "REST"

    def __init__(self, venue: str, place: Callable[[Order], Any]) -> None:
        self.venue = venue
        self._place = place

    async def send(self, order: Order) -> None:
        """Send it and wait for the acknowledgement."""
        await self._place(order)


class SocketWire:
    """Over a WebSocket for orders, with nothing around it."""

    def __init__(self, venue: str, name: str, sockets: Mapping[Segment, "_Socket"], spell: "_Spell") -> None:
        self.venue = venue
        self.name = name
        self._sockets = sockets
        self._spell = spell

    async def send(self, order: Order) -> None:
        """Send it and wait for the acknowledgement."""
        answer = await self._sockets[order.instrument.segment].ask(order.client_order_id, self._spell(order))
        if answer.get("status", 200) != 200 or answer.get("retCode", 0):
            raise RuntimeError(f"{self.venue} {self.name} refused an order: {answer}")


class EchoWire:
    """An order as Binance's socket takes it, to a server that sends it back: what the way alone costs."""

    venue = "binance"
    name = "echo"

    def __init__(self, socket: "_Socket", spell: "_Spell") -> None:
        self._socket = socket
        self._spell = spell

    async def send(self, order: Order) -> None:
        """Send it and wait for it to come back."""
        await self._socket.ask(order.client_order_id, self._spell(order))


_Spell = Callable[[Order], Mapping[str, object]]


class _Socket(WSListener):
    """Answers by the id of their request."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self.transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.TEXT:
            answer = json.loads(frame.get_payload_as_bytes())
            self._waiting.pop(answer.get("id") or answer.get("reqId")).set_result(answer)

    async def ask(self, number: str, request: Mapping[str, object]) -> dict[str, Any]:
        assert self.transport is not None
        answered: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answered
        self.transport.send(WSMsgType.TEXT, json.dumps(request, separators=(",", ":")).encode())
        return await answered


@asynccontextmanager
async def order_wires(address: Address, echo_port: int) -> AsyncIterator[list[Wire]]:
    """All of them, connected and authenticated; the echo comes last."""
    keys = ApiKeys(key=SecretStr(address.credentials.api_key), secret=SecretStr(address.credentials.secret))
    https = {venue: VenueHttp(venue) for venue in ("binance", "bybit")}
    sockets: list[_Socket] = []
    for http in https.values():
        http.open()
    try:
        binance, bybit = _Binance(address, keys, https["binance"]), _Bybit(address, keys, https["bybit"])
        paths = ("/ws-fapi/v1", "/ws-api/v3", "/v5/trade")
        fapi, api, trade = [await _connected(address.ws_url + path, sockets) for path in paths]
        echo = await _connected(f"ws://127.0.0.1:{echo_port}/", sockets)
        await trade.ask("login", {"reqId": "login", "op": "auth", "args": bybit.rest.login()})
        yield [
            RestWire("binance", binance.place),
            SocketWire("binance", "ws-api", {Segment.LINEAR: fapi, Segment.SPOT: api}, binance.spelled),
            RestWire("bybit", bybit.place),
            SocketWire("bybit", "trade socket", dict.fromkeys((Segment.LINEAR, Segment.SPOT), trade), bybit.spelled),
            EchoWire(echo, binance.spelled),
        ]
    finally:
        for socket in sockets:
            assert socket.transport is not None
            socket.transport.disconnect()
        for http in https.values():
            await http.close()


async def _connected(url: str, sockets: list[_Socket]) -> _Socket:
    _, socket = await ws_connect(_Socket, url)
    assert isinstance(socket, _Socket)
    sockets.append(socket)
    return socket


class _Binance:
    """Orders in Binance's words."""

    def __init__(self, address: Address, keys: ApiKeys, http: VenueHttp) -> None:
        feeds = {one: Feed(venue="binance", segment=one) for one in (Segment.SPOT, Segment.LINEAR)}
        self._rests = {one: BinanceRest(feed, address.url, keys, http, SystemClock()) for one, feed in feeds.items()}
        self._paths = {Segment.SPOT: "/v3/order", Segment.LINEAR: "/v1/order"}

    async def place(self, order: Order) -> None:
        segment, values = order.instrument.segment, binance_orders.new_order(SYMBOL, order)
        await self._rests[segment].place(self._paths[segment], order.client_order_id, values)

    def spelled(self, order: Order) -> Mapping[str, object]:
        rest = self._rests[order.instrument.segment]
        params = rest.stamped({**binance_orders.new_order(SYMBOL, order), "recvWindow": _WINDOW_MS})
        return {"id": order.client_order_id, "method": "order.place", "params": params}


class _Bybit:
    """Orders in Bybit's words."""

    def __init__(self, address: Address, keys: ApiKeys, http: VenueHttp) -> None:
        self.rest = BybitRest(address.url, keys, http, SystemClock())
        self._clock = SystemClock()

    async def place(self, order: Order) -> None:
        await self.rest.place(order.client_order_id, bybit_orders.new_order(SYMBOL, order))

    def spelled(self, order: Order) -> Mapping[str, object]:
        stamp = str(self._clock.now_ns() // 1_000_000)
        return {
            "reqId": order.client_order_id,
            "header": {"X-BAPI-TIMESTAMP": stamp, "X-BAPI-RECV-WINDOW": _WINDOW_MS},
            "op": "order.create",
            "args": [bybit_orders.new_order(SYMBOL, order)],
        }
