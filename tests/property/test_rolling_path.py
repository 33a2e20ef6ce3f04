"""Statistics that take many quotes at once are those that took them one by one, to the last bit."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bot.market.rolling_path import Prices, Rolls
from bot.market.rolling_statistics import RollingStatistics

SECOND_NS = 1_000_000_000
START_NS = 1_700_000_000 * SECOND_NS + 250_000_000


class Market:
    """Prices of a random walk, and a roll a second."""

    def __init__(self, seed: int, mean_gap_ns: float, seconds: int, phase_ns: int) -> None:
        rng = np.random.default_rng(seed)
        gaps = rng.exponential(mean_gap_ns, round(seconds * SECOND_NS / mean_gap_ns) + 1).astype(np.int64)
        if seed % 3 == 0:
            gaps[rng.random(len(gaps)) < 0.2] = 0  # several at one moment
        if seed % 4 == 0:
            gaps -= gaps % 50_000_000  # on the very edges of buckets and rolls
        ts_ns = START_NS + np.cumsum(gaps)
        ts_ns = ts_ns[ts_ns < START_NS + seconds * SECOND_NS]
        steps = rng.choice((-3, -2, -1, 1, 2, 3), len(ts_ns))
        bid = 60_000.0 + np.cumsum(steps) / 10
        self.prices = Prices(ts_ns, bid, bid + 0.1 * rng.integers(1, 4, len(ts_ns)))
        self.rolls_ns = START_NS + phase_ns + SECOND_NS * np.arange(seconds)

    def seen(self, ts_ns: int) -> int:
        return 3 * int(np.searchsorted(self.prices.ts_ns, ts_ns))

    def one_by_one(self, statistics: RollingStatistics, start_ns: int, stop_ns: int) -> None:
        """Rolls go before prices of the same moment, as timers go before rows."""
        events: list[tuple[int, int, int]] = [(ts, 0, 0) for ts in self.rolls_ns.tolist()]
        events += [(ts, 1, at) for at, ts in enumerate(self.prices.ts_ns.tolist())]
        for ts_ns, kind, at in sorted(events):
            if not start_ns <= ts_ns < stop_ns:
                continue
            if kind:
                statistics.update(ts_ns, float(self.prices.bid[at]), float(self.prices.ask[at]))
            else:
                statistics.seen = self.seen(ts_ns)
                statistics.roll(ts_ns)

    def at_once(self, statistics: RollingStatistics, start_ns: int, stop_ns: int) -> bool:
        low, high = np.searchsorted(self.prices.ts_ns, (start_ns, stop_ns))
        rolls_ns = self.rolls_ns[slice(*np.searchsorted(self.rolls_ns, (start_ns, stop_ns)))]
        seen = np.array([self.seen(ts) for ts in rolls_ns.tolist()], np.int64)
        path = statistics.path(Prices(*(column[low:high] for column in self.prices)), Rolls(rolls_ns, seen))
        if path is None:
            return False
        told = path.at_rolls()
        before = told_one_by_one(self, statistics, start_ns, stop_ns)
        for column, values in zip(told, before, strict=True):
            np.testing.assert_allclose(column, values, rtol=1e-12)
        statistics.follow(path)
        return True


def told_one_by_one(market: Market, statistics: RollingStatistics, start_ns: int, stop_ns: int) -> list[Any]:
    """What a copy says after each roll."""
    copy = RollingStatistics.__new__(RollingStatistics)
    for name in RollingStatistics.__slots__:
        setattr(copy, name, getattr(statistics, name))
    copy._past = statistics._past.copy()
    found: list[tuple[Any, ...]] = []
    from_ns = start_ns
    for ts_ns in market.rolls_ns.tolist():
        if start_ns <= ts_ns < stop_ns:
            market.one_by_one(copy, from_ns, ts_ns)
            copy.seen = market.seen(ts_ns)
            copy.roll(ts_ns)
            from_ns = ts_ns + 1
            volatility = copy.volatility_bps_per_sqrt_s
            numbers = (copy.covered_s, copy.mean_mid, copy.mean_spread_bps, volatility)
            found.append(tuple(float("nan") if number is None else number for number in numbers))
            market.one_by_one(copy, ts_ns, ts_ns + 1)
    return list(zip(*found, strict=True))


def state_of(statistics: RollingStatistics) -> list[Any]:
    past = statistics._past
    own = [getattr(statistics, name) for name in RollingStatistics.__slots__ if name != "_past"]
    return [*own, past.total, past._newer_total, past._newer, past._older]


@given(
    seed=st.integers(0, 10_000),
    mean_gap_ms=st.sampled_from([5.0, 100.0, 900.0]),
    span_s=st.sampled_from([4.0, 15.0, 30.0]),
    phase_ns=st.sampled_from([0, 1, 300_000_000, 750_000_000, 749_999_999, 750_000_001]),
    first_s=st.integers(2, 9),
    stops=st.lists(st.integers(1, 40), min_size=1, max_size=4),
)
def test_many_at_once_leave_what_one_by_one_leaves(
    seed: int, mean_gap_ms: float, span_s: float, phase_ns: int, first_s: int, stops: list[int]
) -> None:
    market = Market(seed, mean_gap_ms * 1e6, first_s + sum(stops) + 1, phase_ns)
    loop, quick = RollingStatistics(span_s=span_s), RollingStatistics(span_s=span_s)
    at_ns = int(market.rolls_ns[first_s])
    for statistics in (loop, quick):
        market.one_by_one(statistics, 0, at_ns)
    for stop_s in stops:
        stop_ns = at_ns + stop_s * SECOND_NS
        market.one_by_one(loop, at_ns, stop_ns)
        if not market.at_once(quick, at_ns, stop_ns):
            assert stop_s <= 2 or loop.interrupted or mean_gap_ms > 500.0
            market.one_by_one(quick, at_ns, stop_ns)
        at_ns = stop_ns
        assert state_of(quick) == state_of(loop)


def test_a_market_that_stands_still_fills_buckets_all_the_same() -> None:
    market = Market(1, 1e8, 4, 300_000_000)
    loop, quick = RollingStatistics(span_s=5.0), RollingStatistics(span_s=5.0)
    for statistics in (loop, quick):
        market.one_by_one(statistics, 0, int(market.rolls_ns[3]) + 1)
    rolls_ns = market.rolls_ns[-1] + SECOND_NS * np.arange(1, 400)
    nothing = np.zeros(0)
    path = quick.path(Prices(nothing.astype(np.int64), nothing, nothing), Rolls(rolls_ns, np.full(len(rolls_ns), 99)))
    assert path is not None
    quick.follow(path)
    for ts_ns in rolls_ns.tolist():
        loop.seen = 99
        loop.roll(ts_ns)
    assert state_of(quick) == state_of(loop)
