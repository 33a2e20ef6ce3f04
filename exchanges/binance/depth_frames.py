"""Binance's order books out of recorded lines: depth frames, and snapshots that stand between them as bare bodies."""

from collections.abc import Mapping
from functools import partial

from bot.domain.instrument import Feed
from exchanges.binance.order_book import BinanceBookBuilder
from exchanges.common.market.depth import DepthSink, SlotBook

_SNAPSHOT_DEPTH = 1_000
_KINDS = frozenset({b"depth", b"depth@0ms", b"depth@100ms", b"depth@250ms", b"depth@500ms"})
_NAME_AT = len(b'{"stream":"')
_SNAPSHOT = b'{"lastUpdateId":'


class BinanceDepthFrames:
    """A `FrameDecoder` of one feed's books. What is missing in a recording cannot be asked for: a book that is lost
    stays lost until the next snapshot stands there."""

    def __init__(self, feed: Feed, slots: Mapping[str, int], sink: DepthSink) -> None:
        """`slots` maps Binance's symbols to those of `sink`; frames of other symbols are let pass."""
        self._feed = feed
        self._sink = sink
        self._builders = {symbol.lower().encode(): _builder(slot, sink) for symbol, slot in slots.items()}

    def on_frame(self, raw: bytes, ts_recv_ns: int) -> None:
        """One line's payload, whatever it is."""
        end = raw.find(b'"', _NAME_AT, 64)
        symbol, _, kind = raw[_NAME_AT:end].partition(b"@")
        if kind in _KINDS:
            builder = self._builders.get(symbol)
            if builder is not None:
                builder.on_frame(raw, ts_recv_ns)
        elif raw.startswith(_SNAPSHOT):
            self._on_snapshot(raw, ts_recv_ns)

    def _on_snapshot(self, raw: bytes, ts_recv_ns: int) -> None:
        # Spot's and USDⓈ-M's name no symbol: where books of several are recorded, nothing tells whose it is.
        if len(self._builders) == 1:
            next(iter(self._builders.values())).on_snapshot(raw, ts_recv_ns)
        else:
            self._sink.on_malformed(self._feed, raw, "a snapshot that names no symbol, in a recording of several")


def _builder(slot: int, sink: DepthSink) -> BinanceBookBuilder:
    build = partial(BinanceBookBuilder, _SNAPSHOT_DEPTH)
    return SlotBook(slot, sink, build, on_wanted=lambda reason: None).builder
