"""Fault 58 on the real engine: whatever breaks what the kill switch looks at, trading halts."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from bot.risk.gate import TradingState
from tests.unit.test_engine_decisions import MS, START_MS, Bench, in_position


def raises(*_: object) -> float:
    raise ZeroDivisionError("no result")


def not_a_number(*_: object) -> float:
    return float("nan")


def infinite(*_: object) -> float:
    return float("inf")


def unknown(*_: object) -> None:
    return None


def loss(*_: object) -> Decimal:
    return Decimal(-1_000_000)


@pytest.mark.parametrize("figure", ["realised_today", "realised_total"])
@pytest.mark.parametrize("broken", [raises, not_a_number, infinite, unknown, loss])
def test_fault_58_a_result_that_cannot_be_told_halts_within_a_second(
    figure: str, broken: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench()
    bench.warm()
    assert bench.engine.desk.gate.state is TradingState.ACTIVE
    monkeypatch.setattr(bench.engine.desk.portfolio, figure, broken)
    bench.clock.advance_to(bench.clock.now_ns() + 1_000 * MS)
    assert bench.engine.desk.gate.state is TradingState.HALTED
    bench.spot(4_500, "999.90", "1000.10")
    bench.linear(4_500, "1010.00", "1010.20")
    assert bench.engine.decisions.taken == 0


def test_fault_58_halted_so_it_still_closes_what_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = in_position()
    monkeypatch.setattr(bench.engine.desk.portfolio, "realised_total", raises)
    bench.clock.advance_to((START_MS + 3_000) * MS)
    assert bench.engine.desk.gate.state is TradingState.HALTED
    bench.spot(3_000, "999.90", "1000.10")
    for at_ms in (3_000, 3_030, 3_050):
        bench.linear(at_ms, "999.80", "1000.00")
    assert not bench.engine.desk.executor.pairs
