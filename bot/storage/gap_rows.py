"""Rows of the gaps channel: which of them concern a span, and what of them an import has filled since."""

from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from bot.storage.archive.channels import Channel

EVER_NS = 2**63 - 1
"""Behind every time."""
Imported = Callable[[str, Channel], Sequence[tuple[int, int]]]
"""Of an instrument's channel: the spans, UTC ns, whose rows were imported whole later."""


def overlapping(gaps: pa.Table, channel: Channel, start_ns: int, stop_ns: int) -> pa.Table:
    """The gaps of a channel that overlap the span, by start; one without length counts where it begins."""
    starts, stops = gaps.column("start_ns"), gaps.column("stop_ns")
    reaches = pc.or_(pc.greater(stops, start_ns), pc.greater_equal(starts, start_ns))
    wanted = pc.and_(pc.equal(gaps.column("channel"), channel.value), pc.and_(pc.less(starts, stop_ns), reaches))
    return gaps.filter(wanted).sort_by([("start_ns", "ascending"), ("stop_ns", "ascending"), ("reason", "ascending")])


def unfilled(gaps: pa.Table, filled: Sequence[tuple[int, int]]) -> pa.Table:
    """What is left of the gaps beside the spans in `filled`: a gap may be cut, split, or gone."""
    if not filled or not gaps.num_rows:
        return gaps
    left = [
        row | {"start_ns": start_ns, "stop_ns": stop_ns}
        for row in gaps.to_pylist()
        for start_ns, stop_ns in _beside(row["start_ns"], row["stop_ns"], filled)
    ]
    return pa.Table.from_pylist(left, schema=gaps.schema)


def _beside(start_ns: int, stop_ns: int, filled: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The parts of a span outside of others, by start; one without length is outside or not."""
    if start_ns >= stop_ns:
        return [] if any(begin <= start_ns < end for begin, end in filled) else [(start_ns, stop_ns)]
    parts = []
    for begin, end in sorted(filled):
        if begin >= stop_ns:
            break
        if begin > start_ns:
            parts.append((start_ns, begin))
        start_ns = max(start_ns, end)
    if start_ns < stop_ns:
        parts.append((start_ns, stop_ns))
    return parts


def beginning(gaps: pa.Table, since_ns: int) -> pa.Table:
    """The gaps that begin at `since_ns` or later."""
    return gaps.filter(pc.greater_equal(gaps.column("start_ns"), since_ns))


def newest_reason(gaps: pa.Table) -> str | None:
    """Of gaps by start, why the last one is; None without any."""
    return str(gaps.column("reason")[gaps.num_rows - 1].as_py()) if gaps.num_rows else None
