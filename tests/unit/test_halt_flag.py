"""The durable HALT: what counts as one, and how an engine and a person come upon it. Fault 58, its half of the flag."""

import json
import os
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot import durable_text
from bot.clock import VirtualClock
from bot.domain.route import Outcome
from bot.errors import ExitCode
from bot.risk.gate import TradingState
from bot.risk.halt_flag import FLAG, HaltFlag, lower_flag, raise_flag, read_flag, way_out, who_asks
from bot.risk.kill_switch import LOOK_S, KillSwitch
from bot.settings import Settings
from modes.control import take_halt_away
from tests.unit.test_engine_decisions import THERE, Bench

NS = 1_700_000_000_000_000_000


@contextmanager
def full_disk() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def directory(path: Path) -> None:
    path.mkdir()


def loop(path: Path) -> None:
    path.symlink_to(path)


def nowhere(path: Path) -> None:
    path.symlink_to(path.with_name("gone"))


def pipe(path: Path) -> None:
    os.mkfifo(path)  # whoever opens it waits for somebody who writes


def bytes_of(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


BROKEN = [
    bytes_of(b""), bytes_of(b"{"), bytes_of(b"null"), bytes_of(b"\xff\xfe\x00"), bytes_of(b'{"halted_ns": "soon"}'),
    bytes_of(b'{"halted_ns": 1}'), bytes_of(b"[" * 20_000), bytes_of(b'{"halted_ns": 1e400, "why": 1, "by": 2}'),
    directory, loop, nowhere, pipe,
]  # fmt: skip


class Watched(Bench):
    """An engine with its eye on the flag."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__()
        self.withdrawn = 0
        self.switch = KillSwitch(data_dir, self.engine.desk.gate, self.clock, self._withdraw)
        self.engine.desk.before_sending = self.switch.look

    def _withdraw(self) -> None:
        self.withdrawn += 1
        self.engine.desk.executor.withdraw()

    @property
    def state(self) -> TradingState:
        return self.engine.desk.gate.state


def test_what_is_raised_is_read_and_lowered(tmp_path: Path) -> None:
    assert read_flag(tmp_path) is None
    raise_flag(tmp_path, "prices look wrong", "uid 7", NS)
    flag = read_flag(tmp_path)
    assert flag is not None
    assert (flag.since_ns, flag.why, flag.by) == (NS, "prices look wrong", "uid 7")
    assert flag.words() == "HALTED since 2023-11-14 22:13:20 UTC by uid 7: prices look wrong"
    assert (tmp_path / FLAG).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FLAG]
    lower_flag(tmp_path)
    assert read_flag(tmp_path) is None


def test_the_first_reason_stands(tmp_path: Path) -> None:
    raise_flag(tmp_path, "first", "one", NS)
    raise_flag(tmp_path, "second", "other", NS + 1)
    flag = read_flag(tmp_path)
    assert flag is not None
    assert flag.why == "first"


def test_a_broken_flag_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / FLAG).write_bytes(b"")
    raise_flag(tmp_path, "why", "who", NS)
    flag = read_flag(tmp_path)
    assert flag is not None
    assert flag.since_ns == NS


def test_a_full_disk_is_told_and_leaves_a_flag_all_the_same(tmp_path: Path) -> None:
    with full_disk(), pytest.raises(OSError, match="File too large"):
        raise_flag(tmp_path, "why", "who", NS)
    assert [path.name for path in tmp_path.iterdir()] == [FLAG]
    assert read_flag(tmp_path) is not None


def test_what_somebody_wrote_into_it_reaches_no_terminal(tmp_path: Path) -> None:
    raise_flag(tmp_path, "\x1b[2Jgone\n" + "x" * 10_000, "\x07", NS)
    flag = read_flag(tmp_path)
    assert flag is not None
    assert flag.words().isprintable()
    assert len(flag.words()) < 1_000


def test_who_asks_names_user_and_process() -> None:
    assert f"uid {os.getuid()} " in who_asks()
    assert f"process {os.getpid()}" in who_asks()


@pytest.mark.parametrize("breakage", BROKEN)
def test_fault_58_a_flag_that_cannot_be_read_halts(tmp_path: Path, breakage: Callable[[Path], None]) -> None:
    breakage(tmp_path / FLAG)
    flag = read_flag(tmp_path)
    assert flag is not None
    assert flag.since_ns is None
    bench = Watched(tmp_path)
    bench.switch.look()
    assert bench.state is TradingState.HALTED


def test_fault_58_where_it_cannot_be_told_whether_there_is_a_flag_the_engine_halts(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"no directory")
    bench = Watched(tmp_path / "data")
    bench.switch.look()
    assert bench.state is TradingState.HALTED
    assert any("cannot be told" in line for line in bench.log)


def test_without_a_flag_it_trades(tmp_path: Path) -> None:
    for data_dir in (tmp_path, tmp_path / "not" / "yet"):
        bench = Watched(data_dir)
        bench.switch.look()
        assert bench.state is TradingState.ACTIVE


def test_the_engine_looks_four_times_a_second(tmp_path: Path) -> None:
    bench = Watched(tmp_path)
    assert isinstance(bench.clock, VirtualClock)
    bench.switch.start()
    raise_flag(tmp_path, "why", "who", NS)
    bench.clock.advance_to(bench.clock.now_ns() + round(LOOK_S * 1e9))
    assert bench.state is TradingState.HALTED
    assert any("kill switch: HALTED since" in line and "who: why" in line for line in bench.log)


def test_it_looks_before_every_order_that_opens(tmp_path: Path) -> None:
    bench = Watched(tmp_path)
    bench.warm()
    raise_flag(tmp_path, "why", "who", NS)
    bench.linear(2_001, "1010.00", "1010.20")
    bench.clock.advance_to(bench.clock.now_ns() + 5_000_000_000)
    assert bench.state is TradingState.HALTED
    assert bench.engine.desk.orders == 0, "approved a moment before, and not sent"
    taken = [one for one in bench.decisions if one.route == THERE and one.outcome is Outcome.TAKEN]
    assert len(taken) == 1


def test_what_rests_is_taken_back_once_also_when_it_was_halted_before(tmp_path: Path) -> None:
    bench = Watched(tmp_path)
    bench.engine.desk.gate.halt("a loss")
    bench.switch.look()
    assert bench.withdrawn == 0
    raise_flag(tmp_path, "why", "who", NS)
    for _ in range(3):
        bench.switch.look()
    assert bench.withdrawn == 1


def test_a_person_who_has_looked_takes_it_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path})
    raise_flag(tmp_path, "prices look wrong", "uid 7", NS)
    assert take_halt_away(settings, as_json=False) == ExitCode.OK
    assert "prices look wrong" in capsys.readouterr().out
    assert read_flag(tmp_path) is None
    assert take_halt_away(settings, as_json=True) == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == {"halt": None}


def test_the_way_out_can_be_pasted() -> None:
    assert way_out(Path("/a b/data")) == "python main.py --mode resume --halt --data-dir '/a b/data'"


def test_fault_58_a_persons_halt_that_comes_while_the_bot_writes_its_own_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = durable_text._write

    def and_meanwhile(path: Path, text: str) -> None:
        monkeypatch.setattr(durable_text, "_write", write)
        write(path, text)
        person = threading.Thread(target=raise_flag, args=(tmp_path, "--mode kill", "uid 7", NS))
        person.start()
        person.join()

    monkeypatch.setattr(durable_text, "_write", and_meanwhile)
    raise_flag(tmp_path, "a loss", "the bot", NS, is_bots=True)
    assert read_flag(tmp_path) == HaltFlag(NS, "--mode kill", "uid 7")
    assert [one.name for one in tmp_path.iterdir()] == [FLAG]


@pytest.mark.parametrize("is_bots", [True, False])
def test_a_flag_that_was_taken_away_halts_no_later_start_and_is_not_said_to(tmp_path: Path, is_bots: bool) -> None:
    bench = Bench()
    switch = KillSwitch(tmp_path, bench.engine.desk.gate, VirtualClock(), lambda: None)
    assert not switch.sees_flag
    raise_flag(tmp_path, "a loss", "somebody", NS, is_bots=is_bots)
    switch.look()
    assert switch.sees_flag
    lower_flag(tmp_path)
    switch.look()
    assert not switch.sees_flag
    assert bench.engine.desk.gate.state is TradingState.HALTED, "this run stays so"
