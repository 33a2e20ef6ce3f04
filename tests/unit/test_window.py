import gc
import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from bot.domain.market import TopOfBook
from bot.market.columns import Columns, read_only
from bot.market.segment import Grids, Segment
from bot.market.window import Window

S = 1_000_000_000
START_NS = 1_723_161_254_000_000_000


def quote(bid: float = 100.0, ask: float = 101.0, sequence: int = 1, event_ns: int | None = None) -> TopOfBook:
    return TopOfBook(bid_price=bid, bid_qty=1.5, ask_price=ask, ask_qty=2.5, sequence=sequence, ts_event_ns=event_ns)


def filled(rows: int, step_ns: int, **kept: float) -> Window:
    """Rows `step_ns` apart; the price changes with every tenth."""
    window = Window(**kept)
    quotes = [quote(100.0 + i / 8, 101.0 + i / 8, i) for i in range(10)]
    for i in range(rows):
        window.append(START_NS + i * step_ns, quotes[i // 10 % 10])
    return window


def test_an_empty_window_answers() -> None:
    window = Window()
    assert len(window) == 0
    assert window.last() is None
    assert window.as_of(START_NS) is None
    assert window.between(0, START_NS).rows == 0
    assert window.price_changes(0, START_NS).rows == 0


def test_append_tells_whether_a_price_changed() -> None:
    window = Window()
    assert window.append(1, quote(100.0, 101.0))
    assert not window.append(2, quote(100.0, 101.0, sequence=2))
    assert window.append(3, quote(100.5, 101.0))
    assert window.append(4, quote(100.5, 100.75))
    assert window.price_changes(0, 10).ts_recv_ns.tolist() == [1, 3, 4]


def test_the_last_row_and_the_row_at_a_time_come_back_as_models() -> None:
    window = Window()
    first, second = quote(100.0, 101.0, 7, event_ns=START_NS - 5), quote(100.5, 101.0, 8)
    window.append(START_NS, first)
    window.append(START_NS + 10, second)
    assert window.last() == second
    assert window.as_of(START_NS - 1) is None
    assert window.as_of(START_NS + 9) == (START_NS, first)
    assert window.as_of(START_NS + 10) == (START_NS + 10, second)
    found = window.as_of(START_NS + S)
    assert found is not None
    assert found[1].ts_event_ns is None


def test_a_row_of_a_clock_that_was_set_back_gets_its_predecessors_time() -> None:
    window = Window()
    window.append(START_NS, quote())
    window.append(START_NS - 3_600 * S, quote(100.5))
    window.append(START_NS + 1, quote(100.75))
    assert window.between(0, START_NS + S).ts_recv_ns.tolist() == [START_NS, START_NS, START_NS + 1]
    assert window.clock_steps == 1
    assert window.last_recv_ns == START_NS + 1


def test_an_integer_beyond_64_bits_is_refused_and_nothing_is_kept() -> None:
    window = Window()
    window.append(START_NS, quote())
    with pytest.raises(OverflowError, match="64 bits"):
        window.append(START_NS + 1, quote(105.0, 106.0, sequence=2**70))
    assert len(window) == 1
    assert window.last() == quote()
    assert not window.append(START_NS + 2, quote())


def test_rows_older_than_the_day_are_gone() -> None:
    window = filled(60_000, S // 10, hold_h=0.5, rolling_s=60)
    assert len(window) == 18_001
    rows = window.between(0, window.last_recv_ns + 1)
    assert rows.rows == 18_001
    assert rows.ts_recv_ns[0] == window.last_recv_ns - 1_800 * S
    assert window.as_of(int(rows.ts_recv_ns[0]) - 1) is None
    assert window.nbytes < 60_000 * 56 * 0.55, "evicted rows take no memory"


def test_a_range_over_sealed_and_hot_rows_has_every_row_once() -> None:
    window = filled(50_000, S // 50, rolling_s=60)
    rows = window.between(START_NS + S, START_NS + 900 * S)
    assert rows.rows == 899 * 50
    assert (np.diff(rows.ts_recv_ns) == S // 50).all()
    assert not rows.bid_price.flags.writeable
    changes = window.price_changes(START_NS + S, START_NS + 900 * S)
    assert changes.ts_recv_ns.tolist() == rows.ts_recv_ns[::10].tolist()


def test_a_view_stays_what_it_was_when_the_buffer_moves_on() -> None:
    window = filled(1_500, S, rolling_s=60)
    view = window.between(window.last_recv_ns - 60 * S, window.last_recv_ns + 1)
    before = [column.copy() for column in view]
    for i in range(40_000):
        window.append(window.last_recv_ns + S, quote(5.0, 6.0, i))
    for then, now in zip(before, view, strict=True):
        assert (then == now).all()
    with pytest.raises(ValueError, match="read-only"):
        view.bid_price[0] = 1.0
    with pytest.raises(ValueError, match="WRITEABLE"):
        view.bid_price.flags.writeable = True


def test_a_view_of_a_large_buffer_outlives_it() -> None:
    window = filled(100_000, S // 1_000, rolling_s=60)
    view = window.between(window.last_recv_ns - 50 * S, window.last_recv_ns + 1)
    prices = view.bid_price.copy()
    assert view.rows == 50_001
    for i in range(150_000):
        window.append(window.last_recv_ns + S // 1_000, quote(5.0, 6.0, i))
    assert (view.bid_price == prices).all()


def test_rows_of_one_moment_are_found_in_sealed_and_hot_rows_alike() -> None:
    window = filled(40_000, 0, rolling_s=60)
    later_ns = START_NS + 100 * S
    for i in range(40_000):
        window.append(later_ns + i * S // 200, quote(5.0, 6.0, i))
        if i % 500 == 0:
            assert window.between(START_NS, START_NS + 1).rows == 40_000
            assert window.between(START_NS + 1, later_ns).rows == 0


def test_the_index_of_price_changes_is_evicted_too() -> None:
    window = Window(hold_h=0.1, rolling_s=60)
    quotes = [quote(100.0), quote(100.5)]
    for i in range(100_000):
        window.append(START_NS + i * S // 20, quotes[i % 2])
    assert window.nbytes / len(window) < 3 * 56 + 8 * 4, "an index of all rows ever would take 100 bytes a row held"


def test_a_quiet_instrument_costs_little() -> None:
    window = filled(3_000, 30 * S)
    assert window.nbytes < 1_000_000


def test_a_held_row_takes_less_than_56_bytes() -> None:
    window = Window()
    quotes = [quote(100.0 + i // 10, 101.0 + i // 10, 10**13 + i * 977) for i in range(100)]
    for i in range(300_000):
        window.append(START_NS + i * S // 20, quotes[i % 100])
    assert window.nbytes / len(window) < 56


def slowest_step_ns() -> int:
    window, slowest = Window(rolling_s=60), 0
    tob = quote()
    gc.disable()  # what pytest holds takes long to look through
    try:
        for i in range(200_000):
            started_ns = time.thread_time_ns()
            window.append(START_NS + i * S // 1_000, tob)
            slowest = max(slowest, time.thread_time_ns() - started_ns)
    finally:
        gc.enable()
    return slowest


def test_no_step_of_housekeeping_is_a_pause() -> None:
    # One unbounded step would copy 60,000 rows and seal as many, every time: what a busy machine does to one of
    # 200,000 steps, it does not do again and again.
    assert any(slowest_step_ns() < 20_000_000 for _ in range(5))


@pytest.mark.parametrize(
    ("events", "sequences"),
    [
        ([0, 0, 0], [5, 6, 7]),
        ([START_NS - 7, START_NS + 2**31, START_NS - 2**40], [0, 2**32, 1]),
        ([0, START_NS, 0], [-(2**63), 2**63 - 1, 0]),
        ([-1, 5, -(2**63)], [9, 9, 9]),
    ],
)
def test_packed_integers_come_back_exactly(events: list[int], sequences: list[int]) -> None:
    floats = [np.array([1.0, 2.0, 3.0]) for _ in range(4)]
    recv = np.array([START_NS, START_NS + 1, START_NS + 2], np.int64)
    columns = read_only((recv, np.array(events, np.int64), np.array(sequences, np.int64), *floats))
    segment = Segment(10, columns, np.ones(3, np.bool_), Grids())
    whole = segment.columns(0, 100)
    assert [column.tolist() for column in whole] == [column.tolist() for column in columns]
    assert [segment.row(i) for i in (10, 11, 12)] == list(zip(*(c.tolist() for c in columns), strict=True))
    assert segment.columns(11, 12).sequence.tolist() == sequences[1:2]


def test_columns_are_named_like_the_rows() -> None:
    assert Columns._fields[:3] == ("ts_recv_ns", "ts_event_ns", "sequence")
    window = filled(20, S)
    times = window.between(0, START_NS + 100 * S).ts_recv_ns.tolist()
    assert all(a < b for a, b in pairwise(times))


def filled_up(window: Window, store: Any, buffers: int, start_ns: int) -> int:
    """Append quotes until so many further buffers have taken over; the time of the next one."""
    ts_ns, seen = start_ns, store.hot
    while buffers:
        window.append(ts_ns, quote(bid=100.0 + ts_ns % 97 / 8, ask=200.0))
        ts_ns += 1_000_000
        if store.hot is not seen:
            seen, buffers = store.hot, buffers - 1
    return ts_ns


def test_memory_is_used_again_once_nobody_looks_at_it() -> None:
    window = Window(rolling_s=2.0)
    store = window._store
    next_ns = filled_up(window, store, 2, 10**18)
    first = id(store.hot.pages)
    next_ns = filled_up(window, store, 2, next_ns)
    assert id(store.hot.pages) == first, "of the buffer before the last one"
    view = window.between(next_ns - 10**9, next_ns)
    kept = [column.copy() for column in view]
    next_ns = filled_up(window, store, 2, next_ns)
    assert id(store.hot.pages) != first, "somebody holds a view of it"
    next_ns = filled_up(window, store, 3, next_ns)
    assert all((column == copy).all() for column, copy in zip(view, kept, strict=True))
    times = window.between(0, next_ns).ts_recv_ns
    assert len(times) == window.appended
    assert (times[1:] - times[:-1] == 1_000_000).all()
