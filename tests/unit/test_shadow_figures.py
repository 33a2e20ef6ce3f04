"""What a comparison says: signs, parts that sum to the whole, distributions, and when nothing is said."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.shadow import LEAST_FILLS, ShadowFill, by_group, figures, spread


def row(**told: Any) -> ShadowFill:
    values: dict[str, Any] = {
        "ts_ns": 1, "pair": "p-1", "twin": "ps-1", "route": "r", "instrument": "binance:BTC/USDT:USDT", "phase": "open",
        "side": "buy", "is_maker": False, "paper_order": "p-1-1", "real_order": "ps-1-1",
        "paper_quantity": Decimal("0.02"), "real_quantity": Decimal("0.001"), "paper_share": 1.0, "real_share": 1.0,
        "paper_price": Decimal(100), "same_size_price": Decimal(100), "real_price": Decimal(100), "paper_fee_bps": 5.0,
        "real_fee_bps": 5.0, "paper_latency_ms": 40.0, "real_latency_ms": 100.0, "reason": "",
    }  # fmt: skip
    return ShadowFill(**values | told)


@pytest.mark.parametrize(
    ("side", "real", "bps"), [("buy", "100.05", 5.0), ("sell", "99.95", 5.0), ("sell", "101", -100.0)]
)
def test_a_worse_real_price_is_positive_on_either_side(side: str, real: str, bps: float) -> None:
    found = row(side=side, real_price=Decimal(real))
    assert found.price_bps == pytest.approx(bps)
    assert found.too_good_bps == pytest.approx(bps)


prices = st.decimals(min_value="0.01", max_value="100000", places=4)


@given(side=st.sampled_from(["buy", "sell"]), paper=prices, same=prices, real=prices)
def test_model_and_size_sum_to_the_whole_difference(side: str, paper: Decimal, same: Decimal, real: Decimal) -> None:
    found = row(side=side, paper_price=paper, same_size_price=same, real_price=real)
    assert found.price_bps is not None
    assert found.model_bps is not None
    assert found.size_bps is not None
    assert found.price_bps == pytest.approx(found.model_bps + found.size_bps, rel=1e-9, abs=1e-6)


def test_a_deeper_paper_fill_is_told_as_size_and_not_as_the_model() -> None:
    found = row(paper_price=Decimal("100.10"), same_size_price=Decimal(100), real_price=Decimal(100))
    assert found.model_bps == 0
    assert found.size_bps == pytest.approx(-9.99, abs=0.001)
    assert found.too_good_bps == 0


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        ({}, "filled"),
        ({"real_share": 0.4}, "partial"),
        ({"real_share": 0.0, "real_price": None}, "missed"),
        ({"real_order": None, "real_price": None}, "no order"),
        ({"paper_price": None, "paper_share": 0.0}, "real only"),
        ({"paper_share": 0.5, "real_share": 0.5}, "filled"),
    ],
)
def test_what_became_of_the_two_has_a_name(told: dict[str, Any], outcome: str) -> None:
    assert row(**told).outcome == outcome


def test_fee_and_latency_are_real_less_paper() -> None:
    found = row(real_fee_bps=5.5)
    assert (found.fee_bps, found.latency_ms) == (0.5, 60.0)
    assert row(real_fee_bps=None).too_good_bps is None


def test_nothing_is_said_of_fewer_than_five_fills() -> None:
    few = [row(real_price=Decimal("100.05"))] * (LEAST_FILLS - 1)
    assert figures(few).verdict == ""
    assert figures([*few, row(real_price=None, real_share=0.0)]).verdict == "", "a missed one has no price to compare"
    enough = figures([*few, row(real_price=Decimal("100.05"), real_share=0.5)])
    assert (
        enough.verdict == "paper is too good by 5.00 bps on average (n=5); of what paper filled, real orders filled 90%"
    )
    assert figures([row(real_price=Decimal("99.99"))] * 5).verdict.startswith("paper is too bad by 1.00 bps on average")
    assert figures([row()] * 5).verdict.startswith("paper is as good as real (n=5)")


def test_groups_are_counted_apart() -> None:
    rows = [row(), row(instrument="bybit:BTC/USDT:USDT", real_price=Decimal("100.02"))]
    found = by_group(rows, lambda one: one.venue)
    assert list(found) == ["binance", "bybit"]
    assert found["bybit"].model_bps is not None
    assert found["bybit"].model_bps.worst == pytest.approx(2.0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_quantiles_lie_in_order_between_the_extremes(values: list[float]) -> None:
    found = spread([*values, None])
    assert found is not None
    assert found.n == len(values)
    assert min(values) <= found.p10 <= found.p50 <= found.p90 <= found.worst == max(values)
    assert found.p50 == pytest.approx(spread_median(values), rel=1e-9, abs=1e-9)


def spread_median(values: list[float]) -> float:
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2
