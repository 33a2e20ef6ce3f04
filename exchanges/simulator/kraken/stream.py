"""Kraken's v2 stream: tickers on every change of the best prices, trades, a heartbeat each second.

Source: https://docs.kraken.com/exchange/api-reference/spot-websocket-v2/ticker (and `trade`, `ping` beside it). Books
are refused: there are none here.
"""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from bot.clock import Clock, Timer
from exchanges.simulator.bybit.connection import Connection
from exchanges.simulator.bybit.wire import frame
from exchanges.simulator.core.ports import Exchange
from exchanges.simulator.core.values import BookChanged, MarketEvent, TradePrinted
from exchanges.simulator.kraken.pairs import Pair, Pairs

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BEAT_S = 1.0
_MOST_UNSENT = 4_000_000
_MOST_BYTES = 64 * 1024
_HEARTBEAT = frame('{"channel":"heartbeat"}')
_CHANNELS = ("ticker", "trade")


class KrakenStream:
    """Everybody who listens to one exchange."""

    def __init__(self, exchange: Exchange, pairs: Pairs, clock: Clock) -> None:
        """Listen to the exchange's market from now on; `close` ends it."""
        self._exchange = exchange
        self._pairs = pairs
        self._clock = clock
        self._stop: Callable[[], None] = exchange.subscribe(self._on_events)
        self._heard: dict[tuple[str, int], dict[Connection, None]] = {}
        self._sockets: dict[web.WebSocketResponse, Connection] = {}
        self._told_us: dict[int, int] = {}
        """By listing: the time on its newest ticker, which is its sequence."""
        self._timer: Timer | None = None

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one client until it goes."""
        response = web.WebSocketResponse(compress=False, max_msg_size=_MOST_BYTES, timeout=1.0)
        if not response.can_prepare(request):
            return web.Response(status=400, text="a WebSocket is wanted")
        await response.prepare(request)
        if request.transport is None:
            return response
        connection = self._sockets[response] = Connection(request.transport, "", _MOST_UNSENT)
        connection.send(frame('{"channel":"status","type":"update","data":[{"system":"online","version":"2.0.0"}]}'))
        self._beat()
        try:
            async for message in response:
                if message.type is WSMsgType.TEXT:
                    self._hear(connection, message.data)
        finally:
            connection.is_open = False
            del self._sockets[response]
            for listeners in self._heard.values():
                listeners.pop(connection, None)
        return response

    async def close(self) -> None:
        """Say goodbye to everybody; hear and say nothing any more."""
        self._stop()
        if self._timer is not None:
            self._timer.cancel()
        for response in list(self._sockets):
            await response.close(code=WSCloseCode.GOING_AWAY)

    def _beat(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for connection in self._sockets.values():
            connection.send(_HEARTBEAT)
        self._timer = self._clock.call_later(_BEAT_S, self._beat) if self._sockets else None

    # What clients say

    def _hear(self, connection: Connection, text: str) -> None:
        try:
            asked = json.loads(text)
            method = asked["method"]
        except (ValueError, TypeError, KeyError):
            connection.say({"error": "Malformed request", "success": False})
            return
        if method == "ping":
            now = _iso(self._exchange.now_ns() // 1_000)
            connection.say({"method": "pong", "time_in": now, "time_out": now})
        elif method == "subscribe" and isinstance(asked.get("params"), dict):
            self._subscribe(connection, asked["params"])
        else:
            connection.say({"method": str(method)[:40], "error": "Unknown method", "success": False})

    def _subscribe(self, connection: Connection, params: dict[str, Any]) -> None:
        channel, symbols = params.get("channel"), params.get("symbol")
        for symbol in symbols if isinstance(symbols, list) else [symbols]:
            pair = self._pairs.streamed(str(symbol))
            if pair is None or channel not in _CHANNELS:
                words = f"Currency pair not supported {symbol}" if pair is None else "Channel not supported"
                connection.say({"method": "subscribe", "success": False, "error": words[:80]})
                continue
            result = {"channel": channel, "symbol": pair.stream_name, "snapshot": params.get("snapshot", True)}
            connection.say({"method": "subscribe", "success": True, "result": result})
            self._heard.setdefault((str(channel), pair.index), {})[connection] = None
            if channel == "ticker":
                connection.send(self._ticker(pair, "snapshot", self._exchange.now_ns()))

    # What the market does

    def _on_events(self, events: Sequence[MarketEvent]) -> None:
        for event in events:
            kind = "trade" if isinstance(event, TradePrinted) else "ticker"
            listeners = self._heard.get((kind, event.listing))
            pair = self._pairs.at(event.listing)
            if not listeners or pair is None:
                continue
            if isinstance(event, TradePrinted):
                data = _trade(pair, event)
            elif isinstance(event, BookChanged) and event.top_changed:
                data = self._ticker(pair, "update", event.ts_ns)
            else:
                continue
            for connection in list(listeners):
                connection.send(data)

    def _ticker(self, pair: Pair, kind: str, ts_ns: int) -> bytes:
        bids, asks = self._exchange.market.levels(pair.index, 1)
        # Kraken's time is all that orders its tickers: no two of a pair may have the same.
        at_us = self._told_us[pair.index] = max(ts_ns // 1_000, self._told_us.get(pair.index, 0) + 1)
        bid, ask = (side[0] if side else (0, 0) for side in (bids, asks))
        figures = (
            f'"bid":{pair.grid.price(bid[0])},"bid_qty":{pair.grid.quantity(bid[1])},'
            f'"ask":{pair.grid.price(ask[0])},"ask_qty":{pair.grid.quantity(ask[1])}'
        )
        row = f'{{"symbol":"{pair.stream_name}",{figures},"timestamp":"{_iso(at_us)}"}}'
        return frame(f'{{"channel":"ticker","type":"{kind}","data":[{row}]}}')


def _trade(pair: Pair, trade: TradePrinted) -> bytes:
    side = "sell" if trade.buyer_is_maker else "buy"
    row = (
        f'{{"symbol":"{pair.stream_name}","side":"{side}","price":{pair.grid.price(trade.ticks)},'
        f'"qty":{pair.grid.quantity(trade.lots)},"ord_type":"limit","trade_id":{trade.trade_id},'
        f'"timestamp":"{_iso(trade.ts_ns // 1_000)}"}}'
    )
    return frame(f'{{"channel":"trade","type":"update","data":[{row}]}}')


def _iso(microseconds: int) -> str:
    moment = _EPOCH + timedelta(microseconds=microseconds)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
