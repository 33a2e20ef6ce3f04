"""The real watches, a person and the gate between them: owners of a cause come and go in any order, and halts come.

The state is the worst of what stands: never ACTIVE while one cause does, ACTIVE again with the last, HALTED for good.
"""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bot.clock import Timer
from bot.control.messages import Command
from bot.engine.person import Person
from bot.engine.watches.lag_watch import LOOK_S, LagWatch
from bot.engine.watches.storage_watch import StorageWatch
from bot.risk.gate import Approved, Cause, RiskGate, TradingState
from bot.settings import JournalSettings
from bot.settings.risk import RiskSettings
from tests.unit.risk_rig import Held, proposal

S = 1_000_000_000
OTHERS = st.sampled_from([Cause.ACCOUNT, Cause.PAPER])
"""Whose owners are tried elsewhere, with venues and with another desk: here they speak to the gate themselves."""


class LateClock:
    """Time passes where it is told to, and a loop that stands still fires what is due only afterwards."""

    def __init__(self) -> None:
        self.now = 1_000 * S
        self.waiting: list[tuple[int, Callable[[], None]]] = []

    def now_ns(self) -> int:
        return 1_700_000_000 * S + self.now

    def monotonic_ns(self) -> int:
        return self.now

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        self.waiting.append((self.now + round(delay_s * S), callback))
        return self

    def cancel(self) -> None:
        """Nobody stops here."""

    def stall(self, seconds: float) -> None:
        self.now += round(seconds * S)
        self.run_due()

    def calm(self, seconds: float) -> None:
        end = self.now + round(seconds * S)
        while self.waiting and (at := min(due for due, _ in self.waiting)) <= end:
            self.now = max(self.now, at)
            self.run_due()
        self.now = end

    def run_due(self) -> None:
        due = [one for one in self.waiting if one[0] <= self.now]
        self.waiting = [one for one in self.waiting if one[0] > self.now]
        for _, callback in due:
            callback()


class CausesMachine(RuleBasedStateMachine):
    """What stands is counted here by hand, and compared with the gate after every step."""

    @initialize()
    def begin(self) -> None:
        self.clock = LateClock()
        self.told: list[TradingState] = []
        self.gate = RiskGate(
            (), Held(), max_daily_loss=1.0, max_cumulative_loss=1.0, max_throttled_per_second=1,
            on_state=lambda state, why: self.told.append(state),
        )  # fmt: skip
        self.disk: Any = SimpleNamespace(failed=None, is_lost=False, dropped=None, behind_s=lambda: self.behind)
        self.behind = 0.0
        StorageWatch(
            self.disk, Path("/data"), self.gate, _nobody, self.clock, JournalSettings(), lambda path: 10**12
        ).start()
        LagWatch(self.gate, _nobody, self.clock, RiskSettings(loop_calm_s=5.0), lambda step_ns: None).start()
        desk: Any = SimpleNamespace(gate=self.gate)
        self.person = Person(desk, [], None, _nobody, self.clock, lambda: None)
        self.standing: set[Cause] = set()
        self.calm_ns = 0
        self.is_halted = False

    @rule(failed=st.sampled_from([None, "the disk is full"]), behind=st.sampled_from([0.0, 0.9, 1.1, 30.0]))
    def disk_fares(self, failed: str | None, behind: float) -> None:
        """Seen within a second; the loop is calm meanwhile."""
        self.disk.failed, self.behind = failed, behind
        self.time_passes(1.0)
        if failed is not None or behind > 1.0:
            self.standing.add(Cause.DISK)
        else:
            self.standing.discard(Cause.DISK)

    @rule(seconds=st.sampled_from([1.5, 2.0, 60.0]))
    def loop_stalls(self, seconds: float) -> None:
        self.clock.stall(seconds)
        self.standing.add(Cause.LOOP)
        self.calm_ns = self.clock.now + 5 * S

    @rule(seconds=st.sampled_from([0.25, 1.0, 4.75, 6.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.calm(seconds)
        if self.clock.now >= self.calm_ns + 2 * LOOK_S * S:
            self.standing.discard(Cause.LOOP)
        elif self.clock.now >= self.calm_ns and Cause.LOOP not in self.gate.causes:
            self.standing.discard(Cause.LOOP)  # it may be seen a look later, and not before

    @rule(word=st.sampled_from(["pause", "resume"]))
    def person_asks(self, word: str) -> None:
        self.person.on_command(Command.model_validate({"command": word, "by": "somebody"}))
        if word == "pause":
            self.standing.add(Cause.PERSON)
        else:
            self.standing.discard(Cause.PERSON)

    @rule(cause=OTHERS, why=st.sampled_from(["one", "two"]))
    def another_comes(self, cause: Cause, why: str) -> None:
        self.gate.reduce(cause, why)
        self.standing.add(cause)

    @rule(cause=OTHERS)
    def another_goes(self, cause: Cause) -> None:
        self.gate.resume(cause, "gone")
        self.standing.discard(cause)

    @precondition(lambda self: not self.is_halted and len(self.told) > 12)
    @rule()
    def something_halts(self) -> None:
        self.gate.halt("trouble")
        self.is_halted = True

    @invariant()
    def the_state_is_the_worst_of_what_stands(self) -> None:
        if not hasattr(self, "gate"):
            return
        assert set(self.gate.causes) == self.standing
        worst = TradingState.REDUCING if self.standing else TradingState.ACTIVE
        assert self.gate.state is (TradingState.HALTED if self.is_halted else worst)
        assert isinstance(self.gate.check(proposal()), Approved) is (self.gate.state is TradingState.ACTIVE)

    @invariant()
    def whoever_listens_knows_it(self) -> None:
        if hasattr(self, "gate"):
            assert (self.told or [TradingState.ACTIVE])[-1] is self.gate.state


def _nobody(level: str, text: str) -> None:
    """Nobody reads it here."""


TestCauses = CausesMachine.TestCase
