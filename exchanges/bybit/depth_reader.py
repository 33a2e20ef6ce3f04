"""Bybit's live order books. A book that lost its place wants a new subscription: the whole connection begins anew."""

import json
from collections.abc import Mapping, Sequence

from pydantic_core import from_json

from bot.domain.instrument import Feed
from bot.ports import FeedState, Wiring
from bot.settings import Settings
from exchanges.bybit.endpoints import FORBIDDEN, stream_url
from exchanges.bybit.order_book import BybitBookBuilder
from exchanges.common.market.depth import DepthSink
from exchanges.common.market.depth_reader import DepthReader
from exchanges.common.market.plan import StreamPlan, printable

TOPIC_DEPTH = 50
_ARGS_PER_MESSAGE = 10
_PING_EVERY_S = 20.0
_TOPIC_AT = len(b'{"topic":"')


class BybitDepthReader(DepthReader[BybitBookBuilder]):
    """Reads the books of one feed, spot or linear, into a sink."""

    def __init__(
        self,
        feed: Feed,
        slots: Mapping[str, int],
        sink: DepthSink,
        wiring: Wiring,
        depth: int = TOPIC_DEPTH,
    ) -> None:
        """Nothing happens before `start`.

        Args:
            feed: Spot or linear.
            slots: Bybit's symbols, and the slots that the sink knows them by.
            sink: Where the books go.
            wiring: What its connections are made with.
            depth: Of the topics: 50, 200 or 1000.
        """
        plan = depth_plan(feed, sorted(slots), wiring.settings, depth)
        super().__init__(plan, slots, sink, lambda _, events: BybitBookBuilder(depth, events), wiring)
        self._by_topic = {_topic(symbol, depth).encode(): builder for symbol, builder in self._builders.items()}

    def _on_frame(self, raw: bytes, ts_recv_ns: int) -> None:
        end = raw.find(b'"', _TOPIC_AT)
        builder = self._by_topic.get(raw[_TOPIC_AT:end]) if end > 0 else None
        if builder is not None:
            builder.on_frame(raw, ts_recv_ns)
        else:
            self._on_other(raw, ts_recv_ns)

    def _on_other(self, raw: bytes, ts_recv_ns: int) -> None:
        """Acknowledgements, pongs, refusals, and topics of ours in an unusual spelling of JSON."""
        try:
            message = from_json(raw)
        except ValueError:
            self._sink.on_malformed(self._feed, raw, "not JSON")
            return
        if not isinstance(message, dict):
            self._sink.on_malformed(self._feed, raw, "not a JSON object")
            return
        builder = self._by_topic.get(str(message.get("topic")).encode())
        if builder is not None:
            builder.on_frame(raw, ts_recv_ns)
        elif message.get("success") is False:
            said = printable(message.get("ret_msg"))
            self._on_state(FeedState.FAILED, f"{self._feed}: {message.get('op')} refused: {said}")


def depth_plan(feed: Feed, symbols: Sequence[str], settings: Settings, depth: int) -> StreamPlan:
    """The one connection that carries a feed's books."""
    topics = tuple(_topic(symbol, depth) for symbol in symbols)
    return StreamPlan(
        name=f"{feed} depth",
        feed=feed,
        url=stream_url(feed, settings),
        streams=topics,
        data_prefix=b'{"topic"',
        route_hint=f"Bybit serves {feed.segment} topics on /v5/public/{feed.segment} only: check stream_url",
        subscribe=tuple(_subscribe_messages(topics)),
        heartbeat=b'{"op":"ping"}',
        heartbeat_every_s=_PING_EVERY_S,
        refused_status={403: FORBIDDEN},
    )


def _topic(symbol: str, depth: int) -> str:
    return f"orderbook.{depth}.{symbol}"


def _subscribe_messages(topics: Sequence[str]) -> list[bytes]:
    parts = [topics[start : start + _ARGS_PER_MESSAGE] for start in range(0, len(topics), _ARGS_PER_MESSAGE)]
    return [json.dumps({"op": "subscribe", "args": part}, separators=(",", ":")).encode() for part in parts]
