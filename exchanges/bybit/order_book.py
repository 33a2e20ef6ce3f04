"""Bybit's order books: a whole one first, then changes whose update ids are consecutive.

A message with `u` 1 is a whole book, whatever it is called: the service restarted. A book with no level on either side
belongs to an instrument that is not traded (any more). `seq` orders what Bybit sends of any depth: it never falls.

Bybit keeps the best 50 (200, 1000) levels up to date and sends those that come into view. Only a new subscription
brings a whole book again; REST numbers its books by another stream's `u`.

Source: https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook
"""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AliasChoices, AliasPath, BeforeValidator, Field, ValidationError

from bot.domain.book_side import PrintedLevel
from bot.domain.order_book import BookChange, BookSequence, OrderBook
from bot.errors import MalformedPayload, SequenceGap
from exchanges.bybit.schemas import why
from exchanges.common.market.book_builder import BookBuilder, BookEvents

_RESTART = 1
_MAX_MS = (2**63 - 1) // 1_000_000


def _is_whole(kind: Any) -> bool:
    if kind not in ("snapshot", "delta"):
        raise ValueError("a book frame is a snapshot or a delta")
    return bool(kind == "snapshot")


def _ms_as_ns(milliseconds: Any) -> int:
    if type(milliseconds) is not int or not 0 <= milliseconds <= _MAX_MS:
        raise ValueError("no time in milliseconds")
    return milliseconds * 1_000_000


class BookMessage(BookChange):
    """A frame of `orderbook.<depth>.<symbol>`."""

    bids: tuple[PrintedLevel, ...] = Field(validation_alias=AliasPath("data", "b"))
    asks: tuple[PrintedLevel, ...] = Field(validation_alias=AliasPath("data", "a"))
    sequence: BookSequence = Field(validation_alias=AliasPath("data", "u"))
    cross_sequence: BookSequence = Field(default=0, validation_alias=AliasPath("data", "seq"))
    # cts is the matching engine's time; frames of early 2023 have only ts, the gateway's.
    ts_event_ns: Annotated[int, BeforeValidator(_ms_as_ns)] = Field(validation_alias=AliasChoices("cts", "ts"))
    whole: Annotated[bool, BeforeValidator(_is_whole)] = Field(validation_alias="type")


_validate: Callable[[bytes], BookMessage] = BookMessage.__pydantic_validator__.validate_json


class BybitBookBuilder(BookBuilder):
    """One symbol's book of one depth, spot or linear."""

    def __init__(self, depth: int, events: BookEvents) -> None:
        """An empty book.

        Args:
            depth: Of the topic: the levels that Bybit keeps up to date.
            events: Hears of changes and states; a wanted book comes with a new subscription, after `reset`.
        """
        super().__init__(OrderBook(depth, is_window=True), events)
        self._cross_sequence = 0

    def on_frame(self, raw: bytes, ts_recv_ns: int) -> None:
        """A frame of the topic."""
        try:
            message = _validate(raw)
        except ValidationError as error:
            self._lose(MalformedPayload(why(error)))
            return
        if message.whole or message.sequence == _RESTART:
            self._begin(message, ts_recv_ns)
        else:
            self._continue(message, ts_recv_ns)

    def _begin(self, message: BookMessage, ts_recv_ns: int) -> None:
        self._has_asked = False
        whole = message if message.whole else message.model_copy(update={"whole": True})
        self._follow(whole, ts_recv_ns)

    def _continue(self, message: BookMessage, ts_recv_ns: int) -> None:
        known, is_newer = self._book.sequence, message.cross_sequence >= self._cross_sequence
        if known is None:
            self._lose(SequenceGap("a change came before any book"))
        elif message.sequence == known + 1 and is_newer:
            self._follow(message, ts_recv_ns)
        elif message.sequence > known or message.cross_sequence > self._cross_sequence:
            # Ids that happen to join, or seem to be known, belong to a book whose ids began anew unless `seq` agrees.
            numbers = f"change {message.sequence} (seq {message.cross_sequence})"
            self._lose(SequenceGap(f"{numbers} came after {known} (seq {self._cross_sequence})"))

    def _follow(self, message: BookMessage, ts_recv_ns: int) -> None:
        self._cross_sequence = message.cross_sequence
        self._take([message], ts_recv_ns)
