"""What a halted run says of itself, on the screen and in its summary."""

from typing import Any

import pytest

from bot.engine.run_words import summary_lines
from bot.engine.snapshot import take_snapshot
from bot.engine.summary import run_summary
from bot.risk.gate import Cause
from bot.tui.totals import total_lines
from tests.unit.test_engine_decisions import Bench

OURS = "HALTED (a restart ends it): the daily realised loss 201.00 reached the limit 200.00"
KEPT = "HALTED (--mode resume --halt and a restart end it): the daily realised loss 201.00 reached the limit 200.00"


def headline(bench: Bench, **told: Any) -> str:
    now_ns = bench.clock.now_ns()
    return take_snapshot(bench.engine, now_ns, bench.printed, progress=None, finished=False, **told).headline


@pytest.mark.parametrize(("is_kept", "said"), [(False, OURS), (True, KEPT)], ids=["ends with the run", "durable"])
def test_a_halt_is_said_with_its_reason_and_what_ends_it(is_kept: bool, said: str) -> None:
    bench = Bench()
    bench.warm()
    bench.engine.desk.gate.halt("the daily realised loss 201.00 reached the limit 200.00")
    summary = run_summary(bench.engine, complete=True, is_halt_kept=is_kept)
    assert summary_lines(summary, bench.engine)[1] == said
    assert ("halted", said) in total_lines(summary)
    assert headline(bench, is_halt_kept=is_kept) == said


def test_the_first_reason_stands() -> None:
    bench = Bench()
    bench.engine.desk.gate.halt("one")
    bench.engine.desk.gate.halt("another")
    assert run_summary(bench.engine, complete=True)["halted"] == "HALTED (a restart ends it): one"


def test_a_run_that_is_not_halted_says_nothing_of_it() -> None:
    bench = Bench()
    bench.warm()
    bench.engine.desk.gate.reduce(Cause.PERSON, "pause was asked for")
    summary = run_summary(bench.engine, complete=True, is_halt_kept=True)
    assert summary["halted"] is None
    assert not any("HALTED" in line for line in summary_lines(summary, bench.engine))
    assert "halted" not in dict(total_lines(summary))
    assert "HALTED" not in headline(bench, is_halt_kept=True)


def test_what_is_reducing_is_said_with_every_cause_that_stands() -> None:
    bench = Bench()
    bench.warm()
    gate = bench.engine.desk.gate
    gate.reduce(Cause.DISK, "the disk is slow: the journal has waited 1.1 s for it")
    gate.reduce(Cause.PERSON, "paused by uid 1000")
    gate.reduce(Cause.DISK, "the disk is slow: the journal has waited 1.6 s for it")
    told = {"disk": "the disk is slow: the journal has waited 1.6 s for it", "person": "paused by uid 1000"}
    said = f"REDUCING (disk, person): {told['disk']}; {told['person']}"
    summary = run_summary(bench.engine, complete=True)
    assert summary["reducing"] == told
    assert ("reducing", f"{told['disk']}  disk") in total_lines(summary)
    assert headline(bench) == said
    gate.resume(Cause.DISK, "well again")
    assert headline(bench) == "REDUCING (person): paused by uid 1000"
    gate.resume(Cause.PERSON, "resumed")
    assert "REDUCING" not in headline(bench)
    assert "reducing" not in dict(total_lines(run_summary(bench.engine, complete=True)))
