"""Writes minute_trades of one feed: rows for new minutes, corrections for minutes that late trades belong to.

Everything is derived from the archive: a run that died is simply run again, and whatever is there already with the
same numbers is not written again.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bot.domain.instrument import Feed, Instrument
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.ports import SegmentStore
from bot.storage.gap_rows import EVER_NS
from bot.storage.minutes import coverage
from bot.storage.minutes.answers import inside
from bot.storage.minutes.trades import COLUMNS, MINUTE_NS, MinuteTotals, minute_totals

CHUNK_NS = 60 * MINUTE_NS
"""Minutes that are worked on at once: what a first run over a long archive holds in memory."""

_Minute = tuple[str, int]
"""An instrument's id and a minute's start."""


class TradeMinutes:
    """One feed's minutes. What it remembers only spares it work: a new object does the same."""

    def __init__(
        self, store: SegmentStore, feed: Feed, instruments: Mapping[str, Instrument], *, grace_ns: int, slack_ns: int
    ) -> None:
        """See `bot.storage.minutes.jobs.MinuteJobs`; `instruments` are by id."""
        self._store = store
        self._feed = feed
        self._instruments = instruments
        self._grace_ns = grace_ns
        self._slack_ns = slack_ns
        self._first: dict[str, int] = {}
        """The first minute of each instrument that the archive has all of."""
        self._done: dict[str, int] = {}
        """The minute after the newest one that was worked on."""
        self._read_ns = 0
        """Trades received before this have been counted."""

    def run(self, until_ns: int, since_ns: int | None = None) -> tuple[int, int]:
        """Work on every minute that is over; how many new rows and how many corrections were written.

        Raises:
            StorageError: If the archive cannot be read or written.
        """
        until_ns = min(until_ns, coverage.recorded_until(self._store, self._feed))
        stop_ns = (until_ns - self._grace_ns) // MINUTE_NS * MINUTE_NS
        self._find_starts()
        if since_ns is not None:
            self._begin_again(since_ns // MINUTE_NS * MINUTE_NS)
        if not self._done or stop_ns <= min(self._done.values()):
            return 0, 0
        late: set[_Minute] = set()
        added = corrected = 0
        for start_ns, end_ns in self._chunks(stop_ns):
            written = self._work(start_ns, end_ns, until_ns, late)
            added, corrected = added + written[0], corrected + written[1]
        again = self._correct(late, until_ns)
        return added + again[0], corrected + again[1]

    def _find_starts(self) -> None:
        unknown = self._instruments.keys() - self._done.keys()
        if not unknown:
            return
        first = coverage.first_received(self._store, self._feed, unknown)
        last = coverage.last_minutes(self._store, Channel.MINUTE_TRADES, self._feed, unknown)
        for one, received_ns in first.items():
            self._first[one] = -(-received_ns // MINUTE_NS) * MINUTE_NS
            self._done[one] = max(last[one] + MINUTE_NS if one in last else 0, self._first[one])
        if not self._read_ns and self._done:
            # Rows were written when everything up to their end had come: only what came later can be new to them.
            self._read_ns = min(self._done.values())

    def _begin_again(self, since_ns: int) -> None:
        first = coverage.first_received(self._store, self._feed, self._instruments.keys())
        self._first = {one: -(-received_ns // MINUTE_NS) * MINUTE_NS for one, received_ns in first.items()}
        self._done = {one: min(self._done[one], max(since_ns, self._first[one])) for one in self._first}
        self._read_ns = min(self._read_ns, since_ns)

    def _chunks(self, stop_ns: int) -> Iterator[tuple[int, int]]:
        begin_ns = min(self._done.values())
        for low, high in coverage.traded_spans(self._store, self._feed, begin_ns, stop_ns, MINUTE_NS):
            for start_ns in range(low, high, CHUNK_NS):
                yield start_ns, min(start_ns + CHUNK_NS, high)

    def _work(self, start_ns: int, end_ns: int, until_ns: int, late: set[_Minute]) -> tuple[int, int]:
        # After the last chunk all there is, which is little more than a minute: late trades may be in it.
        is_last = end_ns + MINUTE_NS > until_ns - self._grace_ns
        read_to_ns = until_ns if is_last else min(end_ns + self._slack_ns, until_ns)
        trades = self._trades(self._instruments.keys(), start_ns - self._slack_ns, read_to_ns)
        found: dict[_Minute, MinuteTotals] = {}
        for one, rows in coverage.by_instrument(trades).items():
            late.update(self._late(one, rows, start_ns))
            event = rows.column("ts_event_ns")
            rows = rows.filter(pc.and_(pc.greater_equal(event, start_ns), pc.less(event, end_ns)))
            totals = minute_totals(rows, self._instruments[one])
            found.update({(one, minute): total for minute, total in totals.items()})
        quiet = self._quiet(start_ns, end_ns, found.keys())
        wanted = {
            at: found.get(at, MinuteTotals()) for at in (*found, *quiet) if self._done.get(at[0], EVER_NS) <= at[1]
        }
        written = self._write(wanted, start_ns, end_ns)
        self._done = {one: max(done, end_ns) for one, done in self._done.items()}
        self._read_ns = max(self._read_ns, read_to_ns)
        return written

    def _late(self, one: str, rows: pa.Table, start_ns: int) -> set[_Minute]:
        """Minutes before this chunk to which trades have come since they were counted."""
        is_late = pc.and_(
            pc.greater_equal(rows.column("ts_recv_ns"), self._read_ns), pc.less(rows.column("ts_event_ns"), start_ns)
        )
        minutes = rows.column("ts_event_ns").filter(is_late).to_numpy() // MINUTE_NS * MINUTE_NS
        return {(one, minute) for minute in np.unique(minutes).tolist() if minute >= self._first.get(one, EVER_NS)}

    def _quiet(self, start_ns: int, end_ns: int, busy: Collection[_Minute]) -> list[_Minute]:
        """Minutes without a trade, those aside in which none could have come."""
        minutes = np.arange(start_ns, end_ns, MINUTE_NS)
        gaps = self._gaps(start_ns)
        missing = {one: set(minutes[inside(minutes, rows)].tolist()) for one, rows in gaps.items()}
        every = ((one, minute) for one in self._done for minute in minutes.tolist())
        return [at for at in every if at not in busy and at[1] not in missing.get(at[0], ())]

    def _gaps(self, start_ns: int) -> Mapping[str, pa.Table]:
        # A gap is written when it is over, or as far as it is known: it is received at its end.
        rows = coverage.rows_of(self._store, Channel.GAPS, self._feed, self._instruments.keys(), start_ns, EVER_NS)
        return coverage.by_instrument(rows.filter(pc.equal(rows.column("channel"), Channel.TRADES.value)))

    def _correct(self, late: Collection[_Minute], until_ns: int) -> tuple[int, int]:
        added = corrected = 0
        for one, minute in sorted(late):
            rows = self._trades({one}, minute - self._slack_ns, until_ns)
            totals = minute_totals(rows, self._instruments[one]).get(minute, MinuteTotals())
            written = self._write({(one, minute): totals}, minute, minute + MINUTE_NS)
            added, corrected = added + written[0], corrected + written[1]
        return added, corrected

    def _trades(self, ids: Collection[str], start_ns: int, stop_ns: int) -> pa.Table:
        return coverage.rows_of(self._store, Channel.TRADES, self._feed, ids, start_ns, stop_ns, COLUMNS)

    def _write(self, wanted: Mapping[_Minute, MinuteTotals], start_ns: int, end_ns: int) -> tuple[int, int]:
        """Write what is not there yet, as one segment: all of it is there afterwards, or nothing."""
        written = self._written(start_ns, end_ns)
        rows = []
        for (one, minute), totals in sorted(wanted.items(), key=lambda item: item[0]):
            known = written.get((one, minute))
            if known is None or MinuteTotals.of_row(known) != totals:
                rows.append(totals.to_row(one, minute, 0 if known is None else known["revision"] + 1))
        table = pa.Table.from_pylist(rows, schema=SCHEMAS[Channel.MINUTE_TRADES])
        if rows:
            self._store.write(Channel.MINUTE_TRADES, str(self._feed), table, self._instruments)
        corrected = sum(row["revision"] > 0 for row in rows)
        return len(rows) - corrected, corrected

    def _written(self, start_ns: int, end_ns: int) -> dict[_Minute, dict[str, Any]]:
        """The newest revision of every row that is there."""
        rows = coverage.rows_of(
            self._store, Channel.MINUTE_TRADES, self._feed, self._instruments.keys(), start_ns, end_ns
        )
        found: dict[_Minute, dict[str, Any]] = {}
        for row in sorted(rows.to_pylist(), key=lambda row: int(row["revision"])):
            found[row["instrument"], row["ts_recv_ns"]] = row
        return found
