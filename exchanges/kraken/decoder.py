"""Kraken's public v2 frames into calls on a sink.

Frames of the books are the depth reader's, and let pass here. Frames of Kraken's first protocol and of its futures are
refused by name: they carry other symbols and other times, and no stream of ours brings them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from bot.errors import MalformedPayload
from bot.ports import FeedState, MarketSink
from exchanges.common.market.plan import printable
from exchanges.kraken.endpoints import SPOT
from exchanges.kraken.normalize import single_rows
from exchanges.kraken.quote_schemas import decode_pong, decode_ticker, decode_trades
from exchanges.kraken.schemas import decoded, why

_TICKER = b'{"channel":"ticker"'
_TRADE = b'{"channel":"trade"'
_HEARTBEAT = b'{"channel":"heartbeat"'

_V1 = "a frame of Kraken's first protocol: only version 2 is read"
_FUTURES = "a frame of Kraken Futures: only spot is read"


class KrakenDecoder:
    """Decodes `kraken.spot`. A `FrameDecoder`."""

    def __init__(
        self, slots: Mapping[str, int], sink: MarketSink, on_note: Callable[[str], None] | None = None
    ) -> None:
        """`slots` maps v2 symbols (`BTC/USD`) to slots; `on_note` hears what Kraken says of itself (maintenance)."""
        self._slots = dict(slots)
        self._sink = sink
        self._on_note = on_note

    def on_frame(self, raw: bytes, ts_recv_ns: int) -> None:
        """Decode one payload; what does not decode goes to the sink as malformed."""
        try:
            if raw.startswith(_TICKER):
                self._on_ticker(raw, ts_recv_ns)
            elif raw.startswith(_TRADE):
                self._on_trades(raw, ts_recv_ns)
            elif not raw.startswith(_HEARTBEAT):
                self._on_other(raw, ts_recv_ns)
        except ValidationError as error:
            self._sink.on_malformed(SPOT, raw, why(error))
        except MalformedPayload as error:
            self._sink.on_malformed(SPOT, raw, str(error))

    def _on_ticker(self, raw: bytes, ts_recv_ns: int) -> None:
        rows = decode_ticker(raw).data
        # What is kept of a quote has to name one pair.
        payloads = (raw,) if len(rows) == 1 else single_rows(raw)
        for row, payload in zip(rows, payloads, strict=True):
            slot = self._slots.get(row.symbol)
            if slot is not None:
                self._sink.on_quote(slot, row, ts_recv_ns, payload)

    def _on_trades(self, raw: bytes, ts_recv_ns: int) -> None:
        frame = decode_trades(raw)
        if frame.type == "snapshot":
            return
        for trade in frame.data:
            slot = self._slots.get(trade.symbol)
            if slot is not None:
                self._sink.on_timed_frame(SPOT, trade.ts_event_ns, ts_recv_ns)
                self._sink.on_trade(slot, trade, ts_recv_ns)

    def _on_other(self, raw: bytes, ts_recv_ns: int) -> None:
        """Control frames, other channels, other protocols, and known channels in an unusual spelling of JSON."""
        if raw.lstrip().startswith(b"["):
            raise MalformedPayload(_V1)
        message = decoded(raw)
        channel = message.get("channel")
        if channel == "ticker":
            self._on_ticker(raw, ts_recv_ns)
        elif channel == "trade":
            self._on_trades(raw, ts_recv_ns)
        elif channel == "status":
            self._on_status(message)
        elif message.get("method") == "pong":
            self._sink.on_timed_frame(SPOT, decode_pong(raw).ts_ns, ts_recv_ns)
        elif message.get("success") is False:
            self._on_refusal(message)
        elif channel is None and "method" not in message:
            raise MalformedPayload(_other_protocol(message))

    def _on_refusal(self, message: dict[str, Any]) -> None:
        said = printable(message.get("error"))
        words = f"{SPOT}: {printable(message.get('method'))} refused: {said}"
        self._sink.on_feed_state(SPOT, FeedState.FAILED, words)

    def _on_status(self, message: dict[str, Any]) -> None:
        rows = message.get("data")
        system = rows[0].get("system") if isinstance(rows, list) and rows and isinstance(rows[0], dict) else None
        if system != "online" and self._on_note is not None:
            self._on_note(f"{SPOT}: Kraken says that its trading is {printable(system)}")


def _other_protocol(message: dict[str, Any]) -> str:
    if "event" in message:
        return _V1
    if "feed" in message or "product_id" in message:
        return _FUTURES
    return "neither a channel nor an answer: not a frame of the v2 stream"
