"""`MarketQueries` once, over whoever keeps rows and records: what an answer means does not depend on where it lies."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import pyarrow as pa

from bot.domain.market import TopOfBook
from bot.domain.order_book import BookState
from bot.ports import RecordKind
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.ports import Span
from bot.storage.book_replay import BookImage, DepthRules, replay
from bot.storage.gap_rows import EVER_NS, Imported, beginning, newest_reason, overlapping, unfilled
from bot.storage.instants import utc_text
from bot.storage.market_queries import BookAt, TopAt, check_minute_channel
from bot.storage.minutes.answers import newest_revisions
from bot.storage.queries import Record, Run

LIVELY = (Channel.QUOTES, Channel.TRADES, Channel.DEPTH)
"""Channels that have rows all the time while something is recorded."""
SILENCE_NS = 2 * 3_600 * 1_000_000_000
"""A book that is followed is archived whole at least every hour: after so long without a message it is not followed."""
_DEFAULT_RULES = DepthRules()


class MarketRows(Protocol):
    """Rows of the archive's channels, wherever they lie; `name` is what the channel has as its instrument."""

    def rows(self, channel: Channel, name: str, start_ns: int, stop_ns: int) -> pa.Table:
        """In the channel's schema, received from `start_ns` to before `stop_ns`, in order of receipt."""

    def newest(self, channel: Channel, name: str, ts_ns: int) -> pa.Table:
        """The newest row received at or before `ts_ns`; no row where there is none."""

    def depth(self, instrument: str, ts_ns: int) -> pa.Table:
        """Whole messages received at or before `ts_ns`, from the newest that is no delta, or an older one."""

    def has_later(self, instrument: str, ts_ns: int) -> bool:
        """Whether market data received after `ts_ns` was kept, of this instrument or any other."""

    def unwritten(self) -> Span | None:
        """When rows were received of which some may not be here; empty or None where none are known of."""


class RunRecords(Protocol):
    """The journal's records, wherever they lie."""

    def runs(self, since_ns: int | None = None) -> list[Run]:
        """As `JournalReader.runs`."""

    def records(self, run_id: str, kind: RecordKind, since_ns: int | None, until_ns: int | None) -> Sequence[Record]:
        """A run's records of one kind from `since_ns` to before `until_ns`, in the order in which they were made."""


class StoredMarket:
    """Answers about the market out of `rows`, which stay the caller's to close."""

    def __init__(
        self,
        rows: MarketRows,
        depth_rules: Mapping[str, DepthRules] | None = None,
        imported: Imported = lambda instrument, channel: (),
    ) -> None:
        """Answer from `rows`.

        Args:
            rows: What was kept.
            depth_rules: By venue, as its live books are built; a venue without any has the default ones.
            imported: What was imported later, and is no gap any more.
        """
        self._rows = rows
        self._imported = imported
        self._depth_rules = depth_rules or {}

    def top_of_book(self, instrument: str, ts_ns: int) -> TopAt | None:
        """See `MarketQueries`, here and below."""
        rows = self._rows.newest(Channel.QUOTES, instrument, ts_ns).to_pylist()
        if not rows:
            return None
        recv_ns = rows[0]["ts_recv_ns"]
        gaps = self.gaps(instrument, Channel.QUOTES, recv_ns, ts_ns + 1)
        return TopAt(TopOfBook(**rows[0]), recv_ns, newest_reason(gaps))

    def quotes(self, instrument: str, start_ns: int, stop_ns: int) -> pa.Table:
        """Tops of book."""
        return self._rows.rows(Channel.QUOTES, instrument, start_ns, stop_ns)

    def trades(self, instrument: str, start_ns: int, stop_ns: int) -> pa.Table:
        """Public trades."""
        return self._rows.rows(Channel.TRADES, instrument, start_ns, stop_ns)

    def funding(self, instrument: str, start_ns: int, stop_ns: int) -> pa.Table:
        """Funding rates."""
        return self._rows.rows(Channel.FUNDING, instrument, start_ns, stop_ns)

    def klines(self, instrument: str, start_ns: int, stop_ns: int) -> pa.Table:
        """Bars."""
        return self._rows.rows(Channel.KLINES, instrument, start_ns, stop_ns)

    def gaps(self, instrument: str, channel: Channel, start_ns: int, stop_ns: int) -> pa.Table:
        """Gaps that overlap the span."""
        # A gap may be noticed, and so received, long after it was.
        known = overlapping(self._rows.rows(Channel.GAPS, instrument, 0, EVER_NS), channel, start_ns, stop_ns)
        if channel is Channel.DEPTH:
            return known  # a book rests on every message since it was told whole, wherever they came from
        left = unfilled(known, self._imported(instrument, channel))
        return overlapping(left, channel, start_ns, stop_ns)

    def views(self, symbol: str, start_ns: int, stop_ns: int) -> pa.Table:
        """Combined views, as JSON without spaces."""
        rows = self._rows.rows(Channel.VIEWS, symbol, start_ns, stop_ns)
        texts = [json.dumps(json.loads(text), separators=(",", ":")) for text in rows.column("view").to_pylist()]
        at = rows.schema.get_field_index("view")
        return rows.set_column(at, SCHEMAS[Channel.VIEWS].field("view"), pa.array(texts, pa.string()))

    def order_book(self, instrument: str, ts_ns: int) -> BookAt:
        """The book at a moment."""
        rules = self._depth_rules.get(instrument.partition(":")[0], _DEFAULT_RULES)
        # In this order: what is known to be here is among the messages that are read after it.
        has_later = self._rows.has_later(instrument, ts_ns)
        unwritten = self._rows.unwritten()
        image = replay(self._rows.depth(instrument, ts_ns), rules)
        if image is None:
            return BookAt(instrument, ts_ns, BookState.EMPTY, "no book of it was kept up to then")
        doubt = self._doubt(instrument, image, ts_ns, unwritten, has_later=has_later)
        return replace(image, error=doubt).at(instrument, ts_ns)

    def _doubt(self, instrument: str, image: BookImage, ts_ns: int, unwritten: Span | None, *, has_later: bool) -> str:
        """Why the book is none; empty where nothing speaks against it."""
        gaps = self.gaps(instrument, Channel.DEPTH, image.begun_ns, ts_ns + 1)
        # The snapshot ends a gap that began before it. One that began later may have ended, but the book has not been
        # told whole since.
        told = newest_reason(gaps if image.error else beginning(gaps, image.begun_ns))
        if told is not None:
            return f"gap: {told}"
        if image.error or image.ts_recv_ns == ts_ns:
            return image.error
        if unwritten is not None and unwritten[0] <= ts_ns < unwritten[1]:
            since, until = map(utc_text, unwritten)
            return (
                f"not all that was received from {since} to before {until} is in the archive: "
                "it is being written, or its recorder was killed"
            )
        is_followed = ts_ns - image.ts_recv_ns < SILENCE_NS and has_later
        return "" if is_followed else f"nothing was kept after {utc_text(image.ts_recv_ns)}"

    def minute_rows(self, channel: Channel, instrument: str, start_ns: int, stop_ns: int) -> pa.Table:
        """Minute rows, corrections applied."""
        check_minute_channel(channel)
        rows = self._rows.rows(channel, instrument, start_ns, stop_ns)
        if channel is Channel.MINUTE_BOOKS:
            return rows
        return newest_revisions(rows, self.gaps(instrument, Channel.TRADES, start_ns, stop_ns))


class StoredQueries(StoredMarket):
    """`MarketQueries`: answers about the market, and about the runs out of `records`."""

    def __init__(
        self,
        rows: MarketRows,
        records: RunRecords,
        depth_rules: Mapping[str, DepthRules] | None = None,
        imported: Imported = lambda instrument, channel: (),
    ) -> None:
        """`rows` and `records` stay the caller's to close."""
        super().__init__(rows, depth_rules, imported)
        self._records = records

    def runs(self, since_ns: int | None = None) -> list[Run]:
        """Runs."""
        return self._records.runs(since_ns)

    def decisions(self, run_id: str, since_ns: int | None = None, until_ns: int | None = None) -> Sequence[Record]:
        """Decisions."""
        return self._records.records(run_id, RecordKind.DECISION, since_ns, until_ns)

    def orders(self, run_id: str, since_ns: int | None = None, until_ns: int | None = None) -> Sequence[Record]:
        """States of orders."""
        return self._records.records(run_id, RecordKind.ORDER, since_ns, until_ns)

    def fills(self, run_id: str, since_ns: int | None = None, until_ns: int | None = None) -> Sequence[Record]:
        """Fills."""
        return self._records.records(run_id, RecordKind.FILL, since_ns, until_ns)

    def balances(self, run_id: str, since_ns: int | None = None, until_ns: int | None = None) -> Sequence[Record]:
        """Balances."""
        return self._records.records(run_id, RecordKind.BALANCE, since_ns, until_ns)

    def events(self, run_id: str, since_ns: int | None = None, until_ns: int | None = None) -> Sequence[Record]:
        """Events."""
        return self._records.records(run_id, RecordKind.EVENT, since_ns, until_ns)
