"""What is left of a gap when imports have filled parts of it."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.gap_rows import unfilled

SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)).map(lambda one: (one[0], sum(one))), max_size=6)


def table(gaps: list[tuple[int, int]]) -> pa.Table:
    rows = [
        {"instrument": "a", "ts_recv_ns": 99, "channel": "trades", "start_ns": start, "stop_ns": stop, "reason": "away"}
        for start, stop in gaps
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMAS[Channel.GAPS])


def spans(gaps: pa.Table) -> list[tuple[int, int]]:
    return [(row["start_ns"], row["stop_ns"]) for row in gaps.to_pylist()]


def moments(found: list[tuple[int, int]]) -> set[int]:
    return {moment for start, stop in found for moment in range(start, stop)}


@given(gaps=SPANS, filled=SPANS)
def test_exactly_the_filled_moments_are_gone(gaps: list[tuple[int, int]], filled: list[tuple[int, int]]) -> None:
    left = unfilled(table(gaps), filled)
    assert left.schema == SCHEMAS[Channel.GAPS]
    assert moments(spans(left)) == moments(gaps) - moments(filled)
    # One without length stands for its moment.
    points = [start for start, stop in gaps if start == stop]
    assert [start for start, stop in spans(left) if start == stop] == [
        one for one in points if one not in moments(filled)
    ]
    assert set(left.column("reason").to_pylist()) <= {"away"}
