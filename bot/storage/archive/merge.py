"""Many small files into few large ones: hours of minutes, days of hours.

A merged file is written whole; then one transaction names it and takes the names of those that it replaces. A row is
therefore readable exactly once, whenever the process dies.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bot.storage.archive.channels import Channel
from bot.storage.archive.files import EncodedFile, FileEncoder
from bot.storage.archive.layout import INSTRUMENT_TYPE, SEGMENT_COLUMN, Layout, step_column
from bot.storage.archive.manifest import Manifest
from bot.storage.archive.ports import SegmentInfo
from bot.storage.archive.reading import Place, Reader, time_clusters, time_order

HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS
_SETTLED_NS = 120_000_000_000
"""Of an hour or a day that is over, the last minute may still be written."""


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
    segments = sorted(segments, key=lambda one: one.number)
    ids = sorted({instrument for segment in segments for instrument in reader.instruments(segment)})
    schema = _common([reader.schema(segment) for segment in segments])
    steps = _common_steps([reader.layout(segment) for segment in segments])
    encoder = FileEncoder(segments[0].channel, segments[0].scope, schema, steps)
    dictionary = pa.array(ids, pa.string())
    blocks = [(segment, block) for segment in segments for block in manifest.blocks(segment.number)]
    for code, instrument in enumerate(ids):
        places = [
            (segment, block)
            for segment, block in blocks
            if block.first_instrument <= instrument <= block.last_instrument
        ]
        for _, cluster in time_clusters(places):
            rows = _sorted(pa.concat_tables([_rows(reader, place, instrument, schema) for place in cluster]))
            names = pa.DictionaryArray.from_arrays(pa.array(np.full(len(rows), code, np.int32)), dictionary)
            rows = rows.set_column(rows.schema.get_field_index("instrument"), schema.field("instrument"), names)
            for column, step in steps.items():
                rows = _with(rows, step_column(column), np.full(len(rows), step))
            encoder.add(rows)
    return encoder.finish()


def _rows(reader: Reader, place: Place, instrument: str, schema: pa.Schema) -> pa.Table:
    return reader.wide(place, instrument, None).select(schema.names).cast(schema)


def _with(rows: pa.Table, name: str, numbers: npt.NDArray[np.int64]) -> pa.Table:
    at = rows.schema.get_field_index(name)
    return rows.set_column(at, rows.schema.field(at), pa.array(numbers, pa.int64()))


def _common_steps(layouts: Sequence[Layout]) -> dict[str, int]:
    """The finest of each column: every coarser one is a multiple of it."""
    return {column: min(layout.steps[column] for layout in layouts) for column in layouts[0].steps}


def _sorted(rows: pa.Table) -> pa.Table:
    order = time_order(np.asarray(rows.column("ts_recv_ns")), np.asarray(rows.column(SEGMENT_COLUMN)))
    return rows if order is None else rows.take(pa.array(order))


def _common(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """Floats where a file has floats, texts where a file has texts; whole numbers fit into both."""
    fields = []
    for field in schemas[0]:
        types = {schema.field(field.name).type for schema in schemas}
        wider = [kind for kind in (pa.string(), pa.float64()) if kind in types]
        fields.append(field.with_type(wider[0] if wider and len(types) > 1 else field.type))
    assert pa.schema(fields).field("instrument").type == INSTRUMENT_TYPE
    return pa.schema(fields)
