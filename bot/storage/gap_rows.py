"""Rows of the gaps channel: which of them concern a span."""

import pyarrow as pa
import pyarrow.compute as pc

from bot.storage.archive.channels import Channel

EVER_NS = 2**63 - 1
"""Behind every time."""


def overlapping(gaps: pa.Table, channel: Channel, start_ns: int, stop_ns: int) -> pa.Table:
    """The gaps of a channel that overlap the span, by start; one without length counts where it begins."""
    starts, stops = gaps.column("start_ns"), gaps.column("stop_ns")
    reaches = pc.or_(pc.greater(stops, start_ns), pc.greater_equal(starts, start_ns))
    wanted = pc.and_(pc.equal(gaps.column("channel"), channel.value), pc.and_(pc.less(starts, stop_ns), reaches))
    return gaps.filter(wanted).sort_by([("start_ns", "ascending"), ("stop_ns", "ascending"), ("reason", "ascending")])


def beginning(gaps: pa.Table, since_ns: int) -> pa.Table:
    """The gaps that begin at `since_ns` or later."""
    return gaps.filter(pc.greater_equal(gaps.column("start_ns"), since_ns))


def newest_reason(gaps: pa.Table) -> str | None:
    """Of gaps by start, why the last one is; None without any."""
    return str(gaps.column("reason")[gaps.num_rows - 1].as_py()) if gaps.num_rows else None
