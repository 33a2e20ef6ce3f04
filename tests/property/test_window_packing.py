"""What is packed comes back bit by bit: on the grid in few bytes, off it as it came."""

from decimal import Decimal
from math import inf, nan

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bot.market.columns import Columns, read_only
from bot.market.packing import (
    Floats,
    Ints,
    decoded_floats,
    decoded_ints,
    dtype_of,
    grid_of,
    pack_floats,
    pack_ints,
)
from bot.market.segment import Grids, Segment

STEPS = st.builds(
    lambda digits, exponent: float(Decimal(digits).scaleb(exponent)), st.integers(1, 999), st.integers(-12, 4)
)
ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, -0.0, nan, inf, -inf, 5e-324, 1e308])
ANY_INT = st.integers(-(2**63), 2**63 - 1) | st.integers(10**18, 10**18 + 300)


def floats(values: list[float]) -> Floats:
    return np.array(values, np.float64)


def same_bits(these: Floats, those: Floats) -> bool:
    return these.view(np.int64).tolist() == those.view(np.int64).tolist()


@given(ticks=st.lists(st.integers(0, 2**31), min_size=1, max_size=40), base=st.integers(0, 2**40), step=STEPS)
def test_what_a_venue_prints_on_its_grid_is_packed_and_comes_back(ticks: list[int], base: int, step: float) -> None:
    exact = Decimal(repr(step))
    if (base + max(ticks)) * grid_of(step).multiple >= 2**53:
        base, ticks = 0, [tick % 1_000 for tick in ticks]
    printed = floats([float(format(exact * (base + tick), "f")) for tick in ticks])
    codec, stored = pack_floats(printed, grid_of(step))
    assert codec.code in "BHI"
    narrow = stored.astype(dtype_of(codec))
    assert same_bits(decoded_floats(narrow, codec), printed)
    one_by_one = [(int(one) + codec.base) * codec.multiple / codec.divisor for one in narrow]
    assert same_bits(floats(one_by_one), printed)


@given(values=st.lists(ANY_FLOAT, min_size=1, max_size=20), step=st.none() | STEPS)
@example([1.0, -0.0], 1.0)
@example([-0.0], 0.5)
@example([-0.0, -1.0], 0.25)
@example([0.1 + 0.2], 0.1)
@example([2.0**53 + 2, 1.0], 1.0)
@example([nan, 1.0], 1.0)
def test_any_float_comes_back_bit_by_bit(values: list[float], step: float | None) -> None:
    given_floats = floats(values)
    codec, stored = pack_floats(given_floats, None if step is None else grid_of(step))
    assert same_bits(decoded_floats(stored.astype(dtype_of(codec)), codec), given_floats)


@given(values=arrays(np.int64, st.integers(1, 30), elements=ANY_INT))
def test_any_integer_comes_back(values: Ints) -> None:
    codec, stored = pack_ints(values)
    assert decoded_ints(stored.astype(dtype_of(codec)), codec).tolist() == values.tolist()


@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 3 * 10**9) | st.integers(0, 10**15),
            st.integers(-(2**62), 2**62) | st.integers(10**18, 10**18 + 10**9),
            ANY_INT,
            *[ANY_FLOAT | st.integers(0, 10**6).map(lambda k: k / 100)] * 4,
        ),
        min_size=1,
        max_size=40,
    ),
    first_row=st.integers(-100, 100),
    grid=st.sampled_from([None, (0.01, 0.01), (0.5, 0.001)]),
)
def test_a_segment_gives_back_every_row(
    rows: list[tuple[int, ...]], first_row: int, grid: tuple[float, float] | None
) -> None:
    gaps, *others = zip(*rows, strict=True)
    recv_ns = 10**18 + np.cumsum(np.array(gaps, np.int64))
    types = (np.int64, np.int64, *[np.float64] * 4)
    columns = read_only((recv_ns, *(np.array(one, kind) for one, kind in zip(others, types, strict=True))))
    changed = np.arange(len(rows)) % 3 == 0
    segment = Segment(first_row, columns, changed, Grids.of(grid))
    assert_same(segment.columns(first_row, segment.stop_row), columns)
    assert_same(segment.changes(first_row, segment.stop_row), columns.take(np.flatnonzero(changed)))
    middle = len(rows) // 3
    assert_same(segment.columns(first_row + middle, 10**9), columns.slice(middle, len(rows)))
    bids, asks = segment.prices(first_row + middle, 10**9)
    assert same_bits(np.ascontiguousarray(bids), columns.bid_price[middle:])
    assert same_bits(np.ascontiguousarray(asks), columns.ask_price[middle:])
    for at in range(len(rows)):
        row = segment.row(first_row + at)
        assert row[:3] == tuple(int(column[at]) for column in columns[:3])
        assert same_bits(floats(list(row[3:])), floats([column[at] for column in columns[3:]]))
        found = segment.first_at(int(recv_ns[at]))
        assert found == first_row + int(np.searchsorted(recv_ns, recv_ns[at]))
        assert segment.first_at(int(recv_ns[at]) + 1) == first_row + int(np.searchsorted(recv_ns, recv_ns[at] + 1))
    assert segment.first_at(0) == first_row


def assert_same(these: Columns, those: Columns) -> None:
    assert these.rows == those.rows
    for this, that in zip(these, those, strict=True):
        assert np.ascontiguousarray(this).view(np.int64).tolist() == np.ascontiguousarray(that).view(np.int64).tolist()
        assert not this.flags.writeable


@pytest.mark.parametrize(
    ("step", "multiple", "divisor"),
    [(0.01, 1, 100.0), (0.5, 5, 10.0), (1e-8, 1, 1e8), (1.0, 1, 1.0), (100.0, 100, 1.0), (0.00025, 25, 1e5)],
)
def test_a_step_is_a_multiple_over_a_power_of_ten(step: float, multiple: int, divisor: float) -> None:
    assert grid_of(step) == (multiple, divisor)


@pytest.mark.parametrize("step", [0.0, -0.1, nan, inf])
def test_a_step_that_makes_no_grid_is_refused(step: float) -> None:
    with pytest.raises(ValueError, match="above zero"):
        grid_of(step)
