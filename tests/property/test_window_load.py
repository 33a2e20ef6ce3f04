"""A window that was filled from the archive, in parts, answers like one that saw every quote."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.market import TopOfBook
from bot.market import row_store, segment, window, zone_map
from bot.market.columns import Columns, read_only
from bot.market.window import Window

S = 1_000_000_000
HOLD_NS, ROLLING_NS = 40 * S, 8 * S
START_NS = 1_723_161_254_000_000_000
GRID = (0.5, 0.001)

PRICES = st.sampled_from([100.0, 100.5, 101.0, 100.3])
QUOTES = st.builds(
    TopOfBook,
    bid_price=PRICES,
    bid_qty=st.sampled_from([1.0, 0.125, 0.1234]),
    ask_price=PRICES,
    ask_qty=st.just(2.0),
    sequence=st.integers(1, 2**40),
    ts_event_ns=st.none() | st.integers(START_NS, START_NS + 10**10),
)
GAPS = st.integers(1, 200_000_000) | st.sampled_from([1, 3 * S, 9 * S])
ROWS = st.lists(st.tuples(GAPS, QUOTES), min_size=1, max_size=80)


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_store, "FIRST_ROWS", 16)
    monkeypatch.setattr(row_store, "STEP_ROWS", 2)
    monkeypatch.setattr(row_store, "SEGMENT_ROWS", 7)
    monkeypatch.setattr(row_store, "COPY_ROWS", 16)
    monkeypatch.setattr(row_store, "EVICT_SEGMENTS", 1)
    monkeypatch.setattr(row_store, "INDEX_SLACK", 4)
    monkeypatch.setattr(window, "ZONE_ROWS", 5)
    monkeypatch.setattr(zone_map, "SLACK", 3)
    monkeypatch.setattr(segment, "MARK_ROWS", 2)


def new_window() -> Window:
    return Window(hold_h=HOLD_NS / 3.6e12, rolling_s=ROLLING_NS / 1e9, grid=GRID)


def timed(rows: list[tuple[int, TopOfBook]]) -> list[tuple[int, TopOfBook]]:
    times = START_NS + np.cumsum([gap_ns for gap_ns, _ in rows])
    return [(int(ts_ns), quote) for ts_ns, (_, quote) in zip(times, rows, strict=True)]


def as_columns(rows: list[tuple[int, TopOfBook]]) -> Columns:
    ints = (
        [ts_ns for ts_ns, _ in rows],
        [quote.ts_event_ns or 0 for _, quote in rows],
        [quote.sequence for _, quote in rows],
    )
    names = ("bid_price", "bid_qty", "ask_price", "ask_qty")
    floats = ([getattr(quote, name) for _, quote in rows] for name in names)
    return read_only((*(np.array(one, np.int64) for one in ints), *(np.array(one, np.float64) for one in floats)))


def as_rows(columns: Columns) -> list[tuple[object, ...]]:
    return list(zip(*(column.tolist() for column in columns), strict=True))


def load_in_parts(tested: Window, rows: list[tuple[int, TopOfBook]], cuts: list[float]) -> None:
    at = sorted({0, len(rows), *(int(cut * len(rows)) for cut in cuts)})
    for start, stop in reversed(list(pairwise(at))):
        tested.load(as_columns(rows[start:stop]))


def assert_alike(tested: Window, reference: Window, cuts: list[float]) -> None:
    assert len(tested) == len(reference)
    assert tested.last() == reference.last()
    last_ns = tested.last_recv_ns
    assert last_ns == reference.last_recv_ns
    held = as_rows(reference.between(0, last_ns + 1))
    assert as_rows(tested.between(0, last_ns + 1)) == held
    first_ns = last_ns - HOLD_NS
    # A row that is the oldest held is a change for one window, and may be none for one that forgot the row before it.
    assert as_rows(tested.price_changes(first_ns, last_ns + 1))[1:] in (
        as_rows(reference.price_changes(first_ns, last_ns + 1))[1:],
        as_rows(reference.price_changes(first_ns, last_ns + 1)),
    )
    moments = sorted(first_ns + int(cut * (HOLD_NS + 2)) for cut in [*cuts, 0.9, 1.0])
    for start_ns, stop_ns in pairwise(moments):
        assert as_rows(tested.between(start_ns, stop_ns)) == as_rows(reference.between(start_ns, stop_ns))
        assert tested.as_of(start_ns) == reference.as_of(start_ns)
        assert tested.extremes(start_ns, stop_ns) == reference.extremes(start_ns, stop_ns)
    view = tested.between(last_ns - ROLLING_NS, last_ns + 1)
    assert view.bid_price.strides == (56,), "the last minutes stand in one piece after a load, too"


CUTS = st.lists(st.floats(0, 1), max_size=6)


@given(older=ROWS, newer=st.lists(st.tuples(GAPS, QUOTES), max_size=60), repeats=st.integers(1, 3), cuts=CUTS)
@settings(deadline=None, max_examples=80)
def test_loaded_before_the_first_quote(
    older: list[tuple[int, TopOfBook]], newer: list[tuple[int, TopOfBook]], repeats: int, cuts: list[float]
) -> None:
    rows = timed(older * repeats + newer)
    early, late = rows[: len(older) * repeats], rows[len(older) * repeats :]
    tested, reference = new_window(), new_window()
    load_in_parts(tested, early, cuts)
    for ts_ns, quote in early:
        reference.append(ts_ns, quote)
    assert_alike(tested, reference, cuts)
    assert tested.appended == 0
    for ts_ns, quote in late:
        assert tested.append(ts_ns, quote) is reference.append(ts_ns, quote)
    assert tested.appended == len(late)
    assert_alike(tested, reference, cuts)


@given(older=ROWS, newer=ROWS, repeats=st.integers(1, 3), cuts=CUTS)
@settings(deadline=None, max_examples=80)
def test_loaded_behind_quotes_that_came(
    older: list[tuple[int, TopOfBook]], newer: list[tuple[int, TopOfBook]], repeats: int, cuts: list[float]
) -> None:
    rows = timed(older + newer * repeats)
    tested, reference = new_window(), new_window()
    for ts_ns, quote in rows:
        reference.append(ts_ns, quote)
    for ts_ns, quote in rows[len(older) :]:
        tested.append(ts_ns, quote)
    load_in_parts(tested, rows[: len(older)], cuts)
    assert tested.appended == len(newer) * repeats
    assert_alike(tested, reference, cuts)


def test_what_is_out_of_order_or_not_older_is_refused() -> None:
    quote = TopOfBook(bid_price=100.0, bid_qty=1.0, ask_price=101.0, ask_qty=1.0, sequence=1)
    tested = new_window()
    with pytest.raises(ValueError, match="order of receipt"):
        tested.load(as_columns([(START_NS, quote), (START_NS - 1, quote)]))
    assert tested.last() is None
    tested.append(START_NS, quote)
    with pytest.raises(ValueError, match="older than every row"):
        tested.load(as_columns([(START_NS, quote)]))
    tested.load(as_columns([(START_NS - 1, quote)]))
    tested.load(as_columns([]))
    tested.load(as_columns([(START_NS - HOLD_NS - 1, quote)]))
    assert tested.between(0, START_NS + 1).ts_recv_ns.tolist() == [START_NS - 1, START_NS]
    assert tested.price_changes(0, START_NS + 1).ts_recv_ns.tolist() == [START_NS - 1]


def test_loading_in_whatever_state_the_housekeeping_is() -> None:
    rows = timed([(S // 50, one_quote(i)) for i in range(160)])
    for came in range(1, 100):
        tested, reference = new_window(), new_window()
        for ts_ns, quote in rows[30 : 30 + came]:
            tested.append(ts_ns, quote)
        tested.load(as_columns(rows[:30]))
        for ts_ns, quote in rows[30 + came :]:
            tested.append(ts_ns, quote)
        for ts_ns, quote in rows:
            reference.append(ts_ns, quote)
        assert_alike(tested, reference, [0.1, 0.5, 0.8, 0.95])


def test_what_is_older_than_dropped_rows_is_left_out() -> None:
    tested = new_window()
    times = [START_NS + i * S // 10 for i in range(100)]
    times += [START_NS + HOLD_NS + 12 * S + i * S // 10 for i in range(100)]
    for i, ts_ns in enumerate(times):
        tested.append(ts_ns, one_quote(i))
    before = as_rows(tested.between(0, times[-1] + 1))
    tested.load(as_columns([(times[100] - 1, one_quote(7))]))
    assert as_rows(tested.between(0, times[-1] + 1)) == before


def one_quote(number: int) -> TopOfBook:
    return TopOfBook(bid_price=100.0 + number % 3 / 2, bid_qty=1.0, ask_price=102.0, ask_qty=1.0, sequence=number)
