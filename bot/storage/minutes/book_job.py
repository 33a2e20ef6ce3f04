"""Writes minute_books of one feed: how each configured book stood at the end of every minute.

Books are not corrected: a book is what was known then. A minute at whose end it was not right has no row.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from bot.domain.instrument import Feed, Instrument
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.ports import SegmentStore
from bot.storage.minutes import coverage
from bot.storage.minutes.books import minute_book_row
from bot.storage.minutes.trades import MINUTE_NS
from bot.storage.stored_queries import SILENCE_NS, StoredMarket

CHUNK_NS = 60 * MINUTE_NS


class BookMinutes:
    """One feed's minutes; like `TradeMinutes`, a new object does the same."""

    def __init__(
        self,
        store: SegmentStore,
        market: StoredMarket,
        feed: Feed,
        instruments: Mapping[str, Instrument],
        *,
        levels: int,
    ) -> None:
        """See `bot.storage.minutes.jobs.MinuteJobs`; `instruments` are by id, `market` reads the same store."""
        self._store = store
        self._market = market
        self._feed = feed
        self._instruments = instruments
        self._levels = levels
        self._done: dict[str, int] = {}
        """The newest minute's end that was worked on."""

    def run(self, until_ns: int, since_ns: int | None = None) -> int:
        """Work on every minute that is over; how many rows were written.

        Raises:
            StorageError: If the archive cannot be read or written.
        """
        until_ns = min(until_ns, coverage.recorded_until(self._store, self._feed))
        stop_ns = until_ns // MINUTE_NS * MINUTE_NS
        self._find_starts(since_ns)
        begin_ns = min(self._done.values(), default=stop_ns)
        return sum(self._work(at_ns, min(at_ns + CHUNK_NS, stop_ns)) for at_ns in range(begin_ns, stop_ns, CHUNK_NS))

    def _find_starts(self, since_ns: int | None) -> None:
        unknown = self._instruments.keys() - (self._done.keys() if since_ns is None else set())
        if not unknown:
            return
        first = coverage.first_received(self._store, self._feed, unknown, (Channel.DEPTH,))
        last = coverage.last_minutes(self._store, Channel.MINUTE_BOOKS, self._feed, unknown) if since_ns is None else {}
        for one, received_ns in first.items():
            begin_ns = max(received_ns, since_ns or 0) // MINUTE_NS * MINUTE_NS
            self._done[one] = last.get(one, begin_ns)

    def _work(self, start_ns: int, stop_ns: int) -> int:
        """Rows of the minutes that end after `start_ns` and not after `stop_ns`, as one segment."""
        since_ns = start_ns - SILENCE_NS  # what no message was of since then is not followed, see `StoredMarket`
        has_books = self._store.segments(Channel.DEPTH, start_ns=since_ns, stop_ns=stop_ns)
        rows = self._rows(start_ns, stop_ns) if has_books else []
        if rows:
            table = pa.Table.from_pylist(rows, schema=SCHEMAS[Channel.MINUTE_BOOKS])
            self._store.write(Channel.MINUTE_BOOKS, str(self._feed), table, self._instruments)
        self._done = {one: max(done, stop_ns) for one, done in self._done.items()}
        return len(rows)

    def _rows(self, start_ns: int, stop_ns: int) -> list[dict[str, Any]]:
        written = self._written(start_ns, stop_ns)
        ends = (
            (one, end_ns)
            for one in sorted(self._done)
            for end_ns in range(max(start_ns, self._done[one]) + MINUTE_NS, stop_ns + 1, MINUTE_NS)
        )
        return [row for at in ends if at not in written and (row := self._row(*at)) is not None]

    def _row(self, one: str, end_ns: int) -> dict[str, Any] | None:
        book = self._market.order_book(one, end_ns - 1)
        times = self._store.rows(Channel.TRADES, one, end_ns - MINUTE_NS, end_ns, ("ts_event_ns",))
        last_trade_ns = pc.max(times.column("ts_event_ns")).as_py()
        return minute_book_row(book, self._instruments[one], end_ns, last_trade_ns, self._levels)

    def _written(self, start_ns: int, stop_ns: int) -> set[tuple[str, int]]:
        ids = self._instruments.keys()
        rows = coverage.rows_of(self._store, Channel.MINUTE_BOOKS, self._feed, ids, start_ns + 1, stop_ns + 1)
        return set(zip(*(rows.column(name).to_pylist() for name in ("instrument", "ts_recv_ns")), strict=True))
