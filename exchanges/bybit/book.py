"""One symbol's level-1 book, for servers that send deltas.

Bybit documents `orderbook.1` as snapshot only; servers of 2023 sent deltas, and a recording may hold them. A delta's
empty side is unchanged, a quantity of 0 deletes a level, and update ids are consecutive: after a hole, or a frame
that does not decode, the book is unknown until the next snapshot (re-sent after 3 s without change).
"""

import json
import math

from pydantic import ValidationError

from bot.domain.market import TopOfBook
from bot.errors import MalformedPayload
from exchanges.bybit.schemas import BookData, BookFrame, decode_book, why

_MS = 1_000_000


class Level1Book:
    """Merges deltas into `base`, the newest snapshot payload.

    The fast path only ever assigns `base`; it is parsed when a delta comes, which on today's servers is never.
    """

    __slots__ = ("_asks", "_bids", "_parsed", "_sequence", "base")

    def __init__(self) -> None:
        self.base: bytes | None = None
        self._parsed: bytes | None = None
        self._sequence = 0
        self._bids: dict[float, list[str]] = {}
        self._asks: dict[float, list[str]] = {}

    def apply(self, raw: bytes) -> tuple[TopOfBook, bytes] | None:
        """The top after this frame, and a snapshot payload of it with the venue's own digits.

        An empty side has price and quantity 0. None for a delta that is already in the book.

        Raises:
            MalformedPayload: The frame does not decode, or there is no book that it could be applied to.
        """
        try:
            return self._apply(raw)
        except MalformedPayload:
            self.base = None
            raise

    def _apply(self, raw: bytes) -> tuple[TopOfBook, bytes] | None:
        frame = _decoded(raw)
        if frame.type == "snapshot":
            self._load(frame.data)
            self.base = self._parsed = raw
            return self._top(frame), raw
        if self.base is None:
            raise MalformedPayload("delta before snapshot")
        if self._parsed is not self.base:
            self._load(_decoded(self.base).data)
        if frame.data.u <= self._sequence:
            return None
        self._merge(frame.data)
        self.base = self._parsed = self._snapshot_of(frame)
        return self._top(frame), self.base

    def _load(self, data: BookData) -> None:
        self._sequence = data.u
        self._bids = _side(data.b)
        self._asks = _side(data.a)

    def _merge(self, data: BookData) -> None:
        if data.u != self._sequence + 1:
            raise MalformedPayload(f"sequence gap: delta {data.u} after {self._sequence}")
        self._sequence = data.u
        _merge_side(self._bids, data.b)
        _merge_side(self._asks, data.a)

    def _best(self) -> tuple[list[str] | None, list[str] | None]:
        bid = self._bids[max(self._bids)] if self._bids else None
        ask = self._asks[min(self._asks)] if self._asks else None
        return bid, ask

    def _top(self, frame: BookFrame) -> TopOfBook:
        bid, ask = self._best()
        return TopOfBook(
            bid_price=float(bid[0]) if bid else 0.0,
            bid_qty=float(bid[1]) if bid else 0.0,
            ask_price=float(ask[0]) if ask else 0.0,
            ask_qty=float(ask[1]) if ask else 0.0,
            sequence=frame.data.u,
            ts_event_ns=(frame.ts if frame.cts is None else frame.cts) * _MS,
        )

    def _snapshot_of(self, frame: BookFrame) -> bytes:
        bid, ask = self._best()
        data = {
            "s": frame.topic.rpartition(".")[2],
            "b": [bid[:2]] if bid else [],
            "a": [ask[:2]] if ask else [],
            "u": frame.data.u,
        }
        message: dict[str, object] = {"topic": frame.topic, "ts": frame.ts, "type": "snapshot", "data": data}
        if frame.cts is not None:
            message["cts"] = frame.cts
        return json.dumps(message, separators=(",", ":")).encode()


def _decoded(raw: bytes) -> BookFrame:
    try:
        frame: BookFrame = decode_book(raw)
    except ValidationError as error:
        raise MalformedPayload(why(error)) from None
    return frame


def _numbers(levels: list[list[str]]) -> list[tuple[float, float, list[str]]]:
    try:
        return [(float(level[0]), float(level[1]), level) for level in levels]
    except ValueError:
        raise MalformedPayload("a price or quantity is not a number") from None


def _side(levels: list[list[str]]) -> dict[float, list[str]]:
    return {price: level for price, quantity, level in _numbers(levels) if quantity != 0}


def _merge_side(side: dict[float, list[str]], levels: list[list[str]]) -> None:
    for price, quantity, level in _numbers(levels):
        if not (math.isfinite(price) and math.isfinite(quantity)):
            raise MalformedPayload("a delta's price or quantity is not finite")
        if quantity == 0:
            side.pop(price, None)
        else:
            side[price] = level
