"""Funding schedules: settlements worked out by hand, and what the venues' answers must be to be believed."""

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.domain.funding_terms import FundingTerms
from bot.errors import VenueUnavailable
from exchanges.binance import shipped as binance_shipped
from exchanges.binance.endpoints import LINEAR as BINANCE_LINEAR
from exchanges.binance.funding import funding_terms as of_binance
from exchanges.bybit import shipped as bybit_shipped
from exchanges.bybit.funding import funding_terms as of_bybit
from exchanges.bybit.normalize import LINEAR as BYBIT_LINEAR

SHARED = Path(os.environ.get("CRYPTO_PIPE_SHARED", Path(__file__).parents[3] / "shared"))
NS = 1_000_000_000
HOUR = 3600 * NS
NOW = 1_700_000_000 * NS
BTC = {"BTCUSDT": binance_shipped.INSTRUMENTS[BINANCE_LINEAR]["BTCUSDT"]}
BYBIT_BTC = {"BTCUSDT": bybit_shipped.INSTRUMENTS[BYBIT_LINEAR]["BTCUSDT"]}


def terms(**changes: Any) -> FundingTerms:
    fields = {"rate": 0.0001, "interval_s": 28_800.0, "next_funding_ns": NOW + HOUR, "ts_ns": NOW} | changes
    return FundingTerms(**fields)


def test_settlements_of_unequal_intervals() -> None:
    eight, four = terms(), terms(interval_s=14_400.0)
    day = NOW + 24 * HOUR
    assert [(at - NOW) / HOUR for at in eight.settlements(NOW, day)] == [1, 9, 17]
    assert [(at - NOW) / HOUR for at in four.settlements(NOW, day)] == [1, 5, 9, 13, 17, 21]
    # Not one that is due at the start; one that is due at the end.
    assert [(at - NOW) / HOUR for at in eight.settlements(NOW + HOUR, NOW + 9 * HOUR)] == [9]
    assert eight.settlements(NOW, NOW + HOUR - 1) == ()


@given(after_h=st.floats(0, 100), hours=st.floats(0, 100), interval_h=st.sampled_from([1, 2, 4, 8]))
def test_settlements_are_the_schedule_and_nothing_else(after_h: float, hours: float, interval_h: int) -> None:
    one = terms(interval_s=interval_h * 3600.0)
    after, until = NOW + round(after_h * HOUR), NOW + round((after_h + hours) * HOUR)
    expected = [at for k in range(250) if after < (at := one.next_funding_ns + k * interval_h * HOUR) <= until]
    assert list(one.settlements(after, until)) == expected


def test_a_rate_within_its_bounds() -> None:
    assert terms(rate=0.01, cap=0.003, floor=-0.003).bounded_rate == 0.003
    assert terms(rate=-0.01, cap=0.003, floor=-0.003).bounded_rate == -0.003
    assert terms(rate=0.01).bounded_rate == 0.01
    # 1 bp in 4 h is a quarter of a basis point per hour.
    assert terms(interval_s=14_400.0).bps_per_h == pytest.approx(0.25)


@pytest.mark.parametrize(
    "changes",
    [
        {"rate": float("nan")}, {"rate": 0.2}, {"interval_s": 0.0}, {"interval_s": 90_000.0}, {"next_funding_ns": 0},
        {"next_funding_ns": NOW + 9 * HOUR}, {"next_funding_ns": NOW - 8 * HOUR}, {"cap": -0.01, "floor": 0.01},
        {"cap": float("inf")}, {"mark_price": 0.0}, {"interval_s": 1800.0},
    ],
)  # fmt: skip
def test_terms_that_cannot_be(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        terms(**changes)


def premium(**changes: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT", "markPrice": "61000.5", "lastFundingRate": "0.00010000",
        "nextFundingTime": (NOW + HOUR) // 1_000_000, "time": NOW // 1_000_000,
    } | changes  # fmt: skip


def schedule(**changes: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT", "adjustedFundingRateCap": "0.003", "adjustedFundingRateFloor": "-0.003",
        "fundingIntervalHours": 4,
    } | changes  # fmt: skip


def test_binance_tells_rate_interval_and_bounds() -> None:
    told = of_binance(BTC, [premium()], [schedule()], NOW)
    (one,) = told.values.values()
    assert told.wrong == {}
    assert (one.rate, one.interval_s, one.cap, one.floor) == (0.0001, 14_400.0, 0.003, -0.003)
    assert (one.mark_price, one.next_funding_ns) == (61000.5, NOW + HOUR)


def test_binance_lists_only_what_was_adjusted() -> None:
    told = of_binance(BTC, [premium()], [schedule(symbol="ETHUSDT")], NOW)
    (one,) = told.values.values()
    assert (one.interval_s, one.cap, one.floor) == (28_800.0, None, None)


def test_a_symbol_that_binance_stopped_to_stamp_is_refused() -> None:
    other = premium(symbol="ETHUSDT", time=NOW // 1_000_000 + 300_001)
    told = of_binance(BTC, [premium(), other], [schedule()], NOW)
    assert told.values == {}
    assert "minutes behind" in told.wrong["binance:BTC/USDT:USDT"]
    in_time = premium(symbol="ETHUSDT", time=NOW // 1_000_000 + 300_000)
    assert of_binance(BTC, [premium(), in_time], [schedule()], NOW).wrong == {}


@pytest.mark.parametrize("premiums", [[], [premium(symbol="ETHUSDT")], [7]])
def test_a_symbol_that_binance_leaves_out_is_named(premiums: list[Any]) -> None:
    told = of_binance(BTC, premiums, [schedule()], NOW)
    assert (told.values, told.wrong) == ({}, {"binance:BTC/USDT:USDT": "not in the answer"})


@pytest.mark.parametrize(("premiums", "schedules"), [({}, [schedule()]), ([premium()], {}), ([premium()], [])])
def test_an_answer_of_binance_that_is_none(premiums: Any, schedules: Any) -> None:
    with pytest.raises(VenueUnavailable):
        of_binance(BTC, premiums, schedules, NOW)


_ODD = ["", None, "NaN", "x", [], {}]


@pytest.mark.parametrize("value", _ODD)
@pytest.mark.parametrize("field", ["lastFundingRate", "nextFundingTime", "markPrice", "time"])
def test_an_odd_field_of_binance_is_refused_and_never_zero(field: str, value: Any) -> None:
    told = of_binance(BTC, [premium(**{field: value})], [schedule()], NOW)
    assert told.values == {}
    assert field in told.wrong["binance:BTC/USDT:USDT"]


@pytest.mark.parametrize("value", _ODD)
@pytest.mark.parametrize("field", ["fundingIntervalHours", "adjustedFundingRateCap", "adjustedFundingRateFloor"])
def test_an_odd_schedule_of_binance_is_not_taken_for_the_usual_one(field: str, value: Any) -> None:
    told = of_binance(BTC, [premium()], [schedule(**{field: value})], NOW)
    assert told.values == {}
    assert field in told.wrong["binance:BTC/USDT:USDT"]


def ticker(**changes: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT", "markPrice": "61000.5", "fundingRate": "-0.0002", "fundingIntervalHour": "8",
        "nextFundingTime": str((NOW + HOUR) // 1_000_000),
    } | changes  # fmt: skip


def info(**changes: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT", "fundingInterval": 480, "upperFundingRate": "0.00333", "lowerFundingRate": "-0.00333",
    } | changes  # fmt: skip


def test_bybit_tells_rate_interval_and_bounds() -> None:
    told = of_bybit(BYBIT_BTC, [ticker()], [info()], NOW)
    (one,) = told.values.values()
    assert (one.rate, one.interval_s, one.cap, one.floor) == (-0.0002, 28_800.0, 0.00333, -0.00333)
    older = {name: value for name, value in ticker().items() if name != "fundingIntervalHour"}
    assert of_bybit(BYBIT_BTC, [older], [info()], NOW).values == told.values


@pytest.mark.parametrize("value", _ODD)
@pytest.mark.parametrize(
    "field",
    ["fundingRate", "nextFundingTime", "markPrice", "fundingInterval", "upperFundingRate", "lowerFundingRate"],
)
def test_an_odd_field_of_bybit_is_refused_and_never_zero(field: str, value: Any) -> None:
    in_ticker = field in ticker()
    told = of_bybit(
        BYBIT_BTC,
        [ticker(**({field: value} if in_ticker else {}))],
        [info(**({} if in_ticker else {field: value}))],
        NOW,
    )
    assert told.values == {}
    assert field in told.wrong["bybit:BTC/USDT:USDT"]


def test_two_words_of_bybit_that_do_not_agree() -> None:
    told = of_bybit(BYBIT_BTC, [ticker(fundingIntervalHour="4")], [info()], NOW)
    assert "different funding intervals" in told.wrong["bybit:BTC/USDT:USDT"]


@pytest.mark.parametrize(("tickers", "infos"), [([], [info()]), ([ticker()], [])])
def test_a_symbol_that_bybit_leaves_out_is_named(tickers: list[Any], infos: list[Any]) -> None:
    assert of_bybit(BYBIT_BTC, tickers, infos, NOW).wrong == {"bybit:BTC/USDT:USDT": "not in the answer"}


def _documented(path: str) -> Any:
    file = SHARED / "fixtures" / "jkorf" / path
    if not file.exists():
        pytest.skip(f"the documented payload {path} is not here")
    return json.loads("\n".join(file.read_text().splitlines()[3:]))


def test_the_shapes_that_the_venues_document() -> None:
    folder = "Binance/Endpoints/UsdFutures/ExchangeData"
    row = _documented(f"{folder}/GetMarkPrice.txt")
    told = of_binance(BTC, [row], _documented(f"{folder}/GetFundingInfo.txt"), row["time"] * 1_000_000)
    (one,) = told.values.values()
    assert (one.rate, one.interval_s) == (0.00038246, 28_800.0)
    info_rows = _documented("Bybit/Endpoints/V5Api/ExchangeData/GetLinearInverseSymbols.txt")["result"]["list"]
    tick = _documented("Bybit/Endpoints/V5Api/ExchangeData/GetLinearInverseTickers.txt")["result"]["list"][0]
    at = 1_672_376_496_682 * 1_000_000
    told = of_bybit(BYBIT_BTC, [tick | {"symbol": "BTCUSDT"}], info_rows, at)
    (one,) = told.values.values()
    assert (one.rate, one.cap, Decimal(str(one.interval_s))) == (-0.001034, 0.00375, Decimal("28800.0"))
