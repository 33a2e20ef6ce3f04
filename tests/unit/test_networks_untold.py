"""One line before the first decision says why no route with a transfer is taken, and what makes them known."""

from dataclasses import replace

import pytest

from bot.engine.run_words import opening_lines
from bot.engine.snapshot import why_not
from bot.ports import NoTerms
from tests.unit.engine_chain_bench import BTC, CROSS, ETH, SENT, THERE, Bench, Ways


def lines_of(bench: Bench, market: str) -> list[str]:
    info = replace(bench.engine.run, market=market)
    return [line for line in opening_lines(bench.engine, info, {}, {}, ()) if line.startswith("networks")]


def test_who_has_no_account_is_told_why_nothing_is_sent_and_what_to_do() -> None:
    bench = Bench((BTC, THERE), ("transfer", "inventory"), terms=NoTerms())
    assert lines_of(bench, "live") == [
        "networks between binance, bybit are not known: 2 routes that send an amount are refused; 2 that bring stocks "
        "back are refused, unless arbitrage.assumed_rebalancing_bps is set. Why: venues tell them to accounts alone; "
        "with keys and --shadow they are known (docs/actions.md)"
    ]
    (recorded,) = lines_of(bench, "recorded")
    assert recorded.endswith("Why: a recording holds none"), "no key would help"


def test_a_route_says_the_same_of_itself() -> None:
    bench = Bench((BTC, THERE), ("transfer",))
    bench.warm()
    (state,) = [one for one in bench.engine.routes if one.route.id == SENT]
    assert why_not(state) == "a transfer's networks are not known: venues tell them to accounts alone"


@pytest.mark.parametrize("shut", [None, "bitcoin: deposits are suspended"])
def test_what_is_known_or_known_to_be_closed_needs_no_line(shut: str | None) -> None:
    ways = Ways()
    ways.shut = shut
    assert lines_of(Bench((BTC, THERE), ("transfer", "inventory"), terms=ways), "live") == []


def test_routes_that_send_nothing_need_none() -> None:
    assert lines_of(Bench((BTC, CROSS, ETH)), "live") == []
