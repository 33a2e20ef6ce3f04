"""Bybit's order books out of recorded lines."""

from collections.abc import Mapping
from functools import partial

from bot.domain.instrument import Feed
from exchanges.bybit.order_book import BybitBookBuilder
from exchanges.common.market.depth import DepthSink, SlotBook

_TOPIC = b'{"topic":"orderbook.'
_TOP = 1
"""Levels of the topic that carries quotes: it has no book."""


class BybitDepthFrames:
    """A `FrameDecoder` of one feed's books: of each symbol the topic that stands in the recording first."""

    def __init__(self, feed: Feed, slots: Mapping[str, int], sink: DepthSink) -> None:
        """`slots` maps Bybit's symbols to those of `sink`; frames of other symbols are let pass."""
        self._sink = sink
        self._slots = dict(slots)
        self._builders: dict[bytes, BybitBookBuilder | None] = {}

    def on_frame(self, raw: bytes, ts_recv_ns: int) -> None:
        """One line's payload, whatever it is."""
        if not raw.startswith(_TOPIC):
            return
        topic = raw[len(_TOPIC) : raw.find(b'"', len(_TOPIC), len(_TOPIC) + 64)]
        if topic not in self._builders:
            self._builders[topic] = self._builder(topic)
        builder = self._builders[topic]
        if builder is not None:
            builder.on_frame(raw, ts_recv_ns)

    def _builder(self, topic: bytes) -> BybitBookBuilder | None:
        depth, _, symbol = topic.decode("ascii", "replace").partition(".")
        if not depth.isdigit() or len(depth) > 4 or int(depth) <= _TOP:
            return None
        slot = self._slots.pop(symbol, None)
        if slot is None:
            return None
        return SlotBook(slot, self._sink, partial(BybitBookBuilder, int(depth)), on_wanted=lambda reason: None).builder
