"""One instrument's price levels, as changes from the venue leave them; in the venue's own units and digits.

Which change may follow which is the venue's rule and stands in its folder. What stands here only puts levels in their
place, so that a book can be rebuilt from an archive of its changes: a whole book, then what changed.

Prices are `float` keys: a venue prints at most fifteen digits of a price, and one decimal number is always one float.
The digits are kept beside them as they were printed.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.book_side import BookSide, PrintedLevel
from bot.domain.market import PrintedQuote, TopOfBook
from bot.domain.order import Side

_MAX_INT = 2**63 - 1
"""Sequences and times are kept in 64-bit columns; what does not fit is no sequence and no time."""

BookSequence = Annotated[int, Field(ge=0, le=_MAX_INT)]


class BookState(StrEnum):
    """Whether an order book may be used: only VALID ones may."""

    EMPTY = "empty"
    """Nothing has come yet, or the venue itself has no order on either side (delisted, halted)."""
    SYNCING = "syncing"
    """Changes come; what they are changes of is not known yet."""
    VALID = "valid"
    """As the venue's book was at `OrderBook.sequence`."""
    INVALID = "invalid"
    """Not to be used: a message is missing, does not decode, or makes no book; the reason says which."""


class BookChange(BaseModel):
    """A whole book, or the levels of one that changed; also what an archive of a book keeps."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    bids: tuple[PrintedLevel, ...]
    asks: tuple[PrintedLevel, ...]
    sequence: BookSequence
    """The venue's id of the book after this change."""
    ts_event_ns: int | None = None
    """The venue's time, UTC ns; None where it sends none (a snapshot of Binance spot)."""
    whole: bool = False
    """Whether it replaces the book; otherwise a level's quantity is absolute, and 0 deletes it."""


class OrderBook:
    """Both sides of a book. Whoever holds one reads it; its builder alone changes it.

    It has no state of its own: a builder hands it out while it is right (`exchanges.common.market.book_builder`).
    """

    __slots__ = ("_depth", "_is_window", "asks", "bids", "sequence", "ts_event_ns")

    def __init__(self, depth: int, *, is_window: bool) -> None:
        """An empty book.

        Args:
            depth: Levels kept on each side, the best ones.
            is_window: Whether the venue itself keeps `depth` levels up to date and says what comes into view (Bybit,
                Kraken). Otherwise what stands behind a full side is not known until the next whole book (Binance).
        """
        self._depth = depth
        self._is_window = is_window
        self.bids = BookSide(is_bid=True)
        self.asks = BookSide(is_bid=False)
        self.sequence: int | None = None
        """The venue's id of the newest change; None while there is no book."""
        self.ts_event_ns: int | None = None

    @property
    def depth(self) -> int:
        """Levels kept on each side."""
        return self._depth

    @property
    def is_window(self) -> bool:
        """Whether the venue says what comes into view."""
        return self._is_window

    def clear(self) -> None:
        """Forget everything."""
        self.bids.clear()
        self.asks.clear()
        self.sequence = self.ts_event_ns = None

    def apply(self, change: BookChange) -> None:
        """Put a change in its place; whether it is the next one is the caller's to know.

        Raises:
            MalformedPayload: A price or quantity is no number that could be one. The book is then half changed.
        """
        if change.whole:
            self.clear()
        for side, levels in ((self.bids, change.bids), (self.asks, change.asks)):
            side.apply(levels)
            side.keep(self._depth, window=self._is_window)
        self.sequence = change.sequence
        self.ts_event_ns = change.ts_event_ns

    @property
    def is_crossed(self) -> bool:
        """Whether the best bid is at or above the best ask, which no working market shows."""
        bid, ask = self.bids.best_price, self.asks.best_price
        return bid is not None and ask is not None and bid >= ask

    @property
    def is_thin(self) -> bool:
        """Whether less than half of what was asked for is known on a side, though the venue has more."""
        return any(side.is_partial and 2 * len(side) < self._depth for side in (self.bids, self.asks))

    def top(self) -> TopOfBook | None:
        """The best level of each side; None while one has none."""
        bids, asks = self.bids.levels(1), self.asks.levels(1)
        if not bids or not asks or self.sequence is None:
            return None
        return TopOfBook(
            bid_price=bids[0][0],
            bid_qty=bids[0][1],
            ask_price=asks[0][0],
            ask_qty=asks[0][1],
            sequence=self.sequence,
            ts_event_ns=self.ts_event_ns,
        )

    def printed_top(self, symbol: str) -> PrintedQuote | None:
        """The best levels with the venue's digits; `symbol` is its spelling. None while a side has none."""
        bids, asks = self.bids.printed(1), self.asks.printed(1)
        if not bids or not asks:
            return None
        return PrintedQuote(
            symbol=symbol,
            top_bid=bids[0][0],
            top_bid_quantity=bids[0][1],
            top_ask=asks[0][0],
            top_ask_quantity=asks[0][1],
        )

    def image(self, depth: int | None = None) -> BookChange | None:
        """The book as a whole change of `depth` levels a side (None: all), for an archive; None while there is none."""
        if self.sequence is None:
            return None
        return BookChange(
            bids=tuple(self.bids.printed(depth)),
            asks=tuple(self.asks.printed(depth)),
            sequence=self.sequence,
            ts_event_ns=self.ts_event_ns,
            whole=True,
        )


def offered(
    quote: TopOfBook, book: OrderBook | None, side: Side, depth: int | None = None
) -> list[tuple[float, float]]:
    """What an order of `side` meets: the quote, and behind it what the book shows; price and quantity, best first.

    The quote is the newer word on the best level. A book with a better one shows what is gone: it is not used, and
    the quote stands alone, which is less and never more than there is.

    Args:
        quote: The newest that passed the gate.
        book: Of the same instrument, if it may be used.
        side: Of the order: a buy meets the asks.
        depth: At most so many levels of the book; None: all.
    """
    buys = side is Side.BUY
    best = (quote.ask_price, quote.ask_qty) if buys else (quote.bid_price, quote.bid_qty)
    if book is None:
        return [best]
    levels = (book.asks if buys else book.bids).levels(depth)
    if not levels or side.sign * levels[0][0] < side.sign * best[0]:
        return [best]
    return [best, *(levels[1:] if levels[0][0] == best[0] else levels)]
