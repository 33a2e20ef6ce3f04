"""The local archive and journal as sources of answers: complete without any database."""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from bot.ports import RecordKind
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.ports import SegmentStore, Span
from bot.storage.book_replay import COLUMNS, DepthRules, has_start
from bot.storage.gap_rows import Imported
from bot.storage.market_queries import MarketQueries
from bot.storage.queries import JournalReader, Record, Run
from bot.storage.stored_queries import LIVELY, StoredQueries

_MINUTE_NS = 60 * 1_000_000_000


def archive_queries(
    store: SegmentStore,
    journal: JournalReader,
    depth_rules: Mapping[str, DepthRules] | None = None,
    imported: Imported = lambda instrument, channel: (),
) -> MarketQueries:
    """Answers from the local files; `depth_rules` by venue, as its live books are built."""
    return StoredQueries(ArchiveRows(store), JournalRecords(journal), depth_rules, imported)


class ArchiveRows:
    """`MarketRows` of a segment store."""

    def __init__(self, store: SegmentStore) -> None:
        """Read from `store`, which stays the caller's."""
        self._store = store

    def rows(self, channel: Channel, name: str, start_ns: int, stop_ns: int) -> pa.Table:
        """Rows of a span."""
        return self._store.rows(channel, name, start_ns, stop_ns)

    def newest(self, channel: Channel, name: str, ts_ns: int) -> pa.Table:
        """The newest row at or before `ts_ns`."""
        for rows in self._backwards(channel, name, ts_ns):
            if rows.num_rows:
                return rows.slice(rows.num_rows - 1)
        return SCHEMAS[channel].empty_table()

    def depth(self, instrument: str, ts_ns: int) -> pa.Table:
        """Messages from the newest snapshot on; from the first one where there is none."""
        parts: list[pa.Table] = []
        for rows in self._backwards(Channel.DEPTH, instrument, ts_ns, COLUMNS):
            parts.insert(0, rows)
            if has_start(rows):
                break
        return pa.concat_tables(parts) if parts else SCHEMAS[Channel.DEPTH].empty_table()

    def has_later(self, instrument: str, ts_ns: int) -> bool:
        """Whether any segment reaches behind `ts_ns`."""
        return any(self._store.segments(channel, start_ns=ts_ns + 1) for channel in LIVELY)

    def unwritten(self) -> Span | None:
        """As the store says."""
        return self._store.unwritten()

    def _backwards(
        self, channel: Channel, name: str, ts_ns: int, columns: Sequence[str] | None = None
    ) -> Iterator[pa.Table]:
        """The rows up to `ts_ns`, newest part first: its minute, then each part as long as all before it together.

        Whoever stops when he has enough has read at most twice as long a span as he needed.
        """
        oldest_ns = min(
            (segment.start_ns for segment in self._store.segments(channel, stop_ns=ts_ns + 1)), default=ts_ns
        )
        stop_ns, start_ns, length_ns = ts_ns + 1, ts_ns // _MINUTE_NS * _MINUTE_NS, _MINUTE_NS
        while stop_ns > oldest_ns:
            yield self._store.rows(channel, name, start_ns, stop_ns, columns)
            stop_ns, start_ns, length_ns = start_ns, start_ns - length_ns, 2 * length_ns


class JournalRecords:
    """`RunRecords` of the journal."""

    def __init__(self, journal: JournalReader) -> None:
        """Read from `journal`, which stays the caller's."""
        self._journal = journal

    def runs(self, since_ns: int | None = None) -> list[Run]:
        """Runs in the order in which they started."""
        return self._journal.runs(since_ns)

    def records(self, run_id: str, kind: RecordKind, since_ns: int | None, until_ns: int | None) -> Sequence[Record]:
        """Records of one kind in a span."""
        return [
            record
            for record in self._journal.records(run_id, kind)
            if (since_ns is None or record.ts_ns >= since_ns) and (until_ns is None or record.ts_ns < until_ns)
        ]
