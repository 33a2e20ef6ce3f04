"""Rows out of files: every block is checked, and what merging took away in the meantime is found where it went.

A file that is gone is lost only if the manifest still says that it is there.
"""

import threading
from bisect import bisect_left, bisect_right
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bot.errors import StorageError
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.errors import FileGone, SegmentRemoved
from bot.storage.archive.files import Block, FileHeader, checked, decoded
from bot.storage.archive.layout import SEGMENT_COLUMN, Layout, columns_needed
from bot.storage.archive.manifest import Manifest
from bot.storage.archive.ports import SegmentInfo
from bot.storage.archive.roots import Root
from bot.storage.archive.wide import codes_of, from_wide, row_order

_HEADERS_KEPT = 256

Place = tuple[SegmentInfo, Block]


class Reader:
    """Reads what a manifest names from a root; any number of threads may use one."""

    def __init__(self, manifest: Manifest, root: Root) -> None:
        self._manifest = manifest
        self._root = root
        self._headers: OrderedDict[int, FileHeader] = OrderedDict()
        self._lock = threading.Lock()

    def segment(self, segment: SegmentInfo, columns: Sequence[str] | None) -> pa.Table:
        """See `ports.SegmentStore.read`."""
        lost: FileGone | None = None
        tried: SegmentInfo | None = None
        while True:
            holder = self._holder(segment)
            if lost is not None and holder == tried:
                raise lost
            try:
                return self._segment(segment, holder, columns)
            except FileGone as error:
                lost, tried = error, holder

    def chunks(
        self, channel: Channel, instrument: str, start_ns: int, stop_ns: int, columns: Sequence[str] | None
    ) -> Iterator[pa.Table]:
        """One instrument's rows in order of receipt, a few blocks at a time.

        Files that are merged away between two chunks are found again: the rows of a chunk are all older than those
        of the next, so that the rest can be looked up anew.
        """
        wanted = list(columns or SCHEMAS[channel].names)
        lost: FileGone | None = None
        tried: set[int] = set()
        while True:
            found = self._manifest.live_blocks(channel, instrument, start_ns, stop_ns)
            numbers = {segment.number for segment, _ in found}
            if lost is not None and numbers == tried:
                raise lost
            try:
                for end_ns, places in time_clusters(found):
                    yield self._cluster(channel, instrument, places, (start_ns, stop_ns), wanted)
                    start_ns = end_ns + 1
            except FileGone as error:
                lost, tried = error, numbers
            else:
                return

    def wide(self, place: Place, first: str, last: str, columns: Collection[str] | None = None) -> pa.Table:
        """A block's rows of the instruments from `first` to `last`, with these columns of the file (None: all).

        The column `segment`, if it is one of them, has the number that each row was written under.
        """
        segment, block = place
        header = self._header(segment)
        raw = self._raw(place, columns or header.schema.names)
        names = raw.column("instrument").chunk(0)
        ids = names.dictionary.to_pylist()
        codes = codes_of(names)
        low = int(np.searchsorted(codes, bisect_left(ids, first)))
        high = int(np.searchsorted(codes, bisect_right(ids, last)))
        # A slice would keep the whole block in memory for the sake of a few of its rows.
        raw = raw.slice(low, high - low) if 2 * (high - low) > len(raw) else raw.take(pa.array(np.arange(low, high)))
        rows = decoded(raw, header.layout, {} if low else block.carry)
        at = rows.schema.get_field_index(SEGMENT_COLUMN)
        if segment.merged_from or at < 0:
            return rows
        return rows.set_column(at, rows.schema.field(at), pa.array(np.full(len(rows), segment.number)))

    def counts(self, place: Place) -> Counter[str]:
        """Rows of each instrument in a block."""
        names = self._raw(place, ["instrument"]).column("instrument").chunk(0)
        numbers = np.bincount(codes_of(names), minlength=len(names.dictionary))
        return Counter(
            {name: int(number) for name, number in zip(names.dictionary.to_pylist(), numbers, strict=True) if number}
        )

    def layout(self, segment: SegmentInfo) -> Layout:
        """Of the file."""
        return self._header(segment).layout

    def schema(self, segment: SegmentInfo) -> pa.Schema:
        """Of the file, metadata included."""
        return self._header(segment).schema

    def _segment(self, segment: SegmentInfo, holder: SegmentInfo, columns: Sequence[str] | None) -> pa.Table:
        wanted = list(columns or SCHEMAS[segment.channel].names)
        if holder.number == segment.number:
            return self._whole(segment, wanted)
        numbers = pa.array([segment.number, *segment.merged_from])
        parts = [SCHEMAS[segment.channel].empty_table().select(wanted)]
        header = self._header(holder)
        for block in self._manifest.blocks(holder.number):
            if block.min_ns < segment.stop_ns and block.max_ns >= segment.start_ns:
                raw = self._raw((holder, block), self._columns(header.layout, wanted))
                rows = decoded(raw, header.layout, block.carry)
                rows = rows.filter(pc.is_in(rows.column(SEGMENT_COLUMN), numbers))
                parts.append(from_wide(segment.channel, rows, header.layout, wanted))
        table = pa.concat_tables(parts).combine_chunks()
        if len(table) != segment.rows:
            # Its file went to the next merge between two of the lines above.
            raise FileGone(f"archive segment {segment.number} has {len(table)} of its {segment.rows} rows")
        return table

    def _raw(self, place: Place, columns: Collection[str]) -> pa.Table:
        segment, block = place
        data = self._root.get(segment.path, block.offset, block.length)
        return self._header(segment).read(checked(data, block.sha256, segment.path), columns).combine_chunks()

    def _whole(self, segment: SegmentInfo, wanted: Sequence[str]) -> pa.Table:
        data = checked(self._root.get(segment.path), bytes.fromhex(segment.sha256), segment.path)
        header = self._header(segment)
        chosen = self._columns(header.layout, wanted)
        at = [index for index, name in enumerate(header.schema.names) if name in chosen]
        options = pa.ipc.IpcReadOptions(included_fields=at)
        with pa.ipc.open_file(pa.py_buffer(data), options=options) as file:
            raw = file.read_all()
        return from_wide(segment.channel, decoded(raw, header.layout, {}), header.layout, wanted)

    def _cluster(
        self, channel: Channel, instrument: str, places: Sequence[Place], span: tuple[int, int], wanted: Sequence[str]
    ) -> pa.Table:
        parts, recvs, numbers = [], [], []
        for place in places:
            layout = self._header(place[0]).layout
            rows = self.wide(place, instrument, instrument, self._columns(layout, wanted))
            recv = np.asarray(rows.column("ts_recv_ns"))
            low, high = (int(np.searchsorted(recv, bound)) for bound in span)
            rows = rows.slice(low, high - low)
            parts.append(from_wide(channel, rows, layout, wanted))
            recvs.append(recv[low:high])
            numbers.append(np.asarray(rows.column(SEGMENT_COLUMN)))
        table, recv = pa.concat_tables(parts), np.concatenate(recvs)
        order = row_order(np.zeros(len(recv), np.int32), recv, np.concatenate(numbers))
        return table if order is None else table.take(pa.array(order))

    @staticmethod
    def _columns(layout: Layout, wanted: Sequence[str]) -> set[str]:
        return {"instrument", "ts_recv_ns", SEGMENT_COLUMN, *columns_needed(layout, wanted)}

    def _holder(self, segment: SegmentInfo) -> SegmentInfo:
        """The segment whose file has the rows now."""
        number: int | None = segment.number
        while number is not None:
            found = self._manifest.whereabouts(number)
            if found is None:
                raise StorageError(f"the archive has no segment {segment.number}")
            holder, number, is_removed = found
            if is_removed:
                raise SegmentRemoved(f"archive segment {segment.number} has been removed by retention")
        return holder

    def _header(self, segment: SegmentInfo) -> FileHeader:
        with self._lock:
            if segment.number in self._headers:
                self._headers.move_to_end(segment.number)
                return self._headers[segment.number]
        block = self._manifest.header(segment.number)
        if block is None:
            raise FileGone(f"archive file {segment.path} is gone")
        data = self._root.get(segment.path, block.offset, block.length)
        header = FileHeader(checked(data, block.sha256, segment.path), segment.path)
        with self._lock:
            self._headers[segment.number] = header
            while len(self._headers) > _HEADERS_KEPT:
                self._headers.popitem(last=False)
        return header


def reaches(block: Block, first: str, last: str) -> bool:
    """Whether a block may have rows of the instruments from `first` to `last`."""
    return block.first_instrument <= last and block.last_instrument >= first


def time_clusters(places: Sequence[Place]) -> list[tuple[int, list[Place]]]:
    """Blocks that share a moment go together; the newest time of each, in order of time.

    Within a cluster blocks stand by segment and place in it.
    """
    clusters: list[tuple[int, list[tuple[int, Place]]]] = []
    for at, place in sorted(enumerate(places), key=lambda item: item[1][1].min_ns):
        block = place[1]
        if clusters and block.min_ns <= clusters[-1][0]:
            end_ns, members = clusters.pop()
            clusters.append((max(end_ns, block.max_ns), [*members, (at, place)]))
        else:
            clusters.append((block.max_ns, [(at, place)]))
    return [(end_ns, [place for _, place in sorted(members, key=lambda m: m[0])]) for end_ns, members in clusters]
