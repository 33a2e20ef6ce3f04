"""Fault 22: somebody sets the clock by an hour while the engine runs. It notices, forgets what was dated, trades on."""

import pytest

from bot.clock import VirtualClock
from bot.domain.instrument import Feed
from bot.domain.route import Outcome
from bot.engine.watches.lag_watch import LagWatch
from bot.risk.gate import TradingState
from tests.unit import test_engine_decisions
from tests.unit.test_engine_decisions import EVEN, MS, START_MS, Bench

HOUR_MS = 3_600_000


class SetClock(VirtualClock):
    """Its wall time can be set; what is monotonic, and the timers, go on."""

    set_by_ns = 0

    def now_ns(self) -> int:
        return super().now_ns() + self.set_by_ns


class SetBench(Bench):
    """Frames are received by the clock's wall time, and made by the venue's, which nobody has set."""

    def frame(self, at_ms: float, feed: Feed, raw: str | bytes) -> None:
        self.clock.advance_to(START_MS * MS + round(at_ms * MS))
        received_ns = self.clock.now_ns()
        self.decoders[feed].on_frame(raw.encode() if isinstance(raw, str) else raw, received_ns)
        self.engine.on_batch_end(received_ns)

    def both(self, at_ms: int, bid: str = "999.90", ask: str = "1000.10") -> None:
        self.spot(at_ms, *EVEN)
        self.linear(at_ms + 1, bid, ask)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> SetBench:
    monkeypatch.setattr(test_engine_decisions, "VirtualClock", SetClock)
    bench = SetBench(arbitrage={"max_holding_s": 20.0, "exit_edge_bps": -1000.0})
    engine = bench.engine
    LagWatch(engine.desk.gate, engine.event, bench.clock, engine.settings.risk, engine.on_clock_step).start()
    for at_ms in range(0, 2_001, 100):
        bench.both(at_ms)
    return bench


@pytest.mark.parametrize("set_by_ms", [HOUR_MS, -HOUR_MS])
def test_fault_22_a_clock_that_is_set_stops_the_trade_for_seconds_and_not_for_the_hour(
    bench: SetBench, set_by_ms: int
) -> None:
    bench.both(2_100, "1010.00", "1010.20")
    assert bench.engine.decisions.taken == 1
    clock, gate = bench.clock, bench.engine.desk.gate
    assert isinstance(clock, SetClock)
    for at_ms in range(2_200, 40_000, 100):
        if at_ms == 5_000:
            clock.set_by_ns = set_by_ms * MS
        if at_ms == 5_300:
            assert gate.state is TradingState.REDUCING
            assert bench.engine.slots[0].statistics.covered_s < 1.0, "the means begin anew"
        bench.both(at_ms, "1010.00", "1010.20")
    assert any(f"our clock was set by {set_by_ms / 1e3:+.1f} s" in line for line in bench.log)
    taken = [decision.ts_ns for decision in bench.decisions if decision.outcome is Outcome.TAKEN]
    closed = [decision for decision in bench.decisions if decision.outcome is Outcome.CLOSED]
    assert closed[0].reason == "max_holding"
    held_ns = closed[0].ts_ns - set_by_ms * MS - taken[0]
    # Set forward, a pair may be found too old in the moment before it is noticed; set back, it is not held for longer.
    assert (2_900 if set_by_ms > 0 else 20_000) * MS - 2 * MS <= held_ns < 21_100 * MS
    assert len(taken) >= 2, "it trades on"
    assert gate.state is TradingState.ACTIVE


def test_fault_22_no_quote_from_before_the_step_is_traded_on(bench: SetBench) -> None:
    clock = bench.clock
    assert isinstance(clock, SetClock)
    clock.set_by_ns = -HOUR_MS * MS
    clock.advance_to((START_MS + 2_300) * MS)
    assert [slot.quote for slot in bench.engine.slots] == [None, None]
    assert {slot.refused for slot in bench.engine.slots} == {"clock_step"}


@pytest.mark.parametrize("set_by_ms", [HOUR_MS, -HOUR_MS])
def test_fault_22_a_route_rests_for_as_long_as_it_did(bench: SetBench, set_by_ms: int) -> None:
    clock, engine = bench.clock, bench.engine
    assert isinstance(clock, SetClock)
    route = engine.routes[0]
    route.rest_until_ns = clock.now_ns() + 1_000 * MS
    clock.set_by_ns = set_by_ms * MS
    engine.on_clock_step(set_by_ms * MS)
    assert route.rest_until_ns - clock.now_ns() == 1_000 * MS
