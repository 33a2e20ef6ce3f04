"""Many small files into few large ones: hours of minutes, days of hours.

A merged file is written whole; then one transaction names it and takes the names of those that it replaces. A row is
therefore readable exactly once, whenever the process dies.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bot.storage.archive.channels import Channel
from bot.storage.archive.files import EncodedFile, FileEncoder
from bot.storage.archive.layout import INSTRUMENT_TYPE, SEGMENT_COLUMN, Layout, step_column
from bot.storage.archive.manifest import Manifest
from bot.storage.archive.ports import SegmentInfo
from bot.storage.archive.reading import Reader, reaches, time_clusters
from bot.storage.archive.wide import codes_of, row_order

HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS
_SETTLED_NS = 120_000_000_000
"""Of an hour or a day that is over, the last minute may still be written."""
_ROWS_HELD = 200_000
"""About 100 MB while they are sorted."""


def mergeable(segments: Sequence[SegmentInfo], now_ns: int, limit_bytes: int) -> list[list[SegmentInfo]]:
    """Groups that belong in one file each: of one channel and scope, of one past day, else of one past hour.

    A group is cut where its files together are larger than `limit_bytes`: merging holds them in memory.
    """
    by_span: dict[tuple[Channel, str, int, int], list[SegmentInfo]] = defaultdict(list)
    for segment in segments:
        for span_ns in (DAY_NS, HOUR_NS):
            index = segment.start_ns // span_ns
            if segment.stop_ns <= (index + 1) * span_ns + _SETTLED_NS <= now_ns - _SETTLED_NS:
                by_span[segment.channel, segment.scope, span_ns, index].append(segment)
                break
    return [pack for group in by_span.values() for pack in _packs(group, limit_bytes)]


def _packs(group: Sequence[SegmentInfo], limit_bytes: int) -> Iterator[list[SegmentInfo]]:
    pack: list[SegmentInfo] = []
    for segment in sorted(group, key=lambda one: (one.start_ns, one.number)):
        if pack and sum(one.size_bytes for one in pack) + segment.size_bytes > limit_bytes:
            if len(pack) > 1:
                yield pack
            pack = []
        pack.append(segment)
    if len(pack) > 1:
        yield pack


def merged(segments: Sequence[SegmentInfo], manifest: Manifest, reader: Reader) -> EncodedFile:
    """One file with the rows of all, the older segment's first where times are equal.

    Raises:
        StorageError: If one of them cannot be read.
    """
    places = [(one, block) for one in segments for block in manifest.blocks(one.number)]
    counts = sum((reader.counts(place) for place in places), Counter[str]())
    ids = sorted(counts)
    schema = _common([reader.schema(segment) for segment in segments])
    steps = _common_steps([reader.layout(segment) for segment in segments])
    encoder = FileEncoder(segments[0].channel, segments[0].scope, schema, steps)
    for names in _portions(ids, counts):
        touched = [place for place in places if reaches(place[1], names[0], names[-1])]
        # One instrument may have more rows than should be held: it goes on from time to time.
        for cluster in [each for _, each in time_clusters(touched)] if len(names) == 1 else [touched]:
            rows = [_recoded(reader.wide(place, names[0], names[-1]), ids, schema) for place in cluster]
            encoder.add(_sorted(pa.concat_tables(rows), steps))
    return encoder.finish()


def _portions(ids: Sequence[str], counts: Mapping[str, int]) -> Iterator[list[str]]:
    """Instruments in order, as many at a time as have few enough rows: each portion reads its blocks once."""
    portion: list[str] = []
    rows = 0
    for instrument in ids:
        if portion and rows + counts[instrument] > _ROWS_HELD:
            yield portion
            portion, rows = [], 0
        portion.append(instrument)
        rows += counts[instrument]
    yield portion


def _recoded(rows: pa.Table, ids: Sequence[str], schema: pa.Schema) -> pa.Table:
    """The rows with the columns of the merged file, instruments by its dictionary."""
    dictionary = pa.array(ids, pa.string())
    instrument = rows.column("instrument").chunk(0)
    codes = pc.index_in(instrument.dictionary, value_set=dictionary).take(instrument.indices)
    names = pa.DictionaryArray.from_arrays(codes, dictionary)
    at = rows.schema.get_field_index("instrument")
    return rows.set_column(at, schema.field("instrument"), names).select(schema.names).cast(schema)


def _sorted(rows: pa.Table, steps: Mapping[str, int]) -> pa.Table:
    rows = rows.combine_chunks()
    codes = codes_of(rows.column("instrument").chunk(0))
    order = row_order(codes, np.asarray(rows.column("ts_recv_ns")), np.asarray(rows.column(SEGMENT_COLUMN)))
    if order is not None:
        rows = rows.take(pa.array(order))
    for column, step in steps.items():
        rows = _with(rows, step_column(column), np.full(len(rows), step))
    return rows


def _with(rows: pa.Table, name: str, numbers: npt.NDArray[np.int64]) -> pa.Table:
    at = rows.schema.get_field_index(name)
    return rows.set_column(at, rows.schema.field(at), pa.array(numbers, pa.int64()))


def _common_steps(layouts: Sequence[Layout]) -> dict[str, int]:
    """The finest of each column: every coarser one is a multiple of it."""
    return {column: min(layout.steps[column] for layout in layouts) for column in layouts[0].steps}


def _common(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """Floats where a file has floats, texts where a file has texts; whole numbers fit into both."""
    fields = []
    for field in schemas[0]:
        types = {schema.field(field.name).type for schema in schemas}
        wider = [kind for kind in (pa.string(), pa.float64()) if kind in types]
        fields.append(field.with_type(wider[0] if wider and len(types) > 1 else field.type))
    assert pa.schema(fields).field("instrument").type == INSTRUMENT_TYPE
    return pa.schema(fields)
