"""Kraken's order books: a whole one first, then changes, each with a checksum of what the best ten levels then are.

There are no update ids. A missing message shows in the next checksum, and one that is repeated late in its time. A
checksum covers ten levels: of a deeper book the rest is only known to be what was sent, so ten is what the reader asks
for. What changes push beyond the depth is dropped by both sides.

Source: https://docs.kraken.com/api/docs/guides/spot-ws-book-v2
"""

from decimal import Decimal
from typing import Any
from zlib import crc32

from bot.domain.book_side import PrintedLevel
from bot.domain.order_book import BookChange, BookState, OrderBook
from bot.errors import MalformedPayload, SequenceGap
from exchanges.common.market.book_builder import BookBuilder, BookEvents
from exchanges.kraken.schemas import BookData, Pair, WireLevel, book_frame, decoded

CHECKED_LEVELS = 10


class KrakenBookBuilder(BookBuilder):
    """One pair's book. It is VALID only while its digits are known and the newest checksum is right."""

    def __init__(self, symbol: str, depth: int, events: BookEvents, pair: Pair | None = None) -> None:
        """An empty book.

        Args:
            symbol: In Kraken's v2 spelling: `BTC/USD`.
            depth: As subscribed to.
            events: Hears of changes and states; a wanted book comes with a new subscription, after `reset`.
            pair: Its digits, where they are known already; `on_pair` tells them later.
        """
        super().__init__(OrderBook(depth, is_window=True), events)
        self._symbol = symbol
        self._pair = pair
        self._changes = 0
        self._checksum = 0

    def on_pair(self, pair: Pair) -> None:
        """The pair's digits; what has come so far is checked with them."""
        if pair != self._pair:
            self._pair = pair
            if self._book.sequence is not None:
                self._judge()

    def on_frame(self, raw: bytes, ts_recv_ns: int) -> None:
        """A frame of the `book` channel; what it says of other symbols is let pass."""
        try:
            message = decoded(raw)
        except MalformedPayload as error:
            self._lose(error)
            return
        self.on_message(message, ts_recv_ns)

    def on_message(self, message: dict[str, Any], ts_recv_ns: int) -> None:
        """The same, decoded by `schemas.decoded`."""
        try:
            frame = book_frame(message)
        except MalformedPayload as error:
            self._lose(error)
            return
        for data in frame.data:
            if data.symbol == self._symbol:
                self._on_data(data, frame.type == "snapshot", ts_recv_ns)

    def _on_data(self, data: BookData, whole: bool, ts_recv_ns: int) -> None:
        if whole:
            self._has_asked = False
        elif self._book.sequence is None:
            self._lose(SequenceGap("a change came before any book"))
            return
        elif self._is_old(data):
            return
        self._changes += 1
        self._checksum = data.checksum
        self._take([self._change(data, whole)], ts_recv_ns)

    def _is_old(self, data: BookData) -> bool:
        known_ns, ts_event_ns = self._book.ts_event_ns, data.ts_event_ns
        return known_ns is not None and ts_event_ns is not None and ts_event_ns < known_ns

    def _change(self, data: BookData, whole: bool) -> BookChange:
        # Kraken numbers nothing: the sequence is how many messages this builder has taken.
        return BookChange(
            bids=_printed(data.bids),
            asks=_printed(data.asks),
            sequence=self._changes,
            ts_event_ns=data.ts_event_ns or self._book.ts_event_ns,
            whole=whole,
        )

    def _judge(self) -> None:
        if self._pair is None:
            self._move(BookState.SYNCING, None)
            return
        try:
            actual = checksum(self._book, self._pair)
        except MalformedPayload as error:
            self._lose(error)
            return
        if actual != self._checksum:
            self._lose(SequenceGap(f"the checksum is {self._checksum}, of this book it is {actual}"))
        else:
            super()._judge()


def checksum(book: OrderBook, pair: Pair) -> int:
    """CRC32 of the best ten asks and then bids, best first: each price and quantity as digits, zeros before cut off.

    Raises:
        MalformedPayload: If a number has more digits than the pair allows.
    """
    levels = book.asks.printed(CHECKED_LEVELS) + book.bids.printed(CHECKED_LEVELS)
    text = "".join(
        _digits(price, pair.price_precision) + _digits(quantity, pair.qty_precision) for price, quantity in levels
    )
    return crc32(text.encode())


def _digits(number: str, precision: int) -> str:
    whole, _, fraction = (number if number.replace(".", "", 1).isdigit() else f"{Decimal(number):f}").partition(".")
    fraction = fraction.rstrip("0") if len(fraction) > precision else fraction
    if len(fraction) > precision:
        raise MalformedPayload("a number has more digits than its pair")
    return (whole + fraction.ljust(precision, "0")).lstrip("0")


def _printed(levels: tuple[WireLevel, ...]) -> tuple[PrintedLevel, ...]:
    return tuple((level.price, level.qty) for level in levels)
