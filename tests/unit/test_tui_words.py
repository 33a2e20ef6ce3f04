from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from bot.tui.table import Column, gap_of, place
from bot.tui.totals import total_lines
from bot.tui.words import (
    align_points,
    bps,
    duration,
    kind,
    milliseconds,
    moment,
    money,
    moneys,
    pair,
    progress_bar,
    time_of_day,
    tone_of,
)


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        ("12.3", "+12.3000"),
        ("-12.34567", "-12.3457"),
        ("0", "0"),
        ("0E-8", "0"),
        ("-0.00012", "-0.00012000"),
        ("1234567.5", "+1,234,567.5000"),
    ],
)
def test_money_has_a_sign_and_enough_digits(amount: str, written: str) -> None:
    assert money(Decimal(amount)) == written


def test_assets_are_never_added_up() -> None:
    assert moneys({"USDT": Decimal(1), "BNB": Decimal("-0.5")}) == "+1.0000 USDT · -0.5000 BNB"
    assert moneys({}) == "none"


def test_what_rounds_to_zero_has_no_sign() -> None:
    assert (bps(-0.04), bps(-0.06), milliseconds(-0.3)) == ("0.0", "-0.1", "0")


def test_unknown_figures_are_a_dash_and_not_zero() -> None:
    assert (bps(None), milliseconds(None)) == ("–", "–")
    assert (bps(0.0), milliseconds(0.0)) == ("0.0", "0")
    assert (bps(-3.25, 2), milliseconds(1234.4)) == ("-3.25", "1,234")


def test_the_tone_follows_the_sign() -> None:
    assert [tone_of(value) for value in (1.0, -0.1, 0.0, None, Decimal("-1"))] == ["good", "bad", "dim", "dim", "bad"]


def test_times() -> None:
    ns = 1_723_111_203_999_999_999
    assert moment(ns) == "2024-08-08 10:00:03 UTC"
    assert time_of_day(ns) == "10:00:03"
    assert moment(10**30) == "1970-01-01 00:00:00 UTC"
    assert duration(93_784_000_000_000) == "1 d 02:03:04"
    assert duration(-1) == "00:00:00"


@given(st.floats(allow_nan=False), st.integers(4, 60))
def test_a_progress_bar_keeps_its_length(part: float, width: int) -> None:
    assert cell_len(progress_bar(part, width)) == width + 5


def test_a_full_bar_is_full_only_at_the_end() -> None:
    assert progress_bar(1.0, 4) == "━━━━ 100%"
    assert progress_bar(0.0, 4) == "┄┄┄┄   0%"
    assert progress_bar(0.375, 4) == "━╸┄┄  38%"


@pytest.mark.parametrize(
    ("buy", "sell", "written"),
    [
        ("binance:A/B:B", "bybit:A/B:B", "A/B:B binance → bybit"),
        ("binance:A/B", "binance:A/B:B", "binance A/B → A/B:B"),
        ("binance:A/B", "bybit:A/B:B", "binance A/B → bybit A/B:B"),
        ("odd", "bybit:A/B", "odd → bybit:A/B"),
    ],
)
def test_a_pair_says_common_things_once(buy: str, sell: str, written: str) -> None:
    assert pair(buy, sell) == written


@given(st.lists(st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str) | st.just("12")))
def test_points_stand_under_each_other(texts: list[str | None]) -> None:
    aligned = align_points(texts)
    assert [text.strip() for text in aligned] == ["–" if text is None else text for text in texts]
    after = {len(text) - text.index(".") for text in aligned if "." in text}
    assert len(after) <= 1


COLUMN = st.builds(
    Column, title=st.just("x"), right=st.booleans(), stretch=st.sampled_from([0, 0, 12]), rank=st.integers(0, 3)
)


@given(st.lists(st.tuples(COLUMN, st.integers(1, 40)), min_size=1, max_size=10), st.integers(1, 250))
def test_columns_fit_or_only_the_indispensable_are_left(columns: list[tuple[Column, int]], available: int) -> None:
    specs, needed = [spec for spec, _ in columns], [width for _, width in columns]
    places = place(specs, needed, available)
    shown = [index for index, _ in places]
    assert shown == sorted(shown)
    total = sum(width for _, width in places) + gap_of(available) * (len(places) - 1)
    assert total <= available or all(specs[index].rank == 0 for index in shown)
    assert {index for index, spec in enumerate(specs) if spec.rank == 0} <= set(shown)
    assert all(width <= needed[index] for index, width in places)
    assert all(width == needed[index] for index, width in places if not specs[index].stretch)


def test_totals_begin_with_the_result_and_say_whose_money_it_is() -> None:
    summary = {
        "schema_version": 1,
        "quotes": {"a": 1200, "b": 3},
        "decisions": {"taken": 1, "refused": {"net_edge": 2}},
        "why": [],
        "routes": [{"route": "r", "needed_bps": 18.18517815}],
        "pnl": {"USDT": "1.5"},
        "run_id": "r1",
        "real_money": False,
    }
    assert total_lines(summary) == [
        ("run", "r1"),
        ("real money", "no"),
        ("realised, net (paper)", "1.5  USDT"),
        ("quotes", "1,200  a"),
        ("", "3  b"),
        ("decisions", "1  taken"),
        ("", "2  refused · net edge"),
        ("why", "none"),
        ("routes", "route r · needed bps 18.1852"),
    ]
    assert ("realised, net (real)", "1.5  USDT") in total_lines(summary | {"real_money": True})
    assert total_lines(summary | {"calm_comparison": None}) == total_lines(summary)
    calm = {"line": "the same 10 s in calm: 0 pairs taken", "taken": 0, "pnl": {"USDT": "0"}}
    compared = total_lines(summary | {"calm_comparison": calm})
    assert compared[3] == ("compared", "the same 10 s in calm: 0 pairs taken")
    assert len(compared) == len(total_lines(summary)) + 1


def test_routes_that_differ_by_their_hedge_are_told_apart() -> None:
    route = "transfer:binance:BTC/USDT>bybit:BTC/USDT:bitcoin"
    assert kind("transfer", route) == "transfer"
    assert kind("transfer", f"{route}:hedge=bybit:BTC/USDT:USDT") == "transfer, hedged on bybit"
    assert kind("cash_and_carry", "cash_and_carry:a:X>b:Y") == "cash and carry"
