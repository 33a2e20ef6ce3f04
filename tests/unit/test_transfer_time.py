"""Transfer times against figures worked out by hand and by other means."""

from decimal import Decimal
from itertools import pairwise
from math import exp, inf, nan, sqrt
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.network import CHAINS, AssetNetwork
from bot.pricing.transfers import TransferTime, price_sd_bps, sendable, transfer_time

D = Decimal
BITCOIN, TRON = CHAINS["bitcoin"], CHAINS["tron"]


@pytest.mark.parametrize(("confirmations", "mean_min", "p95_min"), [(1, 10, 30), (2, 20, 47), (3, 30, 63), (4, 40, 78)])
def test_confirmations_of_a_proof_of_work_are_an_erlang_time(confirmations: int, mean_min: int, p95_min: int) -> None:
    # Half of chi-squared's 95 % quantile with 2k degrees of freedom, from its tables, in means of one block.
    time = transfer_time(BITCOIN, confirmations, 0.0)
    assert time.mean_s == mean_min * 60
    assert round(time.p95_s / 60) == p95_min
    assert time.p95_s == pytest.approx({1: 5.991, 2: 9.488, 3: 12.592, 4: 15.507}[confirmations] * 300, rel=1e-4)


def test_one_block_and_a_processing_of_the_same_mean_are_two_blocks() -> None:
    together, two = transfer_time(BITCOIN, 1, 600.0), transfer_time(BITCOIN, 2, 0.0)
    for seconds in (1.0, 300.0, 1200.0, 5000.0):
        assert together.cdf(seconds) == pytest.approx(two.cdf(seconds), abs=1e-7)


@pytest.mark.parametrize("processing_s", [1.0, 100.0, 599.0, 1100.0, 1300.0, 60_000.0])
def test_one_block_and_a_processing_by_the_closed_form(processing_s: float) -> None:
    # The sum of two exponentials of means a and b: 1 − (a·exp(−t/a) − b·exp(−t/b)) / (a − b).
    time = transfer_time(BITCOIN, 1, processing_s)
    for seconds in (10.0, 200.0, 900.0, 30_000.0):
        left = 600 * exp(-seconds / 600) - processing_s * exp(-seconds / processing_s)
        assert time.cdf(seconds) == pytest.approx(1 - left / (600 - processing_s), abs=1e-6)


def test_other_chains_keep_time() -> None:
    time = transfer_time(TRON, 20, 0.0)
    assert (time.cdf(59.999), time.cdf(60.0), time.p50_s, time.mean_s) == (0.0, 1.0, pytest.approx(60.0), 60.0)
    slower = transfer_time(TRON, 20, 100.0)
    assert slower.cdf(160.0) == pytest.approx(1 - exp(-1))


def test_the_model_against_drawing_it() -> None:
    draw = Random(5)
    times = sorted(sum(draw.expovariate(1 / 600) for _ in range(3)) + draw.expovariate(1 / 400) for _ in range(20_000))
    time = transfer_time(BITCOIN, 3, 400.0)
    assert time.mean_s == pytest.approx(2200)
    for part in (0.05, 0.5, 0.95):
        assert time.quantile(part) == pytest.approx(times[int(part * len(times))], rel=0.04)


def test_past_transfers_take_over_from_the_model() -> None:
    # w = 5 of the model's mean 660 s, and three transfers of 100, 200 and 300 s: (5·660 + 600) / 8 = 487.5.
    model = transfer_time(TRON, 20, 600.0, model_weight=5.0)
    taught = transfer_time(TRON, 20, 600.0, (300.0, 100.0, 200.0), model_weight=5.0)
    assert taught.past == (100.0, 200.0, 300.0)
    assert taught.mean_s == 487.5
    assert taught.cdf(200.0) == pytest.approx((5 * model.cdf(200.0) + 2) / 8)
    many = transfer_time(TRON, 20, 600.0, (120.0,) * 1000)
    assert many.p50_s == pytest.approx(120.0)
    assert many.p95_s == pytest.approx(120.0)


@settings(max_examples=40)
@given(
    confirmations=st.integers(0, 8), block_s=st.floats(0.1, 900), random=st.booleans(),
    processing_s=st.floats(0, 3600), past=st.lists(st.floats(1, 1e5), max_size=5),
)  # fmt: skip
def test_it_is_a_distribution(
    confirmations: int, block_s: float, random: bool, processing_s: float, past: list[float]
) -> None:
    time = TransferTime(confirmations, block_s, random, processing_s, tuple(sorted(past)))
    grid = [time.mean_s * part for part in (0, 0.25, 0.5, 1, 2, 4, 50)]
    values = [time.cdf(seconds) for seconds in grid]
    assert time.cdf(-1.0) == 0.0
    assert all(0 <= value <= 1 + 1e-12 for value in values)
    assert all(later >= earlier - 1e-6 for earlier, later in pairwise(values))
    assert 0 <= time.p50_s <= time.p95_s
    assert time.cdf(time.p95_s) >= 0.95 - 1e-6


@pytest.mark.parametrize("bad", [nan, inf, -1.0])
def test_no_distribution_is_made_of_broken_figures(bad: float) -> None:
    with pytest.raises(ValueError):
        transfer_time(TRON, 20, bad)
    with pytest.raises(ValueError):
        transfer_time(TRON, 20, 1.0, past=(bad,))
    with pytest.raises(ValueError):
        price_sd_bps(bad, 60.0)
    with pytest.raises(ValueError):
        price_sd_bps(1.0, bad)


@pytest.mark.parametrize(("minutes", "expected_bps"), [(20, 31), (40, 44)])
def test_price_risk_at_half_volatility_a_year(minutes: int, expected_bps: int) -> None:
    per_sqrt_s = 0.5 * 1e4 / sqrt(365 * 86_400)
    assert round(price_sd_bps(per_sqrt_s, minutes * 60.0)) == expected_bps


def network(**changes: object) -> AssetNetwork:
    fields = {
        "venue": "binance", "asset": "USDT", "name": "TRX", "chain": "tron", "contract": "T1", "can_deposit": True,
        "can_withdraw": True, "withdraw_fee": D(1), "min_withdraw": D(10), "step": D("0.01"), "confirmations": 20,
        "ts_ns": 1,
    } | changes  # fmt: skip
    return AssetNetwork(**fields)  # type: ignore[arg-type]


def test_what_can_be_sent() -> None:
    there = network(venue="bybit")
    assert sendable(network(), there) == (D(11), None)
    assert sendable(network(max_withdraw=D(50)), there) == (D(11), D(50))
    assert sendable(network(), network(venue="bybit", min_deposit=D(30))) == (D(31), None)
    # 20 − 1 − 5 % of 20 is 18: what arrives, and not what leaves, is what the minimum is about.
    assert sendable(network(withdraw_fee_ratio=D("0.05"), min_withdraw=D(18)), there) == (D(20), None)


@given(fee=st.decimals(D(0), D(5), places=3), ratio=st.decimals(D(0), D("0.9"), places=3))
def test_of_the_least_amount_the_minimum_arrives(fee: Decimal, ratio: Decimal) -> None:
    source = network(withdraw_fee=fee, withdraw_fee_ratio=ratio)
    least, _ = sendable(source, network(venue="bybit"))
    assert least - source.fee(least) == pytest.approx(D(10), rel=D("1e-20"))
