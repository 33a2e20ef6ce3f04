import pytest

from bot.market.rolling_statistics import RollingStatistics

S = 1_000_000_000
START_NS = 1_723_161_254 * S


def test_nothing_is_known_before_the_first_quote() -> None:
    statistics = RollingStatistics()
    assert statistics.covered_s == 0
    assert statistics.mean_mid is None
    assert statistics.mean_spread_bps is None
    assert statistics.high_bid is None
    assert statistics.low_ask is None
    assert statistics.volatility_bps_per_sqrt_s is None
    assert statistics.interrupted
    assert statistics.next_roll_ns <= START_NS


def test_a_price_counts_for_as_long_as_it_stood() -> None:
    statistics = RollingStatistics()
    statistics.update(START_NS, 99.0, 101.0)
    statistics.update(START_NS + 3 * S, 199.0, 201.0)
    statistics.roll(START_NS + 4 * S)
    assert statistics.mean_mid == pytest.approx((3 * 100 + 1 * 200) / 4)
    assert statistics.mean_spread_bps == pytest.approx((3 * 200 + 1 * 100) / 4)
    assert statistics.covered_s == 4


def test_a_gap_is_not_weighted_as_if_the_last_price_held() -> None:
    statistics = RollingStatistics()
    statistics.update(START_NS, 99.0, 101.0)
    statistics.interrupt(START_NS + 2 * S)
    assert statistics.interrupted
    statistics.update(START_NS + 50 * S, 199.0, 201.0)
    assert not statistics.interrupted
    statistics.roll(START_NS + 52 * S)
    assert statistics.covered_s == 4
    assert statistics.mean_mid == pytest.approx(150)
    assert statistics.volatility_bps_per_sqrt_s == 0, "the jump across the gap is no return"


def test_the_same_price_after_a_gap_goes_on_without_being_a_change() -> None:
    statistics = RollingStatistics()
    statistics.update(START_NS, 99.0, 101.0)
    statistics.interrupt(START_NS + S)
    statistics.update(START_NS + 2 * S, 99.0, 101.0)
    statistics.roll(START_NS + 3 * S)
    assert statistics.price_changes == 1
    assert statistics.covered_s == 2


def test_what_is_older_than_the_span_is_forgotten() -> None:
    statistics = RollingStatistics(span_s=10)
    statistics.update(START_NS, 500.0, 501.0)
    statistics.update(START_NS + S, 99.0, 101.0)
    statistics.roll(START_NS + 11 * S)
    assert (statistics.high_bid, statistics.low_ask) == (500.0, 101.0), "it stood when the oldest bucket began"
    statistics.roll(START_NS + 12 * S)
    assert (statistics.high_bid, statistics.low_ask) == (99.0, 101.0)
    assert statistics.covered_s == 10
    assert statistics.mean_mid == 100
    assert statistics.price_changes == 0


def test_volatility_is_the_root_mean_square_of_second_returns() -> None:
    statistics = RollingStatistics()
    statistics.update(START_NS, 99.99, 100.01)
    for i in range(1, 61):
        mid = 100.01 if i % 2 else 100.0
        statistics.update(START_NS + i * S - S // 2, mid - 0.01, mid + 0.01)
    statistics.roll(START_NS + 60 * S)
    assert statistics.volatility_bps_per_sqrt_s == pytest.approx(1.0, rel=1e-3)


def test_quotes_are_counted_as_the_owner_tells() -> None:
    statistics = RollingStatistics(span_s=2)
    for second in range(5):
        statistics.roll(START_NS + second * S)
        statistics.seen += 10
    assert statistics.quotes == 30, "two full buckets and the one that is not full yet"


def test_a_time_before_the_last_one_counts_as_the_last_one() -> None:
    statistics = RollingStatistics()
    statistics.update(START_NS + S // 2, 99.0, 101.0)
    statistics.update(START_NS - 3_600 * S, 199.0, 201.0)
    statistics.roll(START_NS + S)
    assert statistics.covered_s == 0.5
    assert statistics.mean_mid == 200


def test_rolling_too_early_changes_nothing() -> None:
    statistics = RollingStatistics()
    statistics.update(START_NS, 99.0, 101.0)
    due_ns = statistics.next_roll_ns
    statistics.roll(START_NS + 1)
    assert statistics.next_roll_ns == due_ns == START_NS + S
    assert statistics.covered_s == 0
