"""No crossing is missed by looking at seconds, and a second without one is not named for nothing."""

from itertools import pairwise
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.market import TopOfBook
from bot.market import row_store, window, zone_map
from bot.market.crossings import possible_crossings
from bot.market.window import Window

S = 1_000_000_000
START_NS = 1_723_161_254_300_000_000
PRICE = st.sampled_from([99.0, 100.0, 100.1, 100.2, 101.0, 0.0, nan, inf])
GAP = st.integers(0, 400_000_000) | st.sampled_from([S, 4 * S])
ROWS = st.lists(st.tuples(GAP, PRICE, PRICE), max_size=30)


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "ZONE_ROWS", 3)
    monkeypatch.setattr(row_store, "STEP_ROWS", 2)
    monkeypatch.setattr(zone_map, "SLACK", 3)


def quote(bid: float, ask: float) -> TopOfBook:
    return TopOfBook(bid_price=bid, bid_qty=1.0, ask_price=ask, ask_qty=1.0, sequence=1)


def filled(rows: list[tuple[int, float, float]]) -> tuple[Window, list[tuple[int, float, float]]]:
    """Also what stood from when on."""
    tested, stood, ts_ns = Window(), [(0, nan, nan)], START_NS
    for gap_ns, bid, ask in rows:
        ts_ns += gap_ns
        tested.append(ts_ns, quote(bid, ask))
        stood.append((ts_ns, bid, ask))
    return tested, stood


def crossings(
    ours: list[tuple[int, float, float]], theirs: list[tuple[int, float, float]], start_ns: int, stop_ns: int, x: float
) -> list[int]:
    """Every moment at which something came, or the span began, and a bid stood above an ask."""
    moments = {start_ns, *(row[0] for row in ours), *(row[0] for row in theirs)}
    found = []
    for moment in sorted(one for one in moments if start_ns <= one < stop_ns):
        bid = [row for row in ours if row[0] <= moment][-1][1]
        ask = [row for row in theirs if row[0] <= moment][-1][2]
        if 0 < bid < inf and ask > 0 and bid > ask * (1 + x):
            found.append(moment)
    return found


@given(ours=ROWS, theirs=ROWS, start=st.floats(-0.1, 1.1), span=st.floats(0, 1.2), x=st.sampled_from([0.0, 0.001]))
@settings(deadline=None, max_examples=150)
def test_every_crossing_lies_in_a_span(
    ours: list[tuple[int, float, float]],
    theirs: list[tuple[int, float, float]],
    start: float,
    span: float,
    x: float,
) -> None:
    (bids, our_rows), (asks, their_rows) = filled(ours), filled(theirs)
    length_ns = max(bids.last_recv_ns, asks.last_recv_ns, START_NS) - START_NS + 2
    start_ns = START_NS + int(start * length_ns)
    stop_ns = start_ns + int(span * length_ns) + 1
    spans = possible_crossings(bids, asks, start_ns, stop_ns, excess=x).tolist()
    for moment in crossings(our_rows, their_rows, start_ns, stop_ns, x):
        assert any(low <= moment < high for low, high in spans), (moment, spans)
    for low, high in spans:
        assert start_ns <= low < high <= stop_ns
    for (_, before), (after, _) in pairwise(spans):
        assert before < after


def test_seconds_without_a_crossing_are_not_named() -> None:
    bids, asks = Window(), Window()
    for second in range(6_000):
        crossed = second in (2_000, 2_001, 4_000)
        bids.append(START_NS + second * S, quote(100.0, 100.2))
        asks.append(START_NS + second * S + 1, quote(100.0, 99.0 if crossed else 100.1))
        asks.append(START_NS + second * S + S // 2, quote(100.0, 100.1))
    spans = possible_crossings(bids, asks, START_NS, START_NS + 6_000 * S)
    first_s = START_NS // S * S
    assert spans.tolist() == [
        [first_s + 2_000 * S, first_s + 2_002 * S],
        [first_s + 4_000 * S, first_s + 4_001 * S],
    ]
    assert possible_crossings(bids, asks, START_NS, START_NS + 6_000 * S, excess=0.02).tolist() == []


def test_a_crossing_that_stands_goes_on_while_nothing_comes() -> None:
    bids, asks = Window(), Window()
    asks.append(START_NS, quote(98.0, 99.0))
    bids.append(START_NS + S, quote(100.0, 101.0))
    asks.append(START_NS + 60 * S, quote(98.0, 102.0))
    spans = possible_crossings(bids, asks, START_NS, START_NS + 90 * S).tolist()
    assert spans == [[(START_NS // S + 1) * S, (START_NS // S + 61) * S]]
    assert possible_crossings(bids, asks, START_NS + 30 * S, START_NS + 40 * S).tolist() == [
        [START_NS + 30 * S, START_NS + 40 * S]
    ]


def test_nothing_is_found_in_empty_windows() -> None:
    assert possible_crossings(Window(), Window(), START_NS, START_NS + S).shape == (0, 2)


def test_what_stood_since_long_before_the_span_counts() -> None:
    bids, asks = Window(), Window()
    for i in range(20):
        asks.append(START_NS + i, quote(98.0, 99.0))
        bids.append(START_NS + i, quote(100.0, 101.0))
    span = START_NS + 30 * S, START_NS + 40 * S
    assert bids.zones(*span).close_bid.tolist() == [100.0]
    assert possible_crossings(bids, asks, *span).tolist() == [list(span)]


def test_extremes_of_the_day_forget_what_is_older() -> None:
    tested = Window(hold_h=20 / 3_600)
    for i in range(9_000):
        tested.append(START_NS + i * S // 10, quote(20_000.0 - i, 30_000.0 + i))
    oldest = 8_999 - 200
    assert tested.extremes(0, tested.last_recv_ns + 1) == (20_000.0 - oldest, 30_000.0 + oldest)
    seconds = tested.zones(tested.last_recv_ns - 20 * S, tested.last_recv_ns + 1).second
    assert seconds[-21:].tolist() == list(range(tested.last_recv_ns // S - 20, tested.last_recv_ns // S + 1))
    assert len(tested.zones(0, tested.last_recv_ns + 1).second) < 20 + 8, "older seconds are forgotten"
