"""Bybit's public frames into calls on a sink."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from bot.domain.instrument import Feed, Segment
from bot.errors import MalformedPayload
from bot.ports import FeedState, MarketSink
from exchanges.bybit.book import Level1Book
from exchanges.bybit.funding import FundingState
from exchanges.bybit.schemas import decode_quote, decode_ticker, decode_trades, why
from exchanges.common.market.plan import printable

_Handler = Callable[[bytes, int], None]

QUOTE_TOPIC = b"orderbook.1."
_TOPIC_AT = len(b'{"topic":"')
_QUOTE_MARK = ord('"')
_TYPE_AFTER_TOPIC = len(b'","ts":1753000000123,"type":"')


class BybitDecoder:
    """Decodes one feed, linear or spot. Every frame is routed by the topic that it begins with."""

    def __init__(self, feed: Feed, slots: Mapping[str, int], sink: MarketSink) -> None:
        self._feed = feed
        self._sink = sink
        self._handlers: dict[bytes, _Handler] = {}
        for symbol, slot in slots.items():
            name = symbol.encode()
            self._handlers[QUOTE_TOPIC + name] = _quotes(feed, QUOTE_TOPIC + name, slot, sink)
            self._handlers[b"publicTrade." + name] = _trades(feed, slot, sink)
            if feed.segment is not Segment.SPOT:  # spot tickers say nothing of funding
                self._handlers[b"tickers." + name] = _tickers(feed, slot, sink)

    def on_frame(self, raw: bytes, ts_recv_ns: int) -> None:
        """Decode one payload; what does not decode goes to the sink as malformed."""
        try:
            handler = self._handlers[raw[_TOPIC_AT : raw.index(_QUOTE_MARK, _TOPIC_AT)]]
        except (KeyError, ValueError):
            self._on_unrouted(raw, ts_recv_ns)
            return
        handler(raw, ts_recv_ns)

    def _on_unrouted(self, raw: bytes, ts_recv_ns: int) -> None:
        """Control frames, topics that nobody asked for, and known topics in an unusual spelling of JSON."""
        try:
            message = from_json(raw)
        except ValueError:
            self._sink.on_malformed(self._feed, raw, "not JSON")
            return
        if not isinstance(message, dict):
            self._sink.on_malformed(self._feed, raw, "not a JSON object")
            return
        topic = message.get("topic")
        handler = self._handlers.get(topic.encode()) if isinstance(topic, str) else None
        if handler is not None:
            handler(raw, ts_recv_ns)
        else:
            self._on_control(message)

    def _on_control(self, message: dict[str, Any]) -> None:
        # Acknowledgements and pongs carry success: true. One wrong topic refuses its whole subscribe message.
        if message.get("success") is False:
            said = printable(message.get("ret_msg"))
            self._sink.on_feed_state(self._feed, FeedState.FAILED, f"{self._feed}: {message.get('op')} refused: {said}")


def _quotes(feed: Feed, topic: bytes, slot: int, sink: MarketSink) -> _Handler:
    book = Level1Book()
    deliver = sink.on_quote
    # Where the type stands in the usual frame: looking there first is cheaper than searching the payload.
    start = _TOPIC_AT + len(topic) + _TYPE_AFTER_TOPIC
    end = start + len(b"snapshot")

    def merge(raw: bytes, ts_recv_ns: int) -> None:
        try:
            merged = book.apply(raw)
        except MalformedPayload as error:
            sink.on_malformed(feed, raw, str(error))
        else:
            if merged is not None:
                deliver(slot, merged[0], ts_recv_ns, merged[1])

    def on_quote_frame(raw: bytes, ts_recv_ns: int) -> None:
        if raw[start:end] != b"snapshot" and b'"delta"' in raw:
            merge(raw, ts_recv_ns)
            return
        try:
            quote = decode_quote(raw)
        except ValidationError:
            merge(raw, ts_recv_ns)  # an empty side, or malformed: the slow way tells which
        else:
            book.base = raw
            deliver(slot, quote, ts_recv_ns, raw)

    return on_quote_frame


def _trades(feed: Feed, slot: int, sink: MarketSink) -> _Handler:
    def on_trade_frame(raw: bytes, ts_recv_ns: int) -> None:
        try:
            frame = decode_trades(raw)
        except ValidationError as error:
            sink.on_malformed(feed, raw, why(error))
            return
        sink.on_timed_frame(feed, frame.ts_ns, ts_recv_ns)
        for trade in frame.trades:
            sink.on_trade(slot, trade, ts_recv_ns)

    return on_trade_frame


def _tickers(feed: Feed, slot: int, sink: MarketSink) -> _Handler:
    state = FundingState()

    def on_ticker_frame(raw: bytes, ts_recv_ns: int) -> None:
        try:
            frame = decode_ticker(raw)
        except ValidationError as error:
            sink.on_malformed(feed, raw, why(error))
            return
        sink.on_timed_frame(feed, frame.ts_ns, ts_recv_ns)
        funding = state.update(frame, ts_recv_ns)
        if funding is not None:
            sink.on_funding(slot, funding, ts_recv_ns)

    return on_ticker_frame
