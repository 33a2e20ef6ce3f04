"""A window against a plain list, with its housekeeping made so frequent that every transition happens."""

from itertools import pairwise
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.market import TopOfBook
from bot.market import row_store, segment, window, zone_map
from bot.market.columns import Columns
from bot.market.window import Window

HOLD_NS, ROLLING_NS = 40_000_000_000, 8_000_000_000
START_NS = 1_723_161_254_000_000_000

PRICES = st.sampled_from([100.0, 100.5, 101.0])
SIZES = st.floats(0.001, 1e6) | st.integers(1, 10**8).map(lambda lots: lots / 1_000)
GRIDS = st.sampled_from([None, (0.5, 0.001), (0.01, 1.0), (0.25, 0.001)])
QUOTES = st.builds(
    TopOfBook,
    bid_price=PRICES,
    bid_qty=SIZES,
    ask_price=PRICES,
    ask_qty=SIZES,
    sequence=st.integers(-(2**63), 2**63 - 1) | st.integers(10**12, 10**12 + 9),
    ts_event_ns=st.none() | st.integers(START_NS, START_NS + 10**12),
)
SHORT_NS = st.integers(0, 300_000_000)
LONG_NS = st.sampled_from([0, 0, -5_000_000_000, 9_000_000_000, 45_000_000_000])
RUNS_NS = st.sampled_from([0, 0, 0, 0, 0, 9_000_000_000])
ROWS = st.one_of(
    st.lists(st.tuples(gaps, QUOTES), min_size=1, max_size=60)
    for gaps in (SHORT_NS, SHORT_NS | LONG_NS, st.integers(0, 30_000_000), RUNS_NS)
)


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


class Reference:
    """What the window promises, written down without any thought for speed."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, TopOfBook, bool]] = []
        self.clock_steps = 0

    def append(self, ts_ns: int, quote: TopOfBook) -> bool:
        before = self.rows[-1] if self.rows else None
        if before and ts_ns < before[0]:
            ts_ns = before[0]
            self.clock_steps += 1
        last = before[1] if before else None
        changed = last is None or (last.bid_price, last.ask_price) != (quote.bid_price, quote.ask_price)
        self.rows.append((ts_ns, quote, changed))
        return changed

    def held(self) -> list[tuple[int, TopOfBook, bool]]:
        horizon_ns = self.rows[-1][0] - HOLD_NS
        return [row for row in self.rows if row[0] >= horizon_ns]

    def between(self, start_ns: int, stop_ns: int, *, changes: bool = False) -> list[tuple[object, ...]]:
        return [
            as_row(ts_ns, quote)
            for ts_ns, quote, changed in self.held()
            if start_ns <= ts_ns < stop_ns and (changed or not changes)
        ]

    def as_of(self, ts_ns: int) -> tuple[int, TopOfBook] | None:
        before = [row for row in self.held() if row[0] <= ts_ns]
        return before[-1][:2] if before else None

    def standing(self, start_ns: int, stop_ns: int) -> list[TopOfBook]:
        start_ns = max(start_ns, self.rows[-1][0] - HOLD_NS)
        if start_ns >= stop_ns:
            return []
        first = self.as_of(start_ns)
        came = [quote for ts_ns, quote, _ in self.held() if start_ns <= ts_ns < stop_ns]
        return came if first is None else [first[1], *came]


def as_row(ts_ns: int, quote: TopOfBook) -> tuple[object, ...]:
    values = quote.bid_price, quote.bid_qty, quote.ask_price, quote.ask_qty
    return ts_ns, quote.ts_event_ns or 0, quote.sequence, *values


def as_rows(columns: Columns) -> list[tuple[object, ...]]:
    return list(zip(*(column.tolist() for column in columns), strict=True))


@given(rows=ROWS, repeats=st.integers(1, 8), cuts=st.lists(st.floats(-0.2, 1.2), min_size=2, max_size=6), grid=GRIDS)
@settings(deadline=None, max_examples=150)
def test_window_answers_like_a_list(
    rows: list[tuple[int, TopOfBook]], repeats: int, cuts: list[float], grid: tuple[float, float] | None
) -> None:
    tested, reference = Window(hold_h=HOLD_NS / 3.6e12, rolling_s=ROLLING_NS / 1e9, grid=grid), Reference()
    ts_ns, kept_views = START_NS, []
    for gap_ns, quote in rows * repeats:
        ts_ns += gap_ns
        assert tested.append(ts_ns, quote) is reference.append(ts_ns, quote)
        ts_ns = max(ts_ns, reference.rows[-1][0])
        last_ns = tested.last_recv_ns
        if len(reference.rows) % 11 == 0:
            view = tested.between(last_ns - ROLLING_NS, last_ns + 1)
            kept_views.append((view, as_rows(view)))
            assert as_rows(view) == reference.between(last_ns - ROLLING_NS, last_ns + 1)

    assert len(tested) == len(reference.held())
    assert tested.appended == len(reference.rows)
    assert tested.last() == reference.rows[-1][1]
    assert tested.clock_steps == reference.clock_steps
    first_ns = reference.rows[0][0]
    span_ns = tested.last_recv_ns - first_ns + 1
    row_times = [row[0] for row in reference.rows[:: max(1, len(reference.rows) // 5)]]
    times = sorted([*row_times, *(first_ns + int(span_ns * cut) for cut in cuts)])
    for start_ns, stop_ns in pairwise(times):
        assert as_rows(tested.between(start_ns, stop_ns)) == reference.between(start_ns, stop_ns)
        changes = tested.price_changes(start_ns, stop_ns)
        assert as_rows(changes) == reference.between(start_ns, stop_ns, changes=True)
        stood = reference.standing(start_ns, stop_ns)
        high, low = max((q.bid_price for q in stood), default=0.0), min((q.ask_price for q in stood), default=inf)
        assert tested.extremes(start_ns, stop_ns) == (high, low)
    for at_ns in times:
        assert tested.as_of(at_ns) == reference.as_of(at_ns)
    for view, rows_then in kept_views:
        assert as_rows(view) == rows_then, "a view that was handed out has changed"


@given(rows=ROWS)
@settings(deadline=None, max_examples=50)
def test_the_last_minutes_always_stand_in_one_piece(rows: list[tuple[int, TopOfBook]]) -> None:
    tested = Window(hold_h=HOLD_NS / 3.6e12, rolling_s=ROLLING_NS / 1e9)
    ts_ns = START_NS
    for gap_ns, quote in rows * 4:
        ts_ns += abs(gap_ns)
        tested.append(ts_ns, quote)
        view = tested.between(ts_ns - ROLLING_NS, ts_ns + 1)
        assert view.bid_price.strides == (56,), "sealed or copied columns are contiguous, the hot buffer's are not"
        assert not any(column.flags.writeable for column in view)


def test_a_price_that_is_no_number_is_a_change_each_time() -> None:
    tested = Window()
    quote = TopOfBook(bid_price=nan, bid_qty=1.0, ask_price=2.0, ask_qty=1.0, sequence=1)
    assert tested.append(1, quote)
    assert tested.append(2, quote)
    assert np.isnan(tested.between(1, 3).bid_price).all()


def test_rows_of_one_moment_are_found_however_they_are_parted() -> None:
    tob = TopOfBook(bid_price=1.0, bid_qty=1.0, ask_price=2.0, ask_qty=1.0, sequence=1)
    for rows in range(1, 80):
        tested = Window(hold_h=HOLD_NS / 3.6e12, rolling_s=ROLLING_NS / 1e9)
        for _ in range(rows):
            tested.append(START_NS, tob)
        for i in range(60):
            tested.append(START_NS + 2 * ROLLING_NS + i * 10**8, tob)
            assert tested.between(START_NS, START_NS + 1).rows == rows
