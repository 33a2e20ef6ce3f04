"""Bybit's live order books. A book that lost its place wants a new subscription: the whole connection begins anew."""

import json
import random
from collections.abc import Mapping, Sequence
from functools import partial

from pydantic_core import from_json

from bot.clock import Clock
from bot.domain.instrument import Feed
from bot.domain.order_book import OrderBook
from bot.ports import FeedState, FrameTap
from bot.settings import Settings
from exchanges.bybit.endpoints import FORBIDDEN, stream_url
from exchanges.bybit.order_book import BybitBookBuilder
from exchanges.common.depth import DepthSink, RenewableConnection, SlotBook, reset_when_gone
from exchanges.common.plan import StreamPlan, printable

TOPIC_DEPTH = 50
_ARGS_PER_MESSAGE = 10
_PING_EVERY_S = 20.0
_TOPIC_AT = len(b'{"topic":"')


class BybitDepthReader:
    """Reads the books of one feed, spot or linear, into a sink."""

    def __init__(
        self,
        feed: Feed,
        slots: Mapping[str, int],
        sink: DepthSink,
        settings: Settings,
        clock: Clock,
        rng: random.Random,
        tap: FrameTap | None = None,
        depth: int = TOPIC_DEPTH,
    ) -> None:
        """Nothing happens before `start`.

        Args:
            feed: Spot or linear.
            slots: Bybit's symbols, and the slots that the sink knows them by.
            sink: Where the books go.
            settings: Addresses, limits and waits.
            clock: Stamps frames and drives every timer.
            rng: Jitter of the waits.
            tap: Sees every frame before it is used.
            depth: Of the topics: 50, 200 or 1000.
        """
        self._feed = feed
        self._sink = sink
        self._builders = {symbol: self._builder(slot, depth) for symbol, slot in slots.items()}
        self._by_slot = {slot: self._builders[symbol] for symbol, slot in slots.items()}
        self._by_topic = {_topic(symbol, depth).encode(): builder for symbol, builder in self._builders.items()}
        self._connection = RenewableConnection(
            depth_plan(feed, sorted(slots), settings, depth),
            settings=settings.connection,
            clock=clock,
            rng=rng,
            on_frame=self._on_frame,
            on_batch_end=sink.on_batch_end,
            on_state=self._on_state,
            tap=tap,
        )

    def book(self, slot: int) -> OrderBook | None:
        """The instrument's book, if it is right now."""
        return self._by_slot[slot].book

    async def start(self) -> None:
        """Connect and subscribe; returns when the first book has come.

        Raises:
            VenueError: Bybit cannot be reached, does not serve this place, or acknowledges and stays silent.
        """
        await self._connection.start()

    async def stop(self) -> None:
        """Close the connection; nothing is delivered afterwards."""
        await self._connection.stop()

    def _builder(self, slot: int, depth: int) -> BybitBookBuilder:
        return SlotBook(slot, self._sink, partial(BybitBookBuilder, depth), on_wanted=self._renew).builder

    def _renew(self, reason: str) -> None:
        # Its other books go with the connection, and from this moment none of them is followed any more.
        self._connection.renew(reason)
        for builder in self._builders.values():
            builder.reset(reason)

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

    def _on_state(self, state: FeedState, detail: str) -> None:
        reset_when_gone(list(self._builders.values()), state, detail)
        self._sink.on_feed_state(self._feed, state, detail)


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
