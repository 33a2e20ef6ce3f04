"""From the minute rows that were written to the ones that hold."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bot.storage.archive.channels import Channel
from bot.storage.market_queries import MINUTE_SCHEMAS
from bot.storage.minutes.trades import MINUTE_NS

_ENDS = ("start_ns", "stop_ns")


def newest_revisions(rows: pa.Table, gaps: pa.Table) -> pa.Table:
    """One instrument's rows of minute_trades by minute, of each the newest revision, and whether it is `whole`.

    Args:
        rows: As they were written; a correction stands beside what it corrects.
        gaps: Of the instrument's trades; a minute that one touches is not whole.
    """
    rows = rows.sort_by([("ts_recv_ns", "ascending"), ("revision", "ascending")])
    minutes = rows.column("ts_recv_ns").to_numpy()
    newest = np.flatnonzero(np.diff(minutes, append=minutes[-1:] + 1))
    whole = ~touched(minutes[newest], gaps)
    taken = rows.take(pa.array(newest)).append_column("whole", pa.array(whole, pa.bool_()))
    return taken.cast(MINUTE_SCHEMAS[Channel.MINUTE_TRADES])


def touched(minutes: NDArray[np.int64], gaps: pa.Table) -> NDArray[np.bool_]:
    """Which of the minutes (their starts, UTC ns) a gap overlaps."""
    found = np.zeros(len(minutes), dtype=np.bool_)
    for start_ns, stop_ns in _spans(gaps):
        found |= (minutes < max(stop_ns, start_ns + 1)) & (minutes + MINUTE_NS > start_ns)
    return found


def inside(minutes: NDArray[np.int64], gaps: pa.Table) -> NDArray[np.bool_]:
    """Which of the minutes lie in a gap from their start to their end."""
    found = np.zeros(len(minutes), dtype=np.bool_)
    for start_ns, stop_ns in _spans(gaps):
        found |= (minutes >= start_ns) & (minutes + MINUTE_NS <= stop_ns)
    return found


def _spans(gaps: pa.Table) -> list[tuple[int, int]]:
    """Gaps that follow one another as one: a gap that lasts is written down in pieces."""
    spans: list[tuple[int, int]] = []
    for start_ns, stop_ns in sorted(zip(*(gaps.column(name).to_pylist() for name in _ENDS), strict=True)):
        if spans and start_ns <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], stop_ns)
        else:
            spans.append((start_ns, stop_ns))
    return spans
