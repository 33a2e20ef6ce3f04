"""The gate's states, its halts, and that nothing passes it unasked."""

import ast
from collections.abc import Callable
from decimal import Decimal
from math import inf, nan
from pathlib import Path

import pytest

from bot.domain.route import Opportunity
from bot.errors import InvariantError, StorageError
from bot.risk import limits
from bot.risk.gate import Approved, Cause, RiskGate, TradingState
from bot.risk.limits import Refused, all_limits
from bot.settings import Settings
from tests.unit.risk_rig import NOW, ROUTE, A, Held, linear, proposal, route

BOT = Path(__file__).parents[2] / "bot"


class States(list[tuple[TradingState, str]]):
    def __call__(self, state: TradingState, why: str) -> None:
        self.append((state, why))


def gate(held: Held, states: States | None = None, **change: int) -> RiskGate:
    return RiskGate(
        all_limits(Settings()),
        held,
        max_daily_loss=50.0,
        max_cumulative_loss=80.0,
        max_throttled_per_second=change.get("throttled", 1000),
        on_state=States() if states is None else states,
    )


def opportunity(**change: object) -> Opportunity:
    made = Opportunity(
        route=ROUTE,
        ts_ns=NOW,
        quantity=Decimal(5),
        buy_price=100.0,
        sell_price=100.25,
        gross_edge_bps=25.0,
        costs=(),
        net_edge_bps=25.0,
    )
    return made.model_copy(update=change)


def test_only_an_active_gate_approves() -> None:
    states = States()
    door = gate(Held(), states)
    assert isinstance(door.check(proposal()), Approved)
    door.reduce(Cause.PERSON, "a person asked")
    assert door.check(proposal()) == Refused("state_reducing", 0.0, 1.0, "active")
    door.resume(Cause.PERSON, "a person asked")
    assert isinstance(door.check(proposal()), Approved)
    door.halt("trouble")
    door.resume(Cause.PERSON, "not so fast")
    assert door.check(proposal()) == Refused("state_halted", 0.0, 1.0, "active")
    assert [state for state, _ in states] == [TradingState.REDUCING, TradingState.ACTIVE, TradingState.HALTED]


def test_each_cause_is_told_when_it_comes_and_when_it_goes() -> None:
    states = States()
    door = gate(Held(), states)
    door.reduce(Cause.DISK, "slow")
    door.reduce(Cause.DISK, "slower")
    door.reduce(Cause.PERSON, "paused")
    assert dict(door.causes) == {Cause.DISK: "slower", Cause.PERSON: "paused"}
    door.resume(Cause.LOOP, "never was")
    door.resume(Cause.DISK, "well again")
    door.resume(Cause.DISK, "well still")
    door.resume(Cause.PERSON, "resumed")
    assert not door.causes
    assert states == [
        (TradingState.REDUCING, "slow"),
        (TradingState.REDUCING, "paused"),
        (TradingState.REDUCING, "well again; still: paused"),
        (TradingState.ACTIVE, "resumed"),
    ]


def test_a_halt_outlasts_every_cause_before_it_and_after_it() -> None:
    states = States()
    door = gate(Held(), states)
    door.reduce(Cause.DISK, "slow")
    door.halt("trouble")
    door.reduce(Cause.LOOP, "stood still")
    door.resume(Cause.DISK, "well again")
    door.resume(Cause.LOOP, "steady again")
    assert states == [(TradingState.REDUCING, "slow"), (TradingState.HALTED, "trouble")]
    assert not door.causes
    assert door.state is TradingState.HALTED


def test_a_halt_lasts_also_where_it_cannot_be_told() -> None:
    """The journal takes nothing more, say: the next run is to know all the more."""
    reasons: list[str] = []

    def full(state: TradingState, why: str) -> None:
        raise StorageError("the disk does not keep up")

    door = RiskGate((), Held(), max_daily_loss=1.0, max_cumulative_loss=1.0, max_throttled_per_second=1, on_state=full)
    door.on_lasting_halt = reasons.append
    with pytest.raises(StorageError):
        door.halt("a loss")
    assert (door.state, door.halted_because, reasons) == (TradingState.HALTED, "a loss", ["a loss"])


def test_every_limit_is_in_the_shipped_gate_once() -> None:
    shipped = [type(limit).__name__ for limit in all_limits(Settings())]
    written = {
        node.name
        for path in (BOT / "risk" / "limits").glob("*.py")
        if path.name not in ("base.py", "inputs.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
    }
    assert sorted(shipped) == sorted(written)
    assert all(hasattr(limits, name) for name in written)


@pytest.mark.parametrize(
    ("today", "total", "halted"),
    [
        (-49.99, -79.99, False),
        (-50.0, -50.0, True),
        (0.0, -80.0, True),
        (10.0, 10.0, False),
        (nan, 0.0, True),
        (0.0, nan, True),
        (-inf, 0.0, True),
        (inf, 0.0, True),
        (None, 0.0, True),
        (0.0, None, True),
    ],
)
def test_fault_58_a_loss_halts_and_so_does_not_knowing_it(
    today: float | None, total: float | None, halted: bool
) -> None:
    door = gate(Held(today=today, total=total))
    door.watch_loss(1)
    assert (door.state is TradingState.HALTED) is halted


class Broken(Held):
    def realised_today(self, now_ns: int) -> float | None:
        raise ZeroDivisionError("no result")


def test_fault_58_a_kill_switch_whose_input_raises_halts() -> None:
    door = gate(Broken())
    door.watch_loss(1)
    assert door.state is TradingState.HALTED


def test_fault_58_a_limit_whose_input_raises_refuses_and_halts() -> None:
    states = States()
    door = gate(Broken(), states)
    assert door.check(proposal()) == Refused("MaxDailyLoss", 0.0, 1.0, "known")
    assert states == [(TradingState.HALTED, "limit MaxDailyLoss cannot be checked: ZeroDivisionError: no result")]


def test_fault_56_a_strategy_that_runs_away_is_throttled_and_halted_within_the_second() -> None:
    held = Held()
    door, sent = gate(held), 0
    for n in range(10_000):  # within one second
        asked = proposal(ts_ns=NOW + n * 99_999)
        if isinstance(door.check(asked), Approved):
            door.claim(opportunity(ts_ns=asked.ts_ns))
            held.second = held.minute = sent = sent + 2
        if door.state is TradingState.HALTED:
            break
    assert door.state is TradingState.HALTED
    assert sent == Settings().risk.max_orders_per_second
    assert n < 1_010


def test_fault_56_a_strategy_that_asks_often_for_long_is_throttled_and_not_halted() -> None:
    door = gate(Held(second=10), throttled=100)
    for n in range(1_000):
        door.check(proposal(ts_ns=NOW + n * 10_000_001))
    assert door.state is TradingState.ACTIVE


# Nothing passes unasked


def test_an_approval_is_good_for_one_opening() -> None:
    door = gate(Held())
    door.check(proposal())
    door.claim(opportunity())
    with pytest.raises(InvariantError, match="without the gate's approval"):
        door.claim(opportunity())


def after_refusal(door: RiskGate) -> Opportunity:
    door.check(proposal())
    door.check(proposal(gross_edge_bps=1e6))
    return opportunity()


def after_halt(door: RiskGate) -> Opportunity:
    door.check(proposal())
    door.halt("trouble")
    return opportunity()


def of_another_route(door: RiskGate) -> Opportunity:
    door.check(proposal())
    return opportunity(route=route(linear("bybit"), A))


def of_more(door: RiskGate) -> Opportunity:
    door.check(proposal())
    return opportunity(quantity=Decimal("5.001"))


def of_nothing(door: RiskGate) -> Opportunity:
    door.check(proposal())
    return opportunity(quantity=Decimal(0))


def of_another_time(door: RiskGate) -> Opportunity:
    door.check(proposal())
    return opportunity(ts_ns=NOW + 1)


@pytest.mark.parametrize("case", [after_refusal, after_halt, of_another_route, of_more, of_nothing, of_another_time])
def test_what_was_not_approved_as_it_is_cannot_be_claimed(case: Callable[[RiskGate], Opportunity]) -> None:
    door = gate(Held())
    with pytest.raises(InvariantError):
        door.claim(case(door))


def test_nothing_but_the_desk_opens_pairs_and_it_claims_first() -> None:
    """Every call of an executor's `open` in the machine, and what its function did before."""
    found = []
    for path in BOT.rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                calls = [ast.unparse(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)]
                if any(call.endswith("executor.open") for call in calls):
                    found.append((path.relative_to(BOT).as_posix(), function.name, calls[0]))
    assert found == [("engine/pairs.py", "open", "self.gate.claim")]
