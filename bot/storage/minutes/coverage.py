"""What the archive has of a feed: from when, until when, and which minutes have rows already."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from bot.domain.instrument import Feed, Instrument
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.ports import SegmentInfo, SegmentStore

_HEAD = ("instrument", "ts_recv_ns")
_LIVELY = (Channel.QUOTES, Channel.TRADES, Channel.DEPTH, Channel.FUNDING)
_TRADED = (Channel.QUOTES, Channel.TRADES)
"""While these of a feed come, its trades do."""
_QUIET_NS = 3_600 * 1_000_000_000
"""A feed may be quiet for so long; one that is silent for longer was not followed."""
Span = tuple[int, int]
"""From a time to before another, UTC ns."""


def by_feed(instruments: Iterable[Instrument]) -> dict[Feed, dict[str, Instrument]]:
    """Instruments by feed and id."""
    found: dict[Feed, dict[str, Instrument]] = {}
    for one in instruments:
        found.setdefault(one.feed, {})[one.id] = one
    return found


def recorded_until(store: SegmentStore, feed: Feed) -> int:
    """UTC ns behind the newest row of the feed, of whatever kind; 0 where there is none.

    While anything of a feed arrives it is being recorded, so a channel without rows was quiet, unless a gap says more.
    """
    segments = (_of_feed(store.segments(channel), feed) for channel in _LIVELY)
    return max((segment.stop_ns for found in segments for segment in found), default=0)


def traded_spans(store: SegmentStore, feed: Feed, start_ns: int, stop_ns: int, step_ns: int) -> list[Span]:
    """When trades of the feed were kept, in whole steps (minutes) from `start_ns` to `stop_ns`, oldest first.

    Where no quote and no trade came of the whole feed for an hour nobody recorded it, whether or not a gap says so:
    between imported days and the first recorded one there was nobody to notice. A span that has quotes alone does not
    count either: an import of quotes makes such ones, and whoever records has trades as well, sooner or later.
    """
    touching = sorted(
        (segment.start_ns // step_ns * step_ns, -(-segment.stop_ns // step_ns) * step_ns, channel is Channel.TRADES)
        for channel in _TRADED
        for segment in _of_feed(store.segments(channel), feed)
    )
    spans: list[tuple[int, int, bool]] = []
    for low, high, has_trades in touching:
        if spans and low <= spans[-1][1] + _QUIET_NS:
            first, last, had_trades = spans.pop()
            spans.append((first, max(last, high), had_trades or has_trades))
        else:
            spans.append((low, high, has_trades))
    cut = [(max(low, start_ns), min(high, stop_ns)) for low, high, has_trades in spans if has_trades]
    return [(low, high) for low, high in cut if low < high]


def first_received(
    store: SegmentStore,
    feed: Feed,
    ids: Collection[str],
    channels: Sequence[Channel] = (Channel.QUOTES, Channel.TRADES),
) -> dict[str, int]:
    """When the first row of each instrument came in any of the channels, UTC ns; those without one are left out."""
    found: dict[str, int] = {}
    for channel in channels:
        wanted = set(ids) & set(store.instruments(channel))
        segments = sorted(_of_feed(store.segments(channel), feed), key=lambda segment: segment.start_ns)
        for one, times in _extremes(store, segments, wanted).items():
            found[one] = min(found.get(one, times[0]), times[0])
    return found


def last_minutes(store: SegmentStore, channel: Channel, feed: Feed, ids: Collection[str]) -> dict[str, int]:
    """The newest minute row of each instrument (its `ts_recv_ns`); those that have none are left out."""
    wanted = set(ids) & set(store.instruments(channel))
    segments = sorted(_of_feed(store.segments(channel), feed), key=lambda segment: -segment.stop_ns)
    return {one: times[1] for one, times in _extremes(store, segments, wanted).items()}


def rows_of(
    store: SegmentStore,
    channel: Channel,
    feed: Feed,
    ids: Collection[str],
    start_ns: int,
    stop_ns: int,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Rows of many instruments of one feed at once, received from `start_ns` to before `stop_ns`.

    Each segment is read once, where a question by instrument would read it once for each of them. Rows of one
    instrument are in order of receipt.
    """
    wanted = pa.array(sorted(ids), pa.string())
    parts = [
        _within(store.read(segment, columns), wanted, start_ns, stop_ns)
        for segment in _of_feed(store.segments(channel, start_ns=start_ns, stop_ns=stop_ns), feed)
    ]
    if not parts:
        schema = SCHEMAS[channel]
        return (schema if columns is None else pa.schema([schema.field(name) for name in columns])).empty_table()
    # Of rows with one time the order in the files counts: `sort_by` may not keep it, a stable sort of indices does.
    rows = pa.concat_tables(parts)
    order = rows.column("ts_recv_ns").to_numpy().argsort(kind="stable")
    return rows.take(pa.array(order))


def by_instrument(rows: pa.Table) -> Mapping[str, pa.Table]:
    """The rows of each instrument, in the order in which they stand."""
    ids = pc.dictionary_encode(rows.column("instrument").combine_chunks())
    codes = ids.indices.to_numpy(zero_copy_only=False)
    order = codes.argsort(kind="stable")
    sorted_rows, counts = rows.take(pa.array(order)), pc.value_counts(ids.indices).to_pylist()
    sizes = {count["values"]: count["counts"] for count in counts}
    found, start = {}, 0
    for code, name in enumerate(ids.dictionary.to_pylist()):
        found[name] = sorted_rows.slice(start, sizes[code])
        start += sizes[code]
    return found


def _of_feed(segments: Iterable[SegmentInfo], feed: Feed) -> list[SegmentInfo]:
    return [segment for segment in segments if segment.scope == str(feed)]


def _extremes(store: SegmentStore, segments: Iterable[SegmentInfo], wanted: set[str]) -> dict[str, tuple[int, int]]:
    """First and last `ts_recv_ns` of each wanted instrument in the first of the segments that has it."""
    found: dict[str, tuple[int, int]] = {}
    for segment in segments:
        missing = wanted - found.keys()
        if not missing:
            break
        rows = store.read(segment, _HEAD).group_by("instrument").aggregate([("ts_recv_ns", "min_max")])
        for row in rows.to_pylist():
            if row["instrument"] in missing:
                found[row["instrument"]] = row["ts_recv_ns_min_max"]["min"], row["ts_recv_ns_min_max"]["max"]
    return found


def _within(rows: pa.Table, wanted: pa.Array, start_ns: int, stop_ns: int) -> pa.Table:
    received = rows.column("ts_recv_ns")
    in_span = pc.and_(pc.greater_equal(received, start_ns), pc.less(received, stop_ns))
    return rows.filter(pc.and_(in_span, pc.is_in(rows.column("instrument"), value_set=wanted)))
