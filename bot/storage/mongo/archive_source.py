"""The archive as a source: segments by number, in the order in which they were written, each in slices of rows.

A document's `_id` counts rows of the same nanosecond, or minute, so it has to be counted over all the rows there are.
Where another segment reaches into such a nanosecond or minute (a run that began within the minute, an import over a
recorded day), the rows are taken from the whole archive instead of from the segment.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa

from bot.errors import StorageError
from bot.storage.archive.channels import Channel
from bot.storage.archive.errors import SegmentRemoved
from bot.storage.archive.ports import SegmentInfo, SegmentStore
from bot.storage.mongo.batches import Backlog, Batch, Encoder, Growing
from bot.storage.mongo.cursors import Cursor
from bot.storage.mongo.market_documents import COLLECTIONS, ONE_A_MINUTE, RAW, Document, documents
from bot.storage.mongo.segment_rows import MINUTE_NS, Form, SegmentRows, form_of

_HELD = 256
_Span = tuple[int, int]


class _Open:
    """The segment that is being delivered."""

    def __init__(self, info: SegmentInfo, rows: SegmentRows, form: Form, shared: Sequence[_Span]) -> None:
        self.info = info
        self.rows = rows
        self.form = form
        self.shared = shared
        """Spans that other segments of the same rows reach into."""


class ArchiveSource:
    """`bot.storage.mongo.batches.Source` over an archive.

    Args:
        store: The archive.
        now_ns: UTC ns; against it raw rows are too old to be sent.
        channels: What is delivered; what is left out stays in the archive alone.
        quotes: A document per tick (`Form.ROW`) or columns by the minute (`Form.MINUTE`).
        raw_ttl_s: Raw rows that MongoDB would remove at once for their age are not sent; None: all are.
        batch_documents: At most so many in one batch.
        batch_rows: At most so many rows in one batch, unless one document has more.
    """

    name = "archive"

    def __init__(
        self,
        store: SegmentStore,
        now_ns: Callable[[], int],
        *,
        channels: frozenset[Channel] = frozenset(Channel),
        quotes: Form = Form.ROW,
        raw_ttl_s: int | None = None,
        batch_documents: int = 1_000,
        batch_rows: int = 20_000,
    ) -> None:
        self._store = store
        self._now_ns = now_ns
        self._channels = channels
        self._quotes = quotes
        self._raw_ttl_s = raw_ttl_s
        self._batch_documents = batch_documents
        self._batch_rows = batch_rows
        self._encoded = Encoder()
        self._open: _Open | None = None
        self._held: deque[SegmentInfo] = deque()
        self._held_after = 0

    def batch(self, cursor: Cursor) -> Batch | None:
        """The next rows behind the cursor; None where there are none.

        A segment that cannot be read gives a batch without documents, with `aside`, or with `missing` where retention
        has removed it.
        """
        info, skipped = self._segment(cursor.position), None
        while info is not None and not self._is_wanted(info):
            skipped = _behind(info)
            info = self._segment(info.number)
        if skipped is not None or info is None:
            return None if skipped is None else Batch(skipped, 0)
        done = _behind(info)
        try:
            return self._slice(self._opened(info), cursor, done)
        except SegmentRemoved:
            self._open = None
            return Batch(done, 0, missing=info.rows)
        except StorageError as error:
            self._open = None
            return Batch(done, 0, aside=str(error))

    def holds(self, cursor: Cursor) -> bool:
        """Whether the segment that the cursor stands at is in this archive."""
        if cursor.position == 0:
            return True
        info = self._segment(cursor.position - 1)
        return info is not None and (info.number, info.sha256) == (cursor.position, cursor.mark)

    def backlog(self, cursor: Cursor) -> Backlog:
        """How many rows wait, and how old the oldest is."""
        waiting = [info for info in self._store.segments(after=cursor.position, written=True) if self._is_wanted(info)]
        rows = sum(info.rows for info in waiting) - cursor.part
        return Backlog(max(rows, 0), min((info.start_ns for info in waiting), default=None))

    def close(self) -> None:
        """Let go of the segment in memory; the archive is the caller's."""
        self._open = None

    def _segment(self, after: int) -> SegmentInfo | None:
        """The first segment behind a number."""
        if after < self._held_after:  # a cursor that was taken back
            self._held.clear()
        while self._held and self._held[0].number <= after:
            self._held.popleft()
        self._held_after = after
        if not self._held:
            self._held.extend(islice(self._store.segments(after=after, written=True), _HELD))
        return self._held[0] if self._held else None

    def _is_wanted(self, info: SegmentInfo) -> bool:
        if info.channel not in self._channels or info.rows == 0:
            return False
        ttl_s = self._raw_ttl_s if info.channel in RAW else None
        return ttl_s is None or info.stop_ns > self._now_ns() - ttl_s * 1_000_000_000

    def _opened(self, info: SegmentInfo) -> _Open:
        if self._open is None or self._open.info.number != info.number:
            self._open = None  # one at a time in memory
            form = form_of(info.channel, self._quotes)
            self._open = _Open(info, SegmentRows(self._store.read(info), form), form, self._neighbours(info, form))
        return self._open

    def _neighbours(self, info: SegmentInfo, form: Form) -> list[_Span]:
        if info.channel in ONE_A_MINUTE:
            return []
        step = MINUTE_NS if form is Form.MINUTE else 1
        start_ns, stop_ns = _wide(info.start_ns, info.stop_ns, step)
        others = self._store.segments(info.channel, start_ns=start_ns, stop_ns=stop_ns, written=True)
        return [
            _wide(other.start_ns, other.stop_ns, step)
            for other in others
            if other.scope == info.scope and other.number != info.number
        ]

    def _slice(self, opened: _Open, cursor: Cursor, done: Cursor) -> Batch:
        rows = opened.rows
        # Rows that a merge brought in stand between: then the place in the middle means nothing.
        start = cursor.part if len(rows) == opened.info.rows else 0
        stop = rows.slice_end(start, self._batch_documents, self._batch_rows)
        is_last = stop >= len(rows)
        batch = Batch(done if is_last else Cursor(cursor.position, stop, cursor.mark), stop - start)
        self._fill(batch, opened, start, stop)
        if is_last:
            self._open = None
        return batch

    def _fill(self, batch: Batch, opened: _Open, start: int, stop: int) -> None:
        channel, rows, form = opened.info.channel, opened.rows, opened.form
        for first, last, is_shared in _runs(opened, start, stop):
            if not is_shared:
                self._add(batch, channel, documents(channel, form, rows, first, last), False)
                continue
            whole = SegmentRows(self._whole(opened, first, last), form)
            self._add(batch, channel, documents(channel, form, whole, 0, len(whole)), form is Form.MINUTE)

    def _whole(self, opened: _Open, first: int, last: int) -> pa.Table:
        """All the rows of the archive in a span, of the one instrument that stands there."""
        step = MINUTE_NS if opened.form is Form.MINUTE else 1
        start_ns, stop_ns = _wide(int(opened.rows.ts[first]), int(opened.rows.ts[last - 1]) + 1, step)
        return self._store.rows(opened.info.channel, opened.rows.instrument(first), start_ns, stop_ns)

    def _add(self, batch: Batch, channel: Channel, made: Iterable[Document], is_shared: bool) -> None:
        collection = COLLECTIONS[channel]
        if channel is Channel.MINUTE_TRADES:
            newest = {row["_id"]: row for row in sorted(made, key=lambda row: int(row["revision"]))}
            batch.replaces.setdefault(collection, []).extend(self._growing(newest.values(), "revision"))
        elif is_shared:
            batch.replaces.setdefault(collection, []).extend(self._growing(made, "minute_rows"))
        else:
            batch.inserts.setdefault(collection, []).extend(map(self._encoded, made))

    def _growing(self, made: Iterable[Document], by: str) -> list[Growing]:
        return [Growing(_keys(row), by, row[by], self._encoded(row)) for row in made]


def _keys(row: Document) -> dict[str, Any]:
    time_key = "minute_ns" if "minute_ns" in row else "ts_recv_ns"
    return {"_id": row["_id"], "instrument": row["instrument"], time_key: row[time_key]}


def _behind(info: SegmentInfo) -> Cursor:
    return Cursor(info.number, 0, info.sha256)


def _runs(opened: _Open, start: int, stop: int) -> Iterator[tuple[int, int, bool]]:
    """Neighbouring documents of which all or none are shared; those that are, of one instrument."""
    rows = opened.rows
    if not any(lo <= opened.info.stop_ns and opened.info.start_ns <= hi for lo, hi in opened.shared):
        yield start, stop, False
        return
    run: tuple[int, int, bool] | None = None
    for first, last in rows.units(start, stop):
        lo, hi = int(rows.ts[first]), int(rows.ts[last - 1]) + 1
        is_shared = any(lo < other_hi and other_lo < hi for other_lo, other_hi in opened.shared)
        if run is not None and run[2] == is_shared and (not is_shared or _same(rows, run[0], first)):
            run = (run[0], last, is_shared)
            continue
        if run is not None:
            yield run
        run = (first, last, is_shared)
    if run is not None:
        yield run


def _same(rows: SegmentRows, one: int, other: int) -> bool:
    return rows.instrument(one) == rows.instrument(other)


def _wide(start_ns: int, stop_ns: int, step_ns: int) -> _Span:
    """The span, widened to whole steps."""
    return start_ns // step_ns * step_ns, -(-stop_ns // step_ns) * step_ns
