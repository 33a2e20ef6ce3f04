"""A window that points to rows of a tape answers as one that has written each of them down."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.backtest import late_window
from bot.backtest.late_window import LateWindow
from bot.domain.market import TopOfBook
from bot.market import window as windows
from bot.market.columns import Columns
from bot.market.window import Window, quote_of

SECOND_NS = 1_000_000_000
START_NS = 1_700_000_000 * SECOND_NS
SPAN = {"hold_h": 60 / 3_600, "rolling_s": 6.0, "grid": (0.1, 0.001)}


def rows_of(rng: np.random.Generator, count: int, after_ns: int) -> Columns:
    recv_ns = after_ns + np.cumsum(rng.integers(0, 400_000_000, count))
    bid = np.round(60_000.0 + 0.1 * np.cumsum(rng.integers(-1, 2, count) * (rng.random(count) < 0.4)), 1)
    sizes = rng.integers(1, 900, (2, count)) / 1000
    return Columns(recv_ns, recv_ns - 5_000_000, np.arange(count), bid, sizes[0], np.round(bid + 0.1, 1), sizes[1])


def one_by_one(window: Window, rows: Columns) -> list[bool]:
    return [window.append(int(rows.ts_recv_ns[at]), quote_of(rows.row(at))) for at in range(rows.rows)]


def looks(window: Window, now_ns: int, spans: list[tuple[int, int]]) -> list[Any]:
    found: list[Any] = [window.appended, len(window), window.last(), window.last_recv_ns, window.clock_steps]
    for start_s, stop_s in spans:
        start_ns, stop_ns = now_ns - start_s * SECOND_NS, now_ns - stop_s * SECOND_NS
        asked: list[Callable[[int, int], Any]] = [window.between, window.price_changes, window.extremes, window.gaps]
        for ask in asked:
            found.append([np.asarray(part).tolist() for part in ask(start_ns, stop_ns)])
        # Whole seconds alone: where the span ends within one, it rests on how far rows have been counted.
        zones = window.zones(start_ns, stop_ns)
        wanted = (zones.second > start_ns // SECOND_NS) & (zones.second < stop_ns // SECOND_NS)
        found.append([column[wanted].tolist() for column in zones])
        found.append(window.as_of(start_ns))
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    steps=st.lists(st.tuples(st.sampled_from(["many", "one", "look", "gap"]), st.integers(1, 70)), min_size=3),
)
def test_it_answers_as_any_window(seed: int, steps: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_window, "MOST_LATE", 64)
    monkeypatch.setattr(late_window, "SEGMENT_ROWS", 16)
    monkeypatch.setattr(windows, "SEGMENT_ROWS", 16)
    rng = np.random.default_rng(seed)
    plain, late = Window(**SPAN), LateWindow(**SPAN)
    now_ns = START_NS
    for what, count in [*steps, ("look", 7)]:
        if what == "look":
            spans = [(count, 0), (90, count), (5, 1), (0, -5)]
            assert looks(late, now_ns, spans) == looks(plain, now_ns, spans)
            continue
        if what == "gap":
            for window in (plain, late):
                window.begin_gap(now_ns, "lost")
            continue
        rows = rows_of(rng, count if what == "many" else count % 4 + 1, now_ns)
        moved = one_by_one(plain, rows)
        if what == "many":
            late.extend(rows, np.array(moved))
        else:
            assert one_by_one(late, rows) == moved
        now_ns = int(rows.ts_recv_ns[-1])


def test_a_number_of_more_than_64_bits_is_not_kept() -> None:
    late = LateWindow()
    quote = TopOfBook(bid_price=1.0, bid_qty=1.0, ask_price=2.0, ask_qty=1.0, sequence=1 << 70)
    with pytest.raises(OverflowError):
        late.append(START_NS, quote)
    assert (late.appended, late.last()) == (0, None)


def test_rows_that_become_many_are_packed() -> None:
    rng = np.random.default_rng(1)
    late, now_ns = LateWindow(**SPAN), START_NS
    for _ in range(12):
        rows = rows_of(rng, 20_000, now_ns)
        moved = np.concatenate(([True], rows.bid_price[1:] != rows.bid_price[:-1]))
        late.extend(rows, moved)
        now_ns = int(rows.ts_recv_ns[-1])
    assert late.appended == 240_000
    assert late._late_rows <= late_window.MOST_LATE
    assert late.as_of(now_ns - 1) is not None
