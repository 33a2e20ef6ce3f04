"""What a person asks of a run, on the real engine: pause, resume, flatten and halt, for everything or one route."""

import json
import os
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.clock import SystemClock
from bot.control.messages import Command
from bot.domain.route import Outcome
from bot.engine.keeper import Keep, Keeper, at_once
from bot.engine.pauses import FILE, Pause, Pauses
from bot.engine.person import Person
from bot.engine.snapshot import take_snapshot
from bot.execution.pair import PairState
from bot.ports import RecordKind
from bot.risk.gate import Cause, TradingState
from bot.risk.halt_flag import FLAG, read_flag
from tests.unit.test_engine_decisions import BACK, EVEN, THERE, Bench, in_position

WHO = "uid 1000, process 7"
ASKED = {"by": WHO}


class Scene:
    """A bench, and a person before it."""

    def __init__(self, data_dir: Path | None, bench: Bench | None = None, keep: Keep = at_once) -> None:
        self.bench = bench or Bench()
        self.stopped = False
        self.person = Person(
            self.bench.engine.desk,
            self.bench.engine.routes,
            data_dir,
            self.bench.engine.event,
            SystemClock(),
            self.stop,
            keep,
        )
        self.person.start()

    def stop(self) -> None:
        self.stopped = True

    def ask(self, command: str, route: str | None = None) -> None:
        self.person.on_command(Command.model_validate({"command": command, "route": route} | ASKED))

    @property
    def state(self) -> TradingState:
        return self.bench.engine.desk.gate.state

    @property
    def events(self) -> list[str]:
        return [body["text"] for body in self.bench.journal.of(RecordKind.EVENT)]

    def why_not(self, route: str) -> str:
        printed, now_ns = self.bench.printed, self.bench.clock.now_ns()
        shown = take_snapshot(self.bench.engine, now_ns, printed, progress=None, finished=False)
        return next(row.why_not for row in shown.routes if row.route == route)

    def edge(self, at_ms: float) -> tuple[Outcome, str]:
        """A good edge on the way there; what was decided."""
        self.bench.linear(at_ms, "1010.00", "1010.20")
        decision = next(one for one in reversed(self.bench.decisions) if one.route == THERE)
        return decision.outcome, decision.reason


@pytest.fixture
def warm(tmp_path: Path) -> Scene:
    scene = Scene(tmp_path)
    scene.bench.warm()
    return scene


def test_a_paused_route_opens_nothing_until_it_is_resumed(warm: Scene) -> None:
    warm.ask("pause", THERE)
    assert warm.edge(2_001) == (Outcome.REFUSED, "paused")
    assert warm.why_not(THERE) == "paused by a person"
    assert warm.state is TradingState.ACTIVE
    warm.ask("resume", THERE)
    assert warm.edge(2_002) == (Outcome.TAKEN, "net_edge")


def test_another_route_trades_on(warm: Scene) -> None:
    warm.ask("pause", BACK)
    assert warm.edge(2_001) == (Outcome.TAKEN, "net_edge")


def test_everything_is_paused_and_resumed(warm: Scene) -> None:
    warm.ask("pause")
    assert warm.state is TradingState.REDUCING
    assert warm.edge(2_001) == (Outcome.REFUSED, "state_reducing")
    warm.ask("resume")
    assert warm.edge(2_002) == (Outcome.TAKEN, "net_edge")


MACHINES = [Cause.DISK, Cause.LOOP, Cause.ACCOUNT]


@pytest.mark.parametrize("cause", MACHINES)
def test_what_the_machine_finds_well_again_does_not_end_a_pause(warm: Scene, cause: Cause) -> None:
    gate = warm.bench.engine.desk.gate
    gate.reduce(cause, "not well")
    warm.ask("pause")
    gate.resume(cause, "well again")
    assert warm.state is TradingState.REDUCING
    warm.ask("resume")
    assert warm.state is TradingState.ACTIVE


@pytest.mark.parametrize("cause", MACHINES)
def test_a_person_who_resumes_does_not_end_what_the_machine_finds_wrong_and_hears_of_it(
    warm: Scene, cause: Cause
) -> None:
    gate = warm.bench.engine.desk.gate
    warm.ask("pause")
    gate.reduce(cause, "not well")
    warm.ask("resume")
    assert warm.edge(2_001) == (Outcome.REFUSED, "state_reducing")
    assert warm.events[-1] == "REDUCING all the same, and until it is well again: not well"
    gate.resume(cause, "well again")
    assert warm.edge(2_002) == (Outcome.TAKEN, "net_edge")


def test_to_resume_everything_leaves_a_route_paused_and_says_so(warm: Scene) -> None:
    warm.ask("pause", THERE)
    warm.ask("pause")
    warm.ask("resume")
    assert warm.state is TradingState.ACTIVE
    assert f"still paused: {THERE}" in warm.events
    assert warm.edge(2_001) == (Outcome.REFUSED, "paused")


@pytest.mark.parametrize("route", [THERE, None])
def test_flatten_closes_what_is_open_and_opens_nothing_new(tmp_path: Path, route: str | None) -> None:
    bench = in_position()
    scene = Scene(tmp_path, bench)
    scene.ask("flatten", route)
    bench.clock.advance_to(bench.clock.now_ns() + 5_000_000_000)
    bench.spot(bench.ms, *EVEN)
    bench.linear(bench.ms, "999.80", "1000.00")
    for _ in range(5):
        bench.linear(bench.ms + 300, "999.80", "1000.00")
        bench.spot(bench.ms, *EVEN)
    assert not bench.engine.desk.executor.pairs
    assert bench.engine.decisions.closed == {"flatten": 1}
    bench.spot(bench.ms + 3_000, *EVEN)
    assert scene.edge(bench.ms) == (Outcome.REFUSED, "paused" if route else "state_reducing")


def test_a_pair_that_is_being_opened_is_closed_once_it_is_open(warm: Scene) -> None:
    assert warm.edge(2_001) == (Outcome.TAKEN, "net_edge")
    warm.ask("flatten", THERE)
    bench = warm.bench
    for number in range(1, 20):
        bench.spot(2_001 + 200 * number, *EVEN)
        bench.linear(2_001 + 200 * number, "1010.00", "1010.20")
    assert not bench.engine.desk.executor.pairs
    assert bench.journal.of(RecordKind.PAIR)[-1]["close_reason"] == "flatten"


def test_a_pause_is_there_after_a_restart(tmp_path: Path) -> None:
    first = Scene(tmp_path)
    first.ask("pause", THERE)
    again = Scene(tmp_path)
    again.bench.warm()
    assert again.edge(2_001) == (Outcome.REFUSED, "paused")
    assert any(text.startswith(f"{THERE} is paused, since before this run by {WHO}") for text in again.events)
    again.ask("pause")
    third = Scene(tmp_path)
    assert third.state is TradingState.REDUCING
    third.ask("resume")
    third.ask("resume", THERE)
    fourth = Scene(tmp_path)
    assert (fourth.state, fourth.person.paused) == (TradingState.ACTIVE, ())


def test_a_pause_of_a_route_that_is_no_more_can_be_taken_back(tmp_path: Path) -> None:
    Pauses(tmp_path).set("convergence:a>b", Pause(1, "somebody"))
    scene = Scene(tmp_path)
    assert scene.person.paused == ("convergence:a>b",)
    scene.ask("resume", "convergence:a>b")
    assert scene.person.paused == ()


ENDLESS = '{"everything": null, "routes": {"a": {"since_ns": Infinity, "by": "uid 7", "is_leaving": false}}}'


@pytest.mark.parametrize("text", [ENDLESS, "", "{", "[]", '{"everything": 1, "routes": {}}', '{"routes": {}}', "\xff"])
def test_pauses_that_are_not_understood_pause_everything(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text, "latin-1")
    scene = Scene(tmp_path)
    assert scene.state is TradingState.REDUCING
    assert any("is not understood" in event for event in scene.events)
    scene.ask("resume")
    assert scene.state is TradingState.ACTIVE
    assert json.loads((tmp_path / FILE).read_text()) == {"everything": None, "routes": {}}


def test_every_wish_is_in_the_journal_with_who_had_it(warm: Scene) -> None:
    for command, route in (("pause", THERE), ("resume", None), ("flatten", None), ("halt", None), ("stop", None)):
        warm.ask(command, route)
        assert f"{WHO} asked to {command} {route or 'everything'}" in warm.events
    assert warm.stopped


def test_a_route_that_is_not_known_changes_nothing(warm: Scene) -> None:
    warm.ask("flatten", "convergence:x>y")
    assert warm.events[-1].endswith("no route of this run")
    assert warm.state is TradingState.ACTIVE


def test_a_halt_is_durable_and_resume_does_not_end_it(tmp_path: Path, warm: Scene) -> None:
    warm.ask("halt")
    assert warm.state is TradingState.HALTED
    flag = read_flag(tmp_path)
    assert flag is not None
    assert flag.by == WHO
    warm.ask("resume")
    assert warm.state is TradingState.HALTED
    assert "HALTED all the same: a halt ends with --mode resume --halt and a restart" in warm.events


def test_in_a_market_of_the_past_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scene = Scene(None)
    scene.ask("pause", THERE)
    scene.ask("halt")
    assert scene.state is TradingState.HALTED
    assert not list(tmp_path.iterdir())


def test_a_disk_that_does_not_take_the_pause_is_said_and_the_pause_holds(tmp_path: Path, warm: Scene) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        warm.ask("pause", THERE)
        warm.ask("halt")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert any("a restart will not know" in event for event in warm.events)
    assert any("the halt is not durable" in event for event in warm.events)
    assert (tmp_path / FLAG).read_bytes() == b"", "there is room for a name"
    assert not (tmp_path / FILE).exists()
    assert warm.edge(2_001)[0] is Outcome.REFUSED


@pytest.fixture
def hung(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A disk that answers nobody until this is set."""
    answers, fsync = threading.Event(), os.fsync

    def wait(fd: int) -> None:
        assert answers.wait(60)
        fsync(fd)

    monkeypatch.setattr("bot.durable_text.os.fsync", wait)
    yield answers
    answers.set()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take longer for what is asked for than the end of a run waits."""
    monkeypatch.setattr("bot.engine.keeper._WAIT_S", 60.0)


@pytest.mark.usefixtures("patient")
def test_fault_61_what_is_asked_for_is_done_while_the_disk_hangs_and_is_kept_when_it_answers(
    tmp_path: Path, hung: threading.Event
) -> None:
    keeper = Keeper(lambda callback: callback())
    scene = Scene(tmp_path, in_position(), keeper.keep)

    scene.ask("flatten")  # returns, or this test waits for a minute and fails
    scene.ask("pause", THERE)
    scene.ask("halt")

    assert not hung.is_set()
    assert scene.state is TradingState.HALTED
    assert any(pair.state is PairState.CLOSING for pair in scene.bench.engine.desk.executor.pairs.values())
    assert not (tmp_path / FILE).exists()
    hung.set()
    assert keeper.finish()
    assert Pauses(tmp_path).everything is not None
    assert list(Pauses(tmp_path).routes) == [THERE]
    flag = read_flag(tmp_path)
    assert flag is not None
    assert flag.by == WHO


@pytest.mark.usefixtures("patient")
def test_fault_60_a_disk_that_takes_nothing_is_told_from_the_keepers_thread_too(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    told: list[str] = []
    keeper = Keeper(lambda callback: callback())
    pauses = Pauses(tmp_path, lambda write: keeper.keep(write, told.append))
    pauses.set(None, Pause(1, WHO))
    assert keeper.finish()
    assert pauses.everything is not None
    assert any("a restart will not know" in one for one in told)
