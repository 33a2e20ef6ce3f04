"""Kraken's live order books, checked by checksum. A book that lost its place makes the connection begin anew."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from bot.errors import MalformedPayload
from bot.ports import FeedState, Wiring
from bot.settings import Settings
from exchanges.common.market.book_builder import BookEvents
from exchanges.common.market.depth import DepthSink
from exchanges.common.market.depth_reader import DepthReader
from exchanges.common.market.plan import StreamPlan, printable
from exchanges.kraken.endpoints import SPOT, stream_url
from exchanges.kraken.order_book import CHECKED_LEVELS, KrakenBookBuilder
from exchanges.kraken.schemas import InstrumentFrame, decoded, why

_PING_EVERY_S = 20.0


class KrakenDepthReader(DepthReader[KrakenBookBuilder]):
    """Reads spot books into a sink; the digits that the checksums count come over the same connection."""

    def __init__(
        self,
        slots: Mapping[str, int],
        sink: DepthSink,
        wiring: Wiring,
    ) -> None:
        """Nothing happens before `start`; `slots` maps Kraken's v2 symbols (`BTC/USD`) to slots."""
        super().__init__(depth_plan(tuple(sorted(slots)), wiring.settings), slots, sink, _builder, wiring)

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


def _builder(symbol: str, events: BookEvents) -> KrakenBookBuilder:
    return KrakenBookBuilder(symbol, CHECKED_LEVELS, events)


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
