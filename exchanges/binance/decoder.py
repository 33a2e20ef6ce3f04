"""From Binance's bytes to calls on a sink.

The start of a frame, up to what stands under `data`, finds its handler in a table. Whatever that does not find, be it
depth, an acknowledgement or an unusual spelling of a stream of ours, goes the slow way round and loses nothing.
"""

from collections.abc import Callable, Mapping

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from bot.domain.instrument import Feed, Segment
from bot.ports import MarketSink
from exchanges.binance.handlers import Handler, OnInvalid, funding_handler, quote_handler, trade_handler
from exchanges.binance.schemas import AggTrade, AnyFrame, Trade

_validate: Callable[[bytes], AnyFrame] = AnyFrame.__pydantic_validator__.validate_json


class BinanceDecoder:
    """One feed of Binance: spot, USDⓈ-M or COIN-M. A `FrameDecoder`."""

    on_frame: Callable[[bytes, int], None]
    """Decode one payload; what cannot be used is told to the sink."""

    def __init__(self, feed: Feed, slots: Mapping[str, int], sink: MarketSink) -> None:
        """`slots` maps Binance's symbols (`ETHUSDT`) to slots; streams of other symbols are let pass."""
        self._feed = feed
        self._is_spot = feed.segment is Segment.SPOT
        self._sink = sink
        self._handlers: dict[str, Handler] = {}
        for symbol, slot in slots.items():
            for kind, handler in _handlers(feed, slot, sink, self._on_invalid).items():
                self._handlers[f"{symbol.lower()}@{kind}"] = handler
        self.on_frame = _dispatcher(self._handlers, self._other)

    def _on_invalid(self, raw: bytes, ts_recv_ns: int, error: ValidationError) -> None:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            # More than one member may stand behind `data`: look at the whole of it. What is handed on from there is
            # JSON again, so this happens once.
            self._other(raw, ts_recv_ns)
            return
        self._sink.on_malformed(self._feed, raw, reason(error))

    def _other(self, raw: bytes, ts_recv_ns: int) -> None:
        try:
            frame = _validate(raw)
        except ValidationError as error:
            self._sink.on_malformed(self._feed, raw, reason(error))
            return
        handler = self._handlers.get(frame.stream_name or "")
        if handler is not None:
            whole = from_json(raw)
            data = whole if frame.stream is None else whole.get("data")
            handler(raw, to_json(data, inf_nan_mode="constants"), ts_recv_ns)
        elif frame.error is not None:
            words = f"the venue answers with error {frame.error.code}: {frame.error.msg[:100]!r}"
            self._sink.on_malformed(self._feed, raw, words)
        elif frame.event_ns is not None and self._is_spot:
            self._sink.on_timed_frame(self._feed, frame.event_ns, ts_recv_ns)


def reason(error: ValidationError) -> str:
    """The first thing wrong with a payload, in a few words and nothing of the payload itself."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]


def _handlers(feed: Feed, slot: int, sink: MarketSink, on_invalid: OnInvalid) -> dict[str, Handler]:
    mark_price = funding_handler(slot, sink, on_invalid)
    return {
        "bookTicker": quote_handler(feed, slot, sink, on_invalid),
        "trade": trade_handler(feed, slot, sink, on_invalid, Trade),
        "aggTrade": trade_handler(feed, slot, sink, on_invalid, AggTrade),
        "markPrice": mark_price,
        "markPrice@1s": mark_price,
    }


def _dispatcher(handlers: Mapping[str, Handler], other: Callable[[bytes, int], None]) -> Callable[[bytes, int], None]:
    by_start = {f'{{"stream":"{name}","data":'.encode(): handler for name, handler in handlers.items()}

    def on_frame(raw: bytes, ts_recv_ns: int) -> None:
        # A closure, and the lengths written out (11 up to the name, 9 from its end to the data, 125 a closing brace):
        # names that have to be looked up cost 0.15 µs a frame.
        try:
            start = raw.index(b'"', 11) + 9
            handler = by_start[raw[:start]]
        except (KeyError, ValueError):
            other(raw, ts_recv_ns)
            return
        if raw[-1] == 125:
            handler(raw, raw[start:-1], ts_recv_ns)
        else:
            other(raw, ts_recv_ns)

    return on_frame
