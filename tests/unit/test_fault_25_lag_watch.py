"""Fault 25: the event loop stands still. Nothing new is opened while it does, and for a while after."""

from typing import Any

import pytest

from bot.clock import Timer
from bot.engine.watches.lag_watch import LOOK_S, LagWatch
from bot.risk.gate import Cause, RiskGate, TradingState
from bot.settings.risk import RiskSettings
from tests.unit.risk_rig import Held

S = 1_000_000_000
ACTIVE, REDUCING, HALTED = TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED


class HeldClock:
    """A loop that is held up: each timer fires as late as it is told."""

    def __init__(self) -> None:
        self.now = 1_000 * S
        self.set_by = 0
        self.waiting: tuple[int, Any] | None = None

    def now_ns(self) -> int:
        return 1_700_000_000 * S + self.now + self.set_by

    def monotonic_ns(self) -> int:
        return self.now

    def call_later(self, delay_s: float, callback: Any) -> Timer:
        self.waiting = (self.now + round(delay_s * S), callback)
        return self

    def cancel(self) -> None:
        self.waiting = None

    def fire(self, late_s: float = 0.0) -> None:
        assert self.waiting is not None
        due, callback = self.waiting
        self.now = due + round(late_s * S)
        callback()


class Bench:
    def __init__(self) -> None:
        self.told: list[str] = []
        self.gate = RiskGate(
            (), Held(), max_daily_loss=1.0, max_cumulative_loss=1.0, max_throttled_per_second=1,
            on_state=lambda state, why: self.told.append(f"{state.value}: {why}"),
        )  # fmt: skip
        self.clock = HeldClock()
        settings = RiskSettings(max_loop_lag_ms=1000.0, loop_calm_s=5.0)
        self.steps: list[int] = []
        self.watch = LagWatch(
            self.gate, lambda level, text: self.told.append(text), self.clock, settings, self.steps.append
        )
        self.watch.start()

    def calm(self, seconds: float) -> None:
        for _ in range(round(seconds / LOOK_S)):
            self.clock.fire()


@pytest.mark.parametrize(("late_s", "state"), [(0.0, ACTIVE), (1.0, ACTIVE), (1.001, REDUCING), (3.0, REDUCING)])
def test_fault_25_a_loop_that_stood_still_for_more_than_a_second_opens_nothing(
    late_s: float, state: TradingState
) -> None:
    bench = Bench()
    bench.clock.fire(late_s)
    assert bench.gate.state is state
    assert bench.watch.worst_s == pytest.approx(late_s)
    assert bench.told == ([] if state is ACTIVE else [f"REDUCING: the loop stood still for {late_s:.1f} s"])


def test_fault_25_it_trades_again_after_five_calm_seconds_and_not_before() -> None:
    bench = Bench()
    bench.clock.fire(3.0)
    bench.calm(4.75)
    bench.clock.fire(2.0)
    bench.calm(4.75)
    assert bench.gate.state is REDUCING
    bench.calm(0.25)
    assert bench.gate.state is ACTIVE
    assert bench.told == [
        "REDUCING: the loop stood still for 3.0 s",
        "the loop stood still for 2.0 s",
        "ACTIVE: loop and clock are steady again",
    ]


def test_fault_25_what_a_person_asked_for_and_a_halt_are_left_alone() -> None:
    before, meanwhile, halted = Bench(), Bench(), Bench()
    before.gate.reduce(Cause.PERSON, "pause was asked for")
    before.clock.fire(3.0)
    meanwhile.clock.fire(3.0)
    meanwhile.gate.reduce(Cause.PERSON, "pause was asked for")
    halted.gate.halt("a loss")
    halted.clock.fire(3.0)
    for bench in (before, meanwhile, halted):
        bench.calm(10.0)
    assert [bench.gate.state for bench in (before, meanwhile, halted)] == [REDUCING, REDUCING, HALTED]
    assert halted.told == ["HALTED: a loss", "the loop stood still for 3.0 s"]


def test_fault_25_a_person_who_resumes_does_not_end_it() -> None:
    bench = Bench()
    bench.gate.reduce(Cause.PERSON, "paused by one")
    bench.clock.fire(3.0)
    bench.gate.resume(Cause.PERSON, "resumed by one")
    assert bench.gate.state is REDUCING
    assert bench.told[-1] == "REDUCING: resumed by one; still: the loop stood still for 3.0 s"
    bench.calm(5.0)
    assert bench.gate.state is ACTIVE


@pytest.mark.parametrize(("set_by_ns", "is_told"), [(S // 10, False), (S // 10 + 1, True), (3_600 * S, True),
                                                    (-3_600 * S, True), (-S // 10, False)])  # fmt: skip
def test_fault_22_a_clock_that_was_set_is_noticed_told_and_opens_nothing_for_a_while(
    set_by_ns: int, is_told: bool
) -> None:
    bench = Bench()
    bench.calm(1.0)
    bench.clock.set_by = set_by_ns
    bench.calm(1.0)
    assert bench.steps == ([set_by_ns] if is_told else [])
    assert bench.told == ([f"REDUCING: our clock was set by {set_by_ns / S:+.1f} s"] if is_told else [])
    bench.calm(5.0)
    assert bench.gate.state is ACTIVE


def test_fault_22_a_stall_is_no_step() -> None:
    bench = Bench()
    bench.calm(1.0)
    bench.clock.fire(3.0)
    bench.calm(1.0)
    assert bench.steps == []
