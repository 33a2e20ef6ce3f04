"""What the desk tells of its faults, and what becomes of one whose own code fails."""

import pytest

from bot.clock import VirtualClock
from bot.errors import SettingsError
from exchanges.simulator.faults.catalogue import CATALOGUE, FaultKind
from exchanges.simulator.faults.desk import FaultDesk
from exchanges.simulator.faults.guide import catalogue_json, catalogue_table, faults_from_lines
from exchanges.simulator.faults.values import Fault

S = 1_000_000_000
DRIFT = Fault(fault=FaultKind.CLOCK_DRIFT, venue="bybit", for_s=5)


def desk() -> tuple[FaultDesk, VirtualClock, list[str]]:
    clock, told = VirtualClock(), list[str]()
    return FaultDesk(clock, told.append), clock, told


def test_each_begin_and_each_end_is_one_line() -> None:
    faults, clock, told = desk()
    faults.order(Fault(fault=FaultKind.GAP, venue="bybit", for_s=5, match="a\n\x1b[2Jb"))
    faults.strike(FaultKind.GAP, "bybit", None, "a\n\x1b[2Jb")
    clock.advance_to(5 * S)
    assert told == [
        "SIMULATED FAULT 1 begins: gap,venue=bybit,for_s=5.0,match=a [2Jb",
        "SIMULATED FAULT 1 ended: gap, struck 1",
    ]


def test_a_begin_that_fails_ends_its_fault_and_nothing_else() -> None:
    faults, clock, told = desk()
    done: list[str] = []
    faults.on(FaultKind.CLOCK_DRIFT, lambda _: lambda: done.append("undone"))
    faults.on(FaultKind.CLOCK_DRIFT, broken)
    gap = faults.order(Fault(fault=FaultKind.GAP, venue="bybit", for_s=100))
    number = faults.order(DRIFT.model_copy(update={"at_s": 1.0}))
    clock.advance_to(2 * S)
    states = {ordered.number: (ordered.state, ordered.error) for ordered in faults.orders}
    assert states[gap] == ("active", "")
    state, error = states[number]
    assert state == "ended"
    assert "RuntimeError" in error
    assert "no such dial" in error
    assert done == ["undone"], "what had begun of it is undone"
    assert any("bug of ours" in line and "clock-drift" in line for line in told)
    assert not faults.is_active([FaultKind.CLOCK_DRIFT], "bybit", None)


def broken(_: Fault) -> None:
    raise RuntimeError("no such dial")


def test_an_undo_and_a_listener_that_fail_do_not_keep_the_others_from_ending() -> None:
    faults, _, told = desk()
    done: list[str] = []
    faults.on(FaultKind.CLOCK_DRIFT, lambda _: lambda: done.append("first"))
    faults.on(FaultKind.CLOCK_DRIFT, lambda fault: lambda: broken(fault))
    faults.order(DRIFT)
    faults.order(Fault(fault=FaultKind.GAP, venue="bybit"))
    faults.on_change(lambda: broken(DRIFT))
    faults.end_all()
    assert done == ["first"]
    assert faults.is_quiet
    assert any("FAILED" in line and "gap" in line for line in told)


def test_what_ends_while_it_begins_is_undone_all_the_same() -> None:
    faults, _, _ = desk()
    done: list[str] = []

    def begin(_: Fault) -> object:
        assert faults.strike(FaultKind.CLOCK_DRIFT, "bybit")
        return lambda: done.append("undone")

    faults.on(FaultKind.CLOCK_DRIFT, begin)  # type: ignore[arg-type]
    faults.order(DRIFT.model_copy(update={"count": 1}))
    assert [ordered.state for ordered in faults.orders] == ["ended"]
    assert done == ["undone"]


def test_the_guide_tells_every_fault_in_80_columns() -> None:
    lines = catalogue_table().splitlines()
    assert max(map(len, lines)) <= 80
    for kind, info in CATALOGUE.items():
        (row,) = [line for line in lines if line.split()[:1] in ([kind.value], [f"{kind}*"])]
        assert ("*" in row) is not info.scheduled
        if info.for_s:
            assert f" {info.for_s:g} s " in row
    assert [one["fault"] for one in catalogue_json()] == list(CATALOGUE)


def test_the_examples_of_the_guide_are_understood() -> None:
    lines = [line.partition("--fault ")[2] for line in catalogue_table().splitlines() if line.startswith("  --fault ")]
    assert len(faults_from_lines(lines)) == 2


@pytest.mark.parametrize("line", ["gab,venue=bybit", "gap,venue=bybit,\x1b[31mk=1", "gap,venue=bybit,at_s=\n"])
def test_a_bad_line_is_one_line_for_a_terminal(line: str) -> None:
    with pytest.raises(SettingsError) as told:
        faults_from_lines(["gap,venue=bybit", line])
    assert str(told.value).isprintable()
    assert str(told.value).startswith("--fault: ")
