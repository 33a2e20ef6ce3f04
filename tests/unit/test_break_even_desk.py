"""The surface beside an engine: its own limits, venues without orders, and one line when the limit changes."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from bot.domain.fees import FeeTier
from bot.domain.instrument import Feed
from bot.domain.snapshot import SizeRow, SurfaceRow
from bot.engine.break_even import BreakEvenDesk
from bot.engine.engine import Engine, RunInfo
from bot.engine.snapshot import take_snapshot
from bot.risk.gate import Cause, TradingState
from strategies.arbitrage.settings import ArbitrageSettings
from strategies.arbitrage.strategy import ArbitrageStrategy
from tests.unit.test_engine_decisions import LINEAR, MS, START_MS, THERE, Bench

D = Decimal
GOOD = ("1003.41", "1003.61")


def desk(bench: Bench, tiers: dict[Feed, Sequence[FeeTier]] | None = None) -> tuple[BreakEvenDesk, list[str]]:
    log: list[str] = []
    return BreakEvenDesk(bench.engine, bench.clock, tiers or {}, lambda level, text: log.append(text)), log


def there(rows: Sequence[SurfaceRow]) -> list[SizeRow]:
    return list(next(row for row in rows if row.route == THERE).sizes)


def surface(bench: Bench, **more: Any) -> list[SizeRow]:
    made, _ = desk(bench, **more)
    return there(made.rows(bench.clock.now_ns()))


def test_before_anything_is_known_the_limit_is_said() -> None:
    assert {size.limit for size in surface(Bench())} == {"warm_up"}


def test_every_size_says_what_stands_in_its_way() -> None:
    bench = Bench(break_even={"notionals": [10, 1_000, 4_000, 100_000]}, risk={"max_order_notional": 1_000})
    bench.warm()
    bench.new()
    bench.linear(2_050, *GOOD)  # taken: the pair is open, and nothing new is opened beside it
    small, good, large, beyond = surface(bench)
    # 0.0099 of it, on a lot of 0.001: below the perpetual's 20 USDT.
    assert (small.limit, small.quantity) == ("size", "0")
    assert good.missing_bps is not None
    assert good.missing_bps < 0
    assert good.limit == "pair_on_route"
    assert large.net_bps == pytest.approx(good.net_bps)
    assert beyond.limit == "depth"
    assert "5000.5" in beyond.why_not, "five coins at 1000.10"


def test_the_gates_caps_are_named_without_a_trace() -> None:
    bench = Bench(break_even={"notionals": [4_000]}, arbitrage={"min_net_edge_bps": 1.0})
    bench.warm()
    bench.engine.desk.gate.reduce(Cause.PERSON, "the test")
    bench.linear(2_050, *GOOD)
    bench.engine.desk.gate.resume(Cause.PERSON, "the test")
    state = bench.engine.desk.gate.state
    assert [size.limit for size in surface(bench)] == ["order_notional"]
    assert bench.engine.desk.gate.state is state is TradingState.ACTIVE


def test_the_tier_at_which_a_size_would_trade_and_what_would_be_in_the_way_there() -> None:
    tiers = {LINEAR.feed: [FeeTier(name="VIP 9", maker_bps=D(0), taker_bps=D(1), as_of="2026", url="here")]}
    bench = Bench(break_even={"notionals": [500, 4_000]})
    bench.warm()
    bench.linear(2_050, "1002.90", "1003.10")
    small, large = surface(bench, tiers=tiers)
    assert (small.limit, small.trades_at, small.then) == ("net_edge", {"binance.linear": "VIP 9"}, "")
    assert small.tier_words == "binance.linear VIP 9"
    assert large.trades_at == {"binance.linear": "VIP 9"}
    assert large.tier_words.startswith("binance.linear VIP 9, but for order notional 4")


def test_the_snapshot_carries_it_and_is_priced_anew_only_after_a_while() -> None:
    bench = Bench(break_even={"refresh_s": 2.0})
    bench.warm()
    made, _ = desk(bench)
    first = made.rows(bench.clock.now_ns())
    assert made.rows(bench.clock.now_ns() + 1_999_999_999) == first
    bench.linear(2_050, "1002.90", "1003.10")
    later = made.rows(bench.clock.now_ns() + 2_000_000_000)
    assert there(later)[0].offered_bps != there(first)[0].offered_bps
    shown = take_snapshot(bench.engine, bench.clock.now_ns(), bench.printed, progress=None, finished=False,
                          surface=later)  # fmt: skip
    assert shown.surface == later
    assert {limit.limit for limit in shown.limits} >= {"open_pairs", "venue_notional binance", "net_exposure ETH"}
    assert shown.pairs == ()
    bench.linear(2_100, *GOOD)
    shown = take_snapshot(bench.engine, bench.clock.now_ns(), bench.printed, progress=None, finished=False)
    assert [(pair.route, pair.state) for pair in shown.pairs] == [(THERE, "opening")]
    used = {limit.limit: limit.observed for limit in shown.limits}
    assert used["open_pairs"] == 1
    assert used["venue_notional binance"] > 1_900


def test_a_line_when_the_limit_of_the_best_route_changes_and_at_most_one_a_minute() -> None:
    bench = Bench()
    made, log = desk(bench)
    made.start()
    bench.spot(0, "999.90", "1000.10")
    bench.warm(6_000)
    assert len(log) == 1
    assert "net edge" in log[0]
    assert "needs" in log[0]
    for at_ms in range(7_000, 130_001, 1_000):
        # From second to second one side has no quote, and has one again.
        if at_ms % 2_000:
            bench.linear(at_ms, "1010.00", "1003.00")
        else:
            bench.linear(at_ms, "999.90", "1000.10")
        bench.spot(at_ms, "999.90", "1000.10")
    assert 2 <= len(log) <= 3, log
    made.stop()
    bench.clock.advance_to((START_MS + 300_000) * MS)
    assert len(log) <= 3


def test_a_venue_without_orders_is_priced_and_its_routes_are_not_taken() -> None:
    bench = Bench()
    assert all(slot.takes_orders for slot in bench.engine.slots)

    own = ArbitrageSettings(exit_basis="converged", warmup_s=0.5, adverse_moves=False)
    engine = Engine(
        run=RunInfo("run", "arbitrage", "simulated", False, "digest", "0"), instruments=bench.instruments,
        strategy=ArbitrageStrategy(own), venue=bench.paper, journal=bench.journal, clock=bench.clock,
        settings=bench.engine.settings, fees=bench.engine.fees, assumed_funding_bps_per_8h={LINEAR.feed: 0.0},
        log=lambda level, text: None, no_orders_at={"binance"},
    )  # fmt: skip
    assert [slot.takes_orders for slot in engine.slots] == [False, False]
    assert all(state.watch.not_executable == (1.0, 0.0, "venues without orders") for state in engine.routes)  # type: ignore[attr-defined]
