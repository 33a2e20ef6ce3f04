"""Rolling statistics against sums over every piece of time, written without any thought for speed."""

from math import inf, log, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.market.rolling_statistics import RollingStatistics

MS = 1_000_000
BUCKET_NS = 1_000 * MS
SPAN_BUCKETS = 12
START_NS = 1_723_161_254_321_000_000

PRICES = st.floats(0.001, 1e6).flatmap(
    lambda bid: st.tuples(st.just(bid), st.floats(1.0, 1.1).map(lambda up: bid * up))
)
GAPS_NS = st.integers(0, 900).map(lambda ms: ms * MS) | st.sampled_from([0, BUCKET_NS, 7 * BUCKET_NS, 40 * BUCKET_NS])
STEPS = st.lists(st.tuples(GAPS_NS, st.none() | PRICES | PRICES), min_size=1, max_size=80)

Stretch = tuple[int, int, float, float]
"""From, to, bid, ask."""


class Reference:
    """All stretches of time with a price, and all moments at which one was told."""

    def __init__(self) -> None:
        self.stretches: list[Stretch] = []
        self.price: tuple[float, float] | None = None
        self.known: tuple[float, float] | None = None
        self.now_ns = 0
        self.change_times: list[int] = []
        self.interrupt_times: list[int] = []

    def at(self, ts_ns: int) -> None:
        if self.price is not None:
            self.stretches.append((self.now_ns, ts_ns, *self.price))
        self.now_ns = ts_ns

    def step(self, ts_ns: int, price: tuple[float, float] | None) -> None:
        self.at(ts_ns)
        if price is None:
            self.interrupt_times.append(ts_ns)
        elif price != self.known:
            self.known = price
            self.change_times.append(ts_ns)
        self.price = price
        self.stretches.append((ts_ns, ts_ns, *price) if price else (ts_ns, ts_ns, -inf, inf))

    def window_start(self) -> int:
        return (self.now_ns // BUCKET_NS - SPAN_BUCKETS) * BUCKET_NS

    def inside(self) -> list[Stretch]:
        start_ns = self.window_start()
        return [(max(a, start_ns), b, bid, ask) for a, b, bid, ask in self.stretches if b >= start_ns]

    def mean(self, of: object) -> float | None:
        weighted = [((b - a), of(bid, ask)) for a, b, bid, ask in self.inside() if b > a]  # type: ignore[operator]
        covered_ns = sum(ns for ns, _ in weighted)
        return sum(ns * value for ns, value in weighted) / covered_ns if covered_ns else None

    def mid_at(self, ts_ns: int) -> float | None:
        """The mid that stood just before `ts_ns`."""
        standing = [(bid + ask) / 2 for a, b, bid, ask in self.stretches if a < ts_ns <= b]
        return standing[0] if standing else None

    def returns(self) -> list[float]:
        found = []
        for start_ns in range(self.window_start(), self.now_ns // BUCKET_NS * BUCKET_NS, BUCKET_NS):
            end_ns = start_ns + BUCKET_NS
            before, after = self.mid_at(start_ns), self.mid_at(end_ns)
            if before and after and not any(start_ns <= ts_ns < end_ns for ts_ns in self.interrupt_times):
                found.append(log(after / before))
        return found


def close(value: float | None) -> object:
    return None if value is None else pytest.approx(value, rel=1e-9, abs=1e-12)


@given(steps=STEPS, tail_ns=GAPS_NS)
@settings(deadline=None, max_examples=200)
def test_statistics_are_those_of_the_last_buckets(
    steps: list[tuple[int, tuple[float, float] | None]], tail_ns: int
) -> None:
    tested, reference = RollingStatistics(span_s=SPAN_BUCKETS, bucket_s=1), Reference()
    ts_ns = START_NS
    for gap_ns, price in steps:
        ts_ns += gap_ns
        reference.step(ts_ns, price)
        if price is None:
            tested.interrupt(ts_ns)
        else:
            tested.update(ts_ns, *price)
    if ts_ns + tail_ns >= tested.next_roll_ns:
        tested.roll(ts_ns + tail_ns)
        reference.at(ts_ns + tail_ns)

    covered_ns = sum(b - a for a, b, bid, _ in reference.inside() if bid > 0)
    assert tested.covered_s == covered_ns / 1e9
    assert tested.mean_mid == close(reference.mean(lambda bid, ask: (bid + ask) / 2))
    assert tested.mean_spread_bps == close(reference.mean(lambda bid, ask: (ask - bid) / ((bid + ask) / 2) * 1e4))
    high = max((bid for _, _, bid, _ in reference.inside()), default=-inf)
    low = min((ask for _, _, _, ask in reference.inside()), default=inf)
    assert tested.high_bid == (None if high == -inf else high)
    assert tested.low_ask == (None if low == inf else low)
    assert tested.price_changes == sum(ts_ns >= reference.window_start() for ts_ns in reference.change_times)
    returns = reference.returns()
    expected = sqrt(sum(r * r for r in returns) / len(returns)) * 1e4 if returns else None
    # A return is log(a / b): where the mid hardly moves it keeps twelve digits of 1, not of itself.
    assert tested.volatility_bps_per_sqrt_s == (
        None if expected is None else pytest.approx(expected, rel=1e-9, abs=1e-9)
    )


def test_days_of_updates_leave_no_drift() -> None:
    tested = RollingStatistics(span_s=30, bucket_s=1)
    ts_ns = START_NS
    for i in range(20_000):
        ts_ns += BUCKET_NS
        price = 1e9 if i < 19_000 else 1e-3
        tested.update(ts_ns, price, price * 1.0001)
    assert tested.mean_mid == pytest.approx(1e-3 * 1.00005, rel=1e-12)
    assert tested.mean_spread_bps == pytest.approx(0.0001 / 1.00005 * 1e4, rel=1e-9)
    assert tested.high_bid == 1e-3
