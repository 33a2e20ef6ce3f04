"""What the archive knows of the time before this run: until when each instrument was recorded, and its day again."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bot.market.columns import Columns, read_only
from bot.recording.directory import Directory
from bot.storage.archive.channels import Channel
from bot.storage.archive.ports import SegmentInfo, SegmentStore

DAY_NS = 86_400_000_000_000
_OLDER_LOOKED_AT = 64
"""Segments from before the last day that are read to find out when the recording of an instrument ended."""
_COLUMNS = ["instrument", *Columns._fields]


class LoadableWindow(Protocol):
    """What is asked of a window that is to be filled."""

    def load(self, columns: Columns) -> None:
        """Take rows from before every row that it holds."""


@dataclass(frozen=True, slots=True)
class KnownGap:
    """Quotes may be missing that were received from `start_ns` to before `stop_ns`."""

    start_ns: int
    stop_ns: int
    reason: str


@dataclass(frozen=True, slots=True)
class Filled:
    """What came back into one window."""

    rows: int
    gaps: Sequence[KnownGap]
    """By start; the last one is the time between the archive's end and now."""


def recorded_until(store: SegmentStore, channel: Channel, directory: Directory, now_ns: int) -> dict[int, int]:
    """By slot: when the recording of its channel ended; an instrument that was never recorded has no entry.

    An instrument that stands in none of the newest segments counts as recorded until the oldest of those that were
    looked at.

    Raises:
        StorageError: If the archive cannot be read.
    """
    known = set(store.instruments(channel))
    sought = {one.id: slot for slot, one in enumerate(directory.instruments) if one.id in known}
    found: dict[int, int] = {}
    older = _OLDER_LOOKED_AT
    looked_ns = now_ns
    for segment in _newest_first(store.segments(channel, stop_ns=now_ns)):
        if segment.scope not in {str(directory.instruments[slot].feed) for slot in sought.values()}:
            continue
        older -= segment.stop_ns <= now_ns - DAY_NS
        if older < 0:
            break
        for name in store.read(segment, ["instrument"]).column("instrument").unique().to_pylist():
            if name in sought:
                found[sought.pop(name)] = min(segment.stop_ns, now_ns)
        looked_ns = min(looked_ns, segment.start_ns)
    return found | dict.fromkeys(sought.values(), looked_ns)


def _newest_first(segments: Sequence[SegmentInfo]) -> list[SegmentInfo]:
    return sorted(segments, key=lambda one: one.stop_ns, reverse=True)


def fill_windows(
    store: SegmentStore, windows: Mapping[str, LoadableWindow], now_ns: int, hold_ns: int = DAY_NS
) -> dict[str, Filled]:
    """Load the quotes of the last `hold_ns` into the windows, before the first quote of this run.

    Quotes that no gate lets pass whatever came before them (no number, nothing offered, crossed, older than their
    predecessor) are left out, as they were left out when they came; those that were refused as stale or as a jump come
    in, for that cannot be seen any more.

    Args:
        store: The archive.
        windows: By instrument id.
        now_ns: UTC; rows from then on are not loaded.
        hold_ns: How far back.

    Returns:
        By instrument id, for every window.

    Raises:
        StorageError: If the archive cannot be read.
    """
    start_ns = now_ns - hold_ns
    rows = dict.fromkeys(windows, 0)
    newest_ns = dict.fromkeys(windows, 0)
    parts = _parts(store, set(windows), start_ns, now_ns)
    for name, columns in parts:
        windows[name].load(columns)
        rows[name] += columns.rows
        newest_ns[name] = max(newest_ns[name], int(columns.ts_recv_ns[-1]))
    return {name: Filled(rows[name], _gaps(store, name, start_ns, now_ns, newest_ns[name])) for name in windows}


def _parts(store: SegmentStore, names: set[str], start_ns: int, stop_ns: int) -> Iterator[tuple[str, Columns]]:
    """Rows by instrument, newest part first, so that a window can take each as older than all that it has."""
    segments = store.segments(Channel.QUOTES, start_ns=start_ns, stop_ns=stop_ns)
    scopes = {str(one.feed) for name in names if (one := store.instrument(name)) is not None}
    groups = [
        group
        for scope in sorted(scopes)
        for group in reversed(_groups([segment for segment in segments if segment.scope == scope]))
    ]
    for group, table in zip(groups, _read(store, groups), strict=True):
        for name, columns in _by_instrument(table, names, ordered=len(group) == 1):
            wanted = _within(columns, start_ns, stop_ns)
            if wanted.rows:
                yield name, wanted


def _read(store: SegmentStore, groups: Sequence[Sequence[SegmentInfo]]) -> Iterator[pa.Table]:
    """Each group's rows; the next group is read and unpacked while somebody works on this one."""

    def read(group: Sequence[SegmentInfo]) -> pa.Table:
        return pa.concat_tables([store.read(one, _COLUMNS) for one in group])

    with ThreadPoolExecutor(1) as ahead:
        coming: deque[Future[pa.Table]] = deque()
        for group in groups:
            coming.append(ahead.submit(read, group))
            if len(coming) > 1:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def _groups(segments: Sequence[SegmentInfo]) -> list[list[SegmentInfo]]:
    """By time; segments that overlap or touch stand together, for their rows have to be put in order first."""
    groups: list[list[SegmentInfo]] = []
    reach_ns = 0
    for segment in sorted(segments, key=lambda one: (one.start_ns, one.number)):
        if groups and segment.start_ns < reach_ns:
            groups[-1].append(segment)
        else:
            groups.append([segment])
        reach_ns = max(reach_ns, segment.stop_ns)
    return groups


def _by_instrument(table: pa.Table, names: set[str], *, ordered: bool) -> Iterator[tuple[str, Columns]]:
    for name, rows in _split(table):
        if name in names:
            columns = _columns(rows)
            yield name, columns if ordered else columns.take(np.argsort(columns.ts_recv_ns, kind="stable"))


def _split(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each instrument."""
    runs = pc.run_end_encode(table.column("instrument").combine_chunks())
    found, ends = runs.values.to_pylist(), runs.run_ends.to_pylist()
    if len(set(found)) == len(found):
        # As archives have them: instrument by instrument, so that nothing has to be copied.
        for name, start, end in zip(found, [0, *ends], ends, strict=False):
            yield name, table.slice(start, end - start)
        return
    encoded = table.column("instrument").combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    for code, name in enumerate(encoded.dictionary.to_pylist()):
        yield name, table.take(pa.array(np.flatnonzero(codes == code)))


def _columns(table: pa.Table) -> Columns:
    event_ns = pc.fill_null(table.column("ts_event_ns"), 0)
    arrays = [event_ns if name == "ts_event_ns" else table.column(name) for name in Columns._fields]
    return read_only(column.to_numpy() for column in arrays)


def _within(columns: Columns, start_ns: int, stop_ns: int) -> Columns:
    """The usable rows of the span."""
    low, high = np.searchsorted(columns.ts_recv_ns, (start_ns, stop_ns))
    columns = columns.slice(int(low), int(high))
    usable = _usable(columns) & _newer(columns.sequence)
    return columns if usable.all() else columns.take(np.flatnonzero(usable))


def _usable(columns: Columns) -> NDArray[np.bool_]:
    """What the quote gate asks of a quote by itself; comparisons with NaN are false."""
    bid, ask = columns.bid_price, columns.ask_price
    prices = (bid > 0) & (bid < ask) & (ask < np.inf)
    sizes = [(size > 0) & (size < np.inf) for size in (columns.bid_qty, columns.ask_qty)]
    usable: NDArray[np.bool_] = prices & sizes[0] & sizes[1]
    return usable


def _newer(sequence: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows are no late copies: an id below the one before is one, unless it is 1, the venue's restart."""
    if not len(sequence) or (sequence[1:] >= sequence[:-1]).all():
        return np.ones(len(sequence), np.bool_)
    restarts = [0, *np.flatnonzero(sequence == 1).tolist(), len(sequence)]
    pieces = [sequence[start:stop] for start, stop in pairwise(restarts)]
    return np.concatenate([piece >= np.maximum.accumulate(piece) for piece in pieces if len(piece)])


def _gaps(store: SegmentStore, name: str, start_ns: int, now_ns: int, newest_ns: int) -> list[KnownGap]:
    rows = store.rows(Channel.GAPS, name, start_ns, now_ns + 1).to_pylist()
    told = [
        KnownGap(row["start_ns"], row["stop_ns"], row["reason"]) for row in rows if row["channel"] == Channel.QUOTES
    ]
    last_ns = max([newest_ns, start_ns, *(gap.stop_ns for gap in told)])
    return [*sorted(told, key=lambda gap: gap.start_ns), KnownGap(last_ns, now_ns, "the program did not run")]
