"""What may be asked of everything that was kept, whoever keeps it: journal and archive, or MongoDB.

Times are UTC ns. Market data goes by the time of receipt: a span holds what was received from its start to before its
end, a moment what had been received then. Instruments are named by `Instrument.id` (`binance:BTC/USDT:USDT`), views by
the unified symbol (`BTC/USDT:USDT`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bot.domain.market import TopOfBook
from bot.domain.order_book import BookState
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.queries import Record, Run

MINUTE_CHANNELS = (Channel.MINUTE_BOOKS, Channel.MINUTE_TRADES)
MINUTE_SCHEMAS: Mapping[Channel, pa.Schema] = {
    Channel.MINUTE_BOOKS: SCHEMAS[Channel.MINUTE_BOOKS],
    Channel.MINUTE_TRADES: SCHEMAS[Channel.MINUTE_TRADES].append(pa.field("whole", pa.bool_(), nullable=False)),
}
"""What `minute_rows` answers with; `whole` is False for a minute of which trades may be missing."""

Level = tuple[float, float]
"""Price and quantity, venue units."""


@dataclass(frozen=True, slots=True)
class TopAt:
    """A top of book as it was known at a moment."""

    quote: TopOfBook
    ts_recv_ns: int
    gap: str | None
    """Why a newer one may be missing; None where nothing is known to be."""


@dataclass(frozen=True, slots=True)
class BookAt:
    """An order book as it was known at a moment."""

    instrument: str
    ts_ns: int
    """The moment that was asked for."""
    state: BookState
    """VALID, or why there are no levels: EMPTY (nothing was ever kept), INVALID (a gap, which is never bridged)."""
    reason: str = ""
    """Of a book that is not VALID, a line for a person."""
    ts_recv_ns: int | None = None
    """When the newest message in it came; None without one."""
    begun_ns: int | None = None
    """When the whole book came that it rests on, UTC ns; None where it rests on none."""
    ts_event_ns: int | None = None
    sequence: int | None = None
    """The venue's id of the newest change in it."""
    bids: tuple[Level, ...] = ()
    """Every level that is known to be right, best first."""
    asks: tuple[Level, ...] = ()

    def top(self) -> TopOfBook | None:
        """The best level of each side; None unless VALID."""
        if self.state is not BookState.VALID or self.sequence is None:
            return None
        (bid_price, bid_qty), (ask_price, ask_qty) = self.bids[0], self.asks[0]
        return TopOfBook(
            bid_price=bid_price,
            bid_qty=bid_qty,
            ask_price=ask_price,
            ask_qty=ask_qty,
            sequence=self.sequence,
            ts_event_ns=self.ts_event_ns,
        )


class MarketQueries(Protocol):
    """Same answers from every implementation; `StorageError` from every method where what was kept cannot be read.

    Tables are in the channel's schema (`bot.storage.archive.channels.SCHEMAS`), one instrument's rows in order of
    receipt; an instrument or run that nothing is known of has empty answers.
    """

    def top_of_book(self, instrument: str, ts_ns: int) -> TopAt | None:
        """The newest quote received at or before `ts_ns`; None where there is none."""

    def quotes(self, instrument: str, start_ns: int, stop_ns: int) -> pa.Table:
        """Tops of book."""

    def trades(self, instrument: str, start_ns: int, stop_ns: int) -> pa.Table:
        """Public trades, as often as they were delivered."""

    def funding(self, instrument: str, start_ns: int, stop_ns: int) -> pa.Table:
        """Funding rates."""

    def klines(self, instrument: str, start_ns: int, stop_ns: int) -> pa.Table:
        """Bars of the venue's own history, by their ends."""

    def gaps(self, instrument: str, channel: Channel, start_ns: int, stop_ns: int) -> pa.Table:
        """The gaps of one channel that overlap the span, by start, whenever they were noticed."""

    def views(self, symbol: str, start_ns: int, stop_ns: int) -> pa.Table:
        """The combined view across venues, sampled."""

    def order_book(self, instrument: str, ts_ns: int) -> BookAt:
        """The book with every message received at or before `ts_ns`; in a gap, INVALID with the reason."""

    def minute_rows(self, channel: Channel, instrument: str, start_ns: int, stop_ns: int) -> pa.Table:
        """Rows of MINUTE_BOOKS or MINUTE_TRADES (schemas: `MINUTE_SCHEMAS`), each minute once, corrections applied.

        `ts_recv_ns` is the minute's start for trades, its end for books.

        Raises:
            ValueError: If the channel is neither.
        """

    def runs(self, since_ns: int | None = None) -> list[Run]:
        """Runs in the order in which they started; with `since_ns`, those that were still active then."""

    def decisions(self, run_id: str, since_ns: int | None = None, until_ns: int | None = None) -> Sequence[Record]:
        """A run's decisions from `since_ns` to before `until_ns` on the run's clock, as they were recorded."""

    def orders(self, run_id: str, since_ns: int | None = None, until_ns: int | None = None) -> Sequence[Record]:
        """Every state of every order."""

    def fills(self, run_id: str, since_ns: int | None = None, until_ns: int | None = None) -> Sequence[Record]:
        """Fills."""

    def balances(self, run_id: str, since_ns: int | None = None, until_ns: int | None = None) -> Sequence[Record]:
        """Balances, as often as they were written down."""

    def events(self, run_id: str, since_ns: int | None = None, until_ns: int | None = None) -> Sequence[Record]:
        """What a person should know."""


def columns(table: pa.Table) -> dict[str, NDArray[Any]]:
    """A table as numpy arrays by name; what is missing is 0 in whole numbers and NaN in others, as in the window."""
    return {name: _column(table.column(name)) for name in table.column_names}


def _column(column: pa.ChunkedArray) -> NDArray[Any]:
    if column.null_count and pa.types.is_integer(column.type):
        column = pc.fill_null(column, 0)
    return np.asarray(column.to_numpy())


def check_minute_channel(channel: Channel) -> None:
    """Let pass the channels that `minute_rows` answers.

    Raises:
        ValueError: If it is another.
    """
    if channel not in MINUTE_CHANNELS:
        raise ValueError(f"{channel} has no minute rows: ask for minute_books or minute_trades")
