"""Binance's order books: changes from the `@depth` stream, whole books from REST, joined by update ids.

A change covers the ids above `previous` up to `u`. Spot prints the first id that it covers (`U`); the futures print
the last id of the change before (`pu`), since ids between two changes of one symbol belong to others. From there both
follow one rule: a change may follow a book at id n if `previous <= n < u`. It is old if `u <= n`, and a message is
missing if `previous > n`. Quantities are absolute, so a change that overlaps the book sets it right.

Binance's page asks of the first change after a futures snapshot that `U <= n <= u`. That is narrower: a snapshot taken
at an id between two changes would be refused, although nothing is missing.

Source: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams (How to manage a local order book)
and https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams.
"""

from collections import deque
from collections.abc import Callable
from typing import Literal, Self

from pydantic import AliasChoices, Field, ValidationError, model_validator

from bot.domain.book_side import PrintedLevel
from bot.domain.order_book import BookChange, BookSequence, BookState, OrderBook
from bot.errors import MalformedPayload, SequenceGap
from exchanges.binance.decoder import reason
from exchanges.binance.schemas import MsAsNs
from exchanges.common.market.book_builder import BookBuilder, BookEvents

MAX_WAITING = 2_000
"""Changes kept while a snapshot is on its way: at ten a second more than three minutes."""
_DATA = b'"data":'


class DepthUpdate(BookChange):
    """What stands under `data` in a frame of `<symbol>@depth`, of any segment."""

    bids: tuple[PrintedLevel, ...] = Field(validation_alias="b")
    asks: tuple[PrintedLevel, ...] = Field(validation_alias="a")
    sequence: BookSequence = Field(validation_alias="u")
    first: BookSequence = Field(validation_alias="U")
    previous_or_none: BookSequence | None = Field(default=None, validation_alias="pu")
    ts_event_ns: MsAsNs = Field(validation_alias=AliasChoices("T", "E"))
    whole: Literal[False] = False

    @property
    def previous(self) -> int:
        """The id of the book that it is a change of."""
        return self.first - 1 if self.previous_or_none is None else self.previous_or_none

    @model_validator(mode="after")
    def _covers_something(self) -> Self:
        if self.previous >= self.sequence or self.first > self.sequence:
            raise ValueError("the update ids run backwards")
        return self


class DepthSnapshot(BookChange):
    """The answer to `depth`; spot's carries no time."""

    sequence: BookSequence = Field(validation_alias="lastUpdateId")
    ts_event_ns: MsAsNs | None = Field(default=None, validation_alias=AliasChoices("T", "E"))
    whole: Literal[True] = True


_validate_update: Callable[[bytes], DepthUpdate] = DepthUpdate.__pydantic_validator__.validate_json
_validate_snapshot: Callable[[bytes], DepthSnapshot] = DepthSnapshot.__pydantic_validator__.validate_json


class BinanceBookBuilder(BookBuilder):
    """One symbol's book, spot, USDⓈ-M or COIN-M."""

    def __init__(self, depth: int, events: BookEvents, max_waiting: int = MAX_WAITING) -> None:
        """An empty book.

        Args:
            depth: The `limit` that snapshots are asked for with: a side with so many levels has more behind them.
            events: Hears of changes, states and wanted snapshots; `on_snapshot` brings one.
            max_waiting: Changes kept while a snapshot is on its way.
        """
        super().__init__(OrderBook(depth, is_window=False), events)
        self._waiting: deque[DepthUpdate] = deque(maxlen=max_waiting)

    def on_frame(self, raw: bytes, ts_recv_ns: int) -> None:
        """A depth frame, in the combined stream's envelope or without one."""
        try:
            update = decode_update(raw)
        except MalformedPayload as error:
            self._lose(error)
            return
        if self._has_asked:
            self._wait(update)
        known = self._book.sequence
        if known is None:
            self._ask_for(update)
        elif update.previous > known:
            self._lose(SequenceGap(f"the change before {update.first} is missing: the book is at {known}"))
            self._wait(update)
        else:
            # An old one tells as well: the stream was there before the snapshot was taken.
            self._take([update] if update.sequence > known else [], ts_recv_ns)
            self._look_further(update)

    def on_snapshot(self, raw: bytes, ts_recv_ns: int) -> None:
        """The answer of REST to a wanted book, as it came."""
        self._has_asked = False
        try:
            snapshot = _validate_snapshot(raw)
        except ValidationError as error:
            self._lose(MalformedPayload(f"snapshot: {reason(error)}"))
            return
        later = [update for update in self._waiting if update.sequence > snapshot.sequence]
        if self._is_too_old(snapshot, later):
            if self._book.sequence is None:
                self._ask("the snapshot is older than the changes that came")
            return
        # With no change seen the stream might not be there yet: the next one shows whether something is missing.
        is_joined = bool(self._waiting) or self.state is BookState.VALID
        self._waiting.clear()
        self._take([snapshot, *later], ts_recv_ns, is_joined=is_joined)

    def _is_too_old(self, snapshot: DepthSnapshot, later: list[DepthUpdate]) -> bool:
        if later and later[0].previous > snapshot.sequence:
            return True
        end = later[-1].sequence if later else snapshot.sequence
        return self._book.sequence is not None and end < self._book.sequence

    def _ask_for(self, update: DepthUpdate) -> None:
        if not self._has_asked:
            self._wait(update)
            self._ask("no book yet")

    def _wait(self, update: DepthUpdate) -> None:
        newest = self._waiting[-1].sequence if self._waiting else -1
        if self._waiting and update.previous > newest:
            self._waiting.clear()  # what came before the hole joins nothing any more
        if update.sequence > newest:
            self._waiting.append(update)

    def _look_further(self, update: DepthUpdate) -> None:
        if self.state is BookState.VALID and self._book.is_thin and not self._has_asked:
            self._wait(update)
            self._ask("few of the levels that were asked for are left")

    def _forget(self) -> None:
        super()._forget()
        self._waiting.clear()


def decode_update(raw: bytes) -> DepthUpdate:
    """A depth frame, in an envelope or without one.

    Raises:
        MalformedPayload: If it is not one.
    """
    try:
        return _validate_update(_unwrapped(raw))
    except ValidationError as error:
        raise MalformedPayload(reason(error)) from None


def _unwrapped(raw: bytes) -> bytes:
    if not raw.startswith(b'{"stream"'):
        return raw
    start = raw.find(_DATA)
    return raw[start + len(_DATA) : -1]
