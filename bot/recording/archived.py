"""Rows of the archive by instrument, newest part first: a window can take each as older than all that it has.

Of few instruments each is asked for by itself, which spares reading millions of times the same name; a file of hundreds
is read once for all of them.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bot.storage.archive.channels import Channel
from bot.storage.archive.ports import SegmentInfo, SegmentStore

FEW = 8
"""Instruments of a feed that are asked for one by one."""
PART_ROWS = 500_000
"""Rows of a feed that are read at once: what stays small in memory, and is many for what a question costs."""

Named = tuple[str, pa.Table]
_Work = Callable[[], list[Named]]


class Wanted(NamedTuple):
    """What is read."""

    channel: Channel
    columns: Sequence[str]
    """Without the instrument."""
    start_ns: int
    """Of receipt, UTC."""
    stop_ns: int


def newest_first(store: SegmentStore, wanted: Wanted, names: set[str]) -> Iterator[Named]:
    """Rows of these instruments, in order of receipt within a part; every part ends before the one that came before it.

    The next part is read and unpacked while somebody works on this one.

    Raises:
        StorageError: If the archive cannot be read.
    """
    scopes: dict[str, list[str]] = {}
    for name in sorted(names):
        instrument = store.instrument(name)
        if instrument is not None:
            scopes.setdefault(str(instrument.feed), []).append(name)
    segments = store.segments(wanted.channel, start_ns=wanted.start_ns, stop_ns=wanted.stop_ns)
    work = [
        one
        for scope, listed in scopes.items()
        for one in _work(store, wanted, listed, [segment for segment in segments if segment.scope == scope])
    ]
    for named in _ahead(work):
        yield from ((name, table) for name, table in named if len(table))


def _work(store: SegmentStore, wanted: Wanted, names: list[str], segments: Sequence[SegmentInfo]) -> list[_Work]:
    groups = _groups(segments)
    if len(names) > FEW:
        return [partial(_from_files, store, wanted, set(names), group) for group in reversed(groups)]
    return [
        partial(_one_by_one, store, wanted._replace(start_ns=start_ns, stop_ns=stop_ns), names)
        for start_ns, stop_ns in _spans(groups, wanted)
    ]


def _ahead(work: Sequence[_Work]) -> Iterator[list[Named]]:
    with ThreadPoolExecutor(1) as reader:
        coming: deque[Future[list[Named]]] = deque()
        for one in work:
            coming.append(reader.submit(one))
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


def _spans(groups: Sequence[Sequence[SegmentInfo]], wanted: Wanted) -> Iterator[tuple[int, int]]:
    """From a time to before another, newest first: small files put together, large ones cut."""
    stop_ns, rows = wanted.stop_ns, 0
    for group in reversed(groups):
        start_ns = max(group[0].start_ns, wanted.start_ns)
        rows += sum(segment.rows for segment in group)
        if rows >= PART_ROWS:
            yield from _cut(start_ns, stop_ns, rows // PART_ROWS)
            stop_ns, rows = start_ns, 0
    if rows:
        yield wanted.start_ns, stop_ns


def _cut(start_ns: int, stop_ns: int, pieces: int) -> Iterator[tuple[int, int]]:
    borders = [start_ns + (stop_ns - start_ns) * number // pieces for number in range(pieces + 1)]
    for number in range(pieces, 0, -1):
        yield borders[number - 1], borders[number]


def _one_by_one(store: SegmentStore, wanted: Wanted, names: Sequence[str]) -> list[Named]:
    channel, columns, start_ns, stop_ns = wanted
    return [(name, store.rows(channel, name, start_ns, stop_ns, columns)) for name in names]


def _from_files(store: SegmentStore, wanted: Wanted, names: set[str], group: Sequence[SegmentInfo]) -> list[Named]:
    table = pa.concat_tables([store.read(one, ["instrument", *wanted.columns]) for one in group])
    return [(name, _within(rows, wanted, is_ordered=len(group) == 1)) for name, rows in _split(table) if name in names]


def _split(table: pa.Table) -> Iterator[Named]:
    """The rows of each instrument."""
    names, rows = table.column("instrument").combine_chunks(), table.drop_columns(["instrument"])
    runs = pc.run_end_encode(names)
    found, ends = runs.values.to_pylist(), runs.run_ends.to_pylist()
    if len(set(found)) == len(found):
        # As archives have them: instrument by instrument, so that nothing has to be copied.
        for name, start, end in zip(found, [0, *ends], ends, strict=False):
            yield name, rows.slice(start, end - start)
        return
    encoded = names.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    for code, name in enumerate(encoded.dictionary.to_pylist()):
        yield name, rows.take(pa.array(np.flatnonzero(codes == code)))


def _within(table: pa.Table, wanted: Wanted, *, is_ordered: bool) -> pa.Table:
    recv_ns = table.column("ts_recv_ns").to_numpy()
    if not is_ordered:
        order = np.argsort(recv_ns, kind="stable")
        table, recv_ns = table.take(pa.array(order)), recv_ns[order]
    low, high = np.searchsorted(recv_ns, (wanted.start_ns, wanted.stop_ns))
    return table.slice(int(low), int(high - low))
