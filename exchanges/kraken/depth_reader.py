"""Kraken's live order books, checked by checksum. A book that lost its place makes the connection begin anew."""

import json
import random
from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import ValidationError

from bot.clock import Clock
from bot.domain.order_book import OrderBook
from bot.errors import MalformedPayload
from bot.ports import FeedState, FrameTap
from bot.settings import Settings
from exchanges.common.depth import DepthSink, RenewableConnection, SlotBook, reset_when_gone
from exchanges.common.plan import StreamPlan, printable
from exchanges.kraken.endpoints import SPOT, stream_url
from exchanges.kraken.order_book import CHECKED_LEVELS, KrakenBookBuilder
from exchanges.kraken.schemas import InstrumentFrame, decoded, why

_PING_EVERY_S = 20.0


class KrakenDepthReader:
    """Reads spot books into a sink; the digits that the checksums count come over the same connection."""

    def __init__(
        self,
        slots: Mapping[str, int],
        sink: DepthSink,
        settings: Settings,
        clock: Clock,
        rng: random.Random,
        tap: FrameTap | None = None,
    ) -> None:
        """Nothing happens before `start`; `slots` maps Kraken's v2 symbols (`BTC/USD`) to slots."""
        self._sink = sink
        self._builders = {symbol: self._builder(symbol, slot) for symbol, slot in slots.items()}
        self._by_slot = {slot: self._builders[symbol] for symbol, slot in slots.items()}
        self._connection = RenewableConnection(
            depth_plan(tuple(sorted(slots)), settings),
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
            VenueError: Kraken cannot be reached, or acknowledges and stays silent.
        """
        await self._connection.start()

    async def stop(self) -> None:
        """Close the connection; nothing is delivered afterwards."""
        await self._connection.stop()

    def _builder(self, symbol: str, slot: int) -> KrakenBookBuilder:
        build = partial(KrakenBookBuilder, symbol, CHECKED_LEVELS)
        return SlotBook(slot, self._sink, build, on_wanted=self._renew).builder

    def _renew(self, reason: str) -> None:
        self._connection.renew(reason)
        for builder in self._builders.values():
            builder.reset(reason)

    def _on_frame(self, raw: bytes, ts_recv_ns: int) -> None:
        try:
            message = decoded(raw)
            self._on_message(message, ts_recv_ns)
        except MalformedPayload as error:
            self._sink.on_malformed(SPOT, raw, str(error))

    def _on_message(self, message: dict[str, Any], ts_recv_ns: int) -> None:
        channel = message.get("channel")
        if channel == "book":
            for builder in self._named_in(message):
                builder.on_message(message, ts_recv_ns)
        elif channel == "instrument":
            self._on_pairs(message)
        elif message.get("success") is False:
            said = printable(message.get("error"))
            self._on_state(FeedState.FAILED, f"{SPOT}: {printable(message.get('method'))} refused: {said}")

    def _named_in(self, message: dict[str, Any]) -> list[KrakenBookBuilder]:
        rows = message.get("data")
        symbols = (
            {str(row.get("symbol")): None for row in rows if isinstance(row, dict)} if isinstance(rows, list) else {}
        )
        if not symbols:
            raise MalformedPayload("a book frame that names no symbol")
        return [self._builders[symbol] for symbol in symbols if symbol in self._builders]

    def _on_pairs(self, message: dict[str, Any]) -> None:
        try:
            frame = InstrumentFrame.model_validate(message)
        except ValidationError as error:
            raise MalformedPayload(why(error)) from None
        for pair in frame.data.pairs:
            if pair.symbol in self._builders:
                self._builders[pair.symbol].on_pair(pair)

    def _on_state(self, state: FeedState, detail: str) -> None:
        reset_when_gone(list(self._builders.values()), state, detail)
        self._sink.on_feed_state(SPOT, state, detail)


def depth_plan(symbols: tuple[str, ...], settings: Settings) -> StreamPlan:
    """The one connection: the pairs' digits first, then the books."""
    book = {"channel": "book", "symbol": symbols, "depth": CHECKED_LEVELS, "snapshot": True}
    return StreamPlan(
        name=f"{SPOT} depth",
        feed=SPOT,
        url=stream_url(settings),
        streams=tuple(f"book {symbol}" for symbol in symbols),
        data_prefix=b'{"channel":"book"',
        route_hint="Kraken serves books on /v2: check venues.kraken.spot.stream_url and the symbols",
        subscribe=(_subscribe({"channel": "instrument", "snapshot": True}), _subscribe(book)),
        heartbeat=b'{"method":"ping"}',
        heartbeat_every_s=_PING_EVERY_S,
    )


def _subscribe(parameters: dict[str, Any]) -> bytes:
    return json.dumps({"method": "subscribe", "params": parameters}, separators=(",", ":")).encode()
