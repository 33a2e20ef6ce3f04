"""Coinbase's public frames into calls on a sink: Advanced Trade's, and the older Exchange stream's from recordings.

A missing message shows in the next `sequence_num`. Then every book of the connection is forgotten before anything
else is done, and its instruments have no quote until a whole book has come. The Exchange stream numbers nothing: a
book of it is only known to be what was sent.
"""

from collections.abc import Callable, Iterable, Mapping

from pydantic import ValidationError
from pydantic_core import from_json

from bot.domain.order_book import BookChange
from bot.errors import MalformedPayload, MarketDataError
from bot.ports import FeedState, MarketSink
from exchanges.coinbase.book import TopKeeper
from exchanges.coinbase.endpoints import SPOT
from exchanges.coinbase.schemas import (
    decode_change,
    decode_level2,
    decode_match,
    decode_other,
    decode_snapshot,
    decode_trades,
    why,
)
from exchanges.common.market.plan import printable

_LEVEL2 = b'{"channel":"l2_data"'
_BOOK_MARKS = (b"l2_data", b"l2update", b"snapshot")
"""A frame with one of these that does not decode may have changed a book."""
_ORDER_BY_ORDER = frozenset({"received", "open", "done", "change", "activate"})


class CoinbaseDecoder:
    """Decodes one connection of `coinbase.spot`. A `FrameDecoder`."""

    def __init__(
        self, slots: Mapping[str, int], sink: MarketSink, on_lost: Callable[[str], None] | None = None
    ) -> None:
        """`slots` maps products (`BTC-USD`) to slots; `on_lost` hears that whole books are wanted, and why."""
        self._slots = dict(slots)
        self._sink = sink
        self._on_lost = on_lost
        self._keepers = {symbol: TopKeeper(symbol) for symbol in slots}
        self._due: int | None = None
        """The next `sequence_num`; None while nothing is known."""

    def on_frame(self, raw: bytes, ts_recv_ns: int) -> None:
        """Decode one payload; what does not decode goes to the sink as malformed."""
        try:
            if raw.startswith(_LEVEL2):
                self._on_level2(raw, ts_recv_ns)
            else:
                self._on_other(raw, ts_recv_ns)
        except ValidationError as error:
            self._on_undecoded(raw, why(error), ts_recv_ns)
        except MalformedPayload as error:
            self._on_undecoded(raw, str(error), ts_recv_ns)

    def reset(self) -> None:
        """The connection is gone: its books and its numbers are."""
        self._due = None
        self._forget()

    def _on_level2(self, raw: bytes, ts_recv_ns: int) -> None:
        frame = decode_level2(raw)
        self._count(frame.sequence_num, raw, ts_recv_ns)
        for event in frame.events:
            change = BookChange(
                bids=event.side("bid"),
                asks=event.side("offer", "ask"),
                sequence=frame.sequence_num,
                ts_event_ns=event.ts_event_ns or frame.timestamp,
                whole=event.type == "snapshot",
            )
            self._take(event.product_id, change, raw, ts_recv_ns)

    def _on_other(self, raw: bytes, ts_recv_ns: int) -> None:
        kind, value = _kind(raw)
        if kind == "type":
            self._on_exchange(value, raw, ts_recv_ns)
        elif value == "l2_data":
            self._on_level2(raw, ts_recv_ns)
        elif value == "market_trades":
            self._on_trades(raw, ts_recv_ns)
        else:
            self._count(decode_other(raw).sequence_num, raw, ts_recv_ns)

    def _on_trades(self, raw: bytes, ts_recv_ns: int) -> None:
        frame = decode_trades(raw)
        self._count(frame.sequence_num, raw, ts_recv_ns)
        for trade in (trade for event in frame.events if event.type == "update" for trade in event.trades):
            slot = self._slots.get(trade.product_id)
            if slot is not None:
                self._sink.on_timed_frame(SPOT, trade.ts_event_ns, ts_recv_ns)
                self._sink.on_trade(slot, trade, ts_recv_ns)

    def _on_exchange(self, kind: str, raw: bytes, ts_recv_ns: int) -> None:
        if kind == "l2update":
            update = decode_change(raw)
            bids, asks = update.side("buy"), update.side("sell")
            change = BookChange(bids=bids, asks=asks, sequence=0, ts_event_ns=update.time)
            self._take(update.product_id, change, raw, ts_recv_ns)
        elif kind == "snapshot":
            book = decode_snapshot(raw)
            change = BookChange(bids=book.bids, asks=book.asks, sequence=0, ts_event_ns=book.time, whole=True)
            self._take(book.product_id, change, raw, ts_recv_ns)
        elif kind in ("match", "last_match"):
            self._on_match(kind, raw, ts_recv_ns)
        elif kind == "error":
            self._on_refusal(raw)
        elif kind in _ORDER_BY_ORDER:
            raise MalformedPayload(f"an order-by-order frame ({kind}): only books by level are read")

    def _on_match(self, kind: str, raw: bytes, ts_recv_ns: int) -> None:
        trade = decode_match(raw)
        slot = self._slots.get(trade.product_id)
        # The last match was before we asked.
        if slot is not None and kind == "match":
            self._sink.on_timed_frame(SPOT, trade.ts_event_ns, ts_recv_ns)
            self._sink.on_trade(slot, trade, ts_recv_ns)

    def _on_refusal(self, raw: bytes) -> None:
        message = from_json(raw)
        said = printable(f"{message.get('message', '')} {message.get('reason', '')}".strip())
        self._sink.on_feed_state(SPOT, FeedState.FAILED, f"{SPOT}: refused: {said}")

    def _take(self, symbol: str, change: BookChange, raw: bytes, ts_recv_ns: int) -> None:
        keeper = self._keepers.get(symbol)
        if keeper is None:
            return
        try:
            told = keeper.take(change)
        except MarketDataError as error:
            self._sink.on_malformed(SPOT, raw, str(error))
            self._lose([symbol], str(error), ts_recv_ns)
            return
        if told is not None:
            self._sink.on_quote(self._slots[symbol], told[0], ts_recv_ns, told[1])

    def _count(self, number: int, raw: bytes, ts_recv_ns: int) -> None:
        """Whether a message is missing: it may have been about any book, and what follows may bring a whole one."""
        due, self._due = self._due, number + 1
        if number == 0 and due != 0:
            self._forget()
        elif due is not None and number != due:
            words = f"message {number} came where {due} was due"
            self._sink.on_malformed(SPOT, raw, words)
            self._lose(self._keepers, words, ts_recv_ns)

    def _on_undecoded(self, raw: bytes, reason: str, ts_recv_ns: int) -> None:
        self._sink.on_malformed(SPOT, raw, reason)
        if any(mark in raw for mark in _BOOK_MARKS):
            self._lose(self._keepers, reason, ts_recv_ns)

    def _lose(self, symbols: Iterable[str], reason: str, ts_recv_ns: int) -> None:
        """These books cannot be trusted: what was told of them is taken back at once."""
        for symbol in symbols:
            told = self._keepers[symbol].lose()
            if told is not None:
                self._sink.on_quote(self._slots[symbol], told[0], ts_recv_ns, told[1])
        if self._on_lost is not None:
            self._on_lost(reason)

    def _forget(self) -> None:
        for keeper in self._keepers.values():
            keeper.forget()


def _kind(raw: bytes) -> tuple[str, str]:
    """What a frame calls itself: its channel (Advanced Trade) or its type (Exchange, and refusals of both)."""
    try:
        message = from_json(raw)
    except ValueError:
        raise MalformedPayload("not JSON") from None
    for key in ("channel", "type"):
        value = message.get(key) if isinstance(message, dict) else None
        if isinstance(value, str):
            return key, value
    raise MalformedPayload("neither a channel nor a type: not a frame of a stream")
