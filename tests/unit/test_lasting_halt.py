"""A halt that the bot decides holds after a restart: what keeps it, gives way to it, and what a person says to it."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.clock import SystemClock
from bot.control.messages import Command
from bot.domain.order import Side
from bot.engine.accounts.halted_start import refused, stay_halted
from bot.engine.pauses import Pause, Pauses
from bot.engine.person import Person
from bot.engine.watches import lasting_halt
from bot.engine.watches.lasting_halt import LastingHalt
from bot.errors import ExitCode
from bot.execution.journal_replay import LeftPair
from bot.execution.pair import PairState
from bot.risk.gate import TradingState
from bot.risk.halt_flag import FLAG, HaltFlag, lower_flag, raise_flag, read_flag, way_out
from tests.unit.pair_bench import SPOT
from tests.unit.test_engine_decisions import EVEN, THERE, in_position
from tests.unit.test_fault_36_to_54_legs import adopted, bought_alone
from tests.unit.test_fault_36_to_54_legs import bench as legs_bench
from tests.unit.test_halt_flag import Watched, full_disk
from tests.unit.test_risk_gate import Held, gate
from tests.unit.waiting import until

NS = 1_700_000_000_000_000_000


class Kept:
    """A halt that is kept in a directory, told without a loop."""

    def __init__(self, data_dir: Path) -> None:
        self.told: list[tuple[str, str]] = []
        self.has_told = threading.Event()
        self.halt = LastingHalt(data_dir, SystemClock(), self._deliver, lambda level, text: self._event(level, text))

    def _deliver(self, callback: Callable[[], None]) -> None:
        callback()

    def _event(self, level: str, text: str) -> None:
        self.told.append((level, text))
        self.has_told.set()


def test_why_the_bot_halted_is_in_the_flag_and_the_first_reason_stands(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    door = gate(Held())
    door.on_lasting_halt = kept.halt.keep
    door.halt("the day's realised loss 60.00 reached the limit 50.00")
    door.halt("something else")
    kept.halt.finish()
    assert kept.halt.is_kept
    flag = read_flag(tmp_path)
    assert flag is not None
    assert flag.is_bots
    assert "by the bot itself, uid" in flag.words()
    assert flag.words().endswith(": the day's realised loss 60.00 reached the limit 50.00")


def test_what_comes_after_a_person_has_taken_the_flag_away_is_kept_and_what_they_have_seen_is_not(
    tmp_path: Path,
) -> None:
    kept = Kept(tmp_path)
    door = gate(Held())
    door.on_lasting_halt = kept.halt.keep
    door.halt("the day's realised loss 60.00 reached the limit 50.00")
    until(lambda: kept.halt.is_kept and not alive(kept.halt))
    lower_flag(tmp_path)
    door.halt("the day's realised loss 61.00 reached the limit 50.00")
    assert not alive(kept.halt), "they have looked at that"
    assert read_flag(tmp_path) is None

    door.halt("pair run-1 is uneven for 12 s")

    until(lambda: not alive(kept.halt))
    flag = read_flag(tmp_path)
    assert flag is not None, "a restart would trade, and nobody has looked at the pair"
    assert flag.why == "pair run-1 is uneven for 12 s"
    kept.halt.finish()


def test_what_comes_while_the_disk_takes_a_flag_that_a_person_takes_away_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_there, go_on = threading.Event(), threading.Event()

    def slow(*words: Any, **more: Any) -> None:
        raise_flag(*words, **more)
        is_there.set()
        assert go_on.wait(60)

    monkeypatch.setattr(lasting_halt, "raise_flag", slow)
    kept = Kept(tmp_path)
    kept.halt.keep("the day's realised loss 60.00 reached the limit 50.00")
    assert is_there.wait(60)
    lower_flag(tmp_path)
    kept.halt.keep("pair run-1 is uneven for 12 s")
    go_on.set()
    until(lambda: not alive(kept.halt))
    flag = read_flag(tmp_path)
    assert flag is not None, "a restart would trade, and nobody has looked at the pair"
    assert flag.why == "pair run-1 is uneven for 12 s"


def alive(halt: LastingHalt) -> bool:
    return halt._thread is not None and halt._thread.is_alive()


def test_a_signature_that_a_bug_quotes_is_not_in_the_flag(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.halt.keep("no answer from https://api.binance.com/api/v3/order?timestamp=1&signature=" + "ab" * 32)
    kept.halt.finish()
    text = (tmp_path / FLAG).read_text()
    assert "no answer from" in text
    assert "abab" not in text


def test_what_ends_with_the_run_leaves_no_flag_but_a_worse_reason_that_follows_does() -> None:
    reasons: list[str] = []
    door = gate(Held())
    door.on_lasting_halt = reasons.append
    door.halt("the journal is lost", lasting=False)
    assert (door.state, reasons) == (TradingState.HALTED, [])
    for _ in range(2):
        door.halt("pair run-1 is uneven")
    assert reasons == ["pair run-1 is uneven"]


def test_a_disk_that_takes_nothing_is_told(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    with full_disk():
        kept.halt.keep("a loss")
        assert kept.has_told.wait(60)
    assert kept.told[0] == ("error", "the halt is not durable: File too large: a restart would trade")
    assert (tmp_path / FLAG).exists()
    kept.halt.finish()


def test_a_halt_that_the_disk_did_not_take_is_written_when_it_does(tmp_path: Path) -> None:
    data_dir = tmp_path / "disk" / "data"
    (tmp_path / "disk").touch()  # no directory: not even a name finds room
    kept = Kept(data_dir)
    kept.halt.keep("a loss")
    assert kept.has_told.wait(60)
    assert not kept.halt.is_kept
    (tmp_path / "disk").unlink()
    kept.halt.finish()
    assert kept.halt.is_kept
    flag = read_flag(data_dir)
    assert flag is not None
    assert flag.why == "a loss"


def test_a_halt_that_the_disk_does_not_take_while_the_run_ends_is_told(tmp_path: Path) -> None:
    (tmp_path / "disk").touch()
    kept = Kept(tmp_path / "disk" / "data")
    kept.halt.finish()
    kept.halt.keep("a loss")
    kept.halt.finish()
    assert kept.told == [("error", "the halt is not durable: the disk has not taken it: a restart would trade")]


def test_a_persons_word_takes_the_place_of_the_bots_and_never_the_other_way_round(tmp_path: Path) -> None:
    raise_flag(tmp_path, "a loss", "the bot", NS, is_bots=True)
    raise_flag(tmp_path, "another", "the bot", NS + 1, is_bots=True)
    raise_flag(tmp_path, "--mode kill", "uid 7", NS + 2)
    flag = read_flag(tmp_path)
    assert flag == HaltFlag(NS + 2, "--mode kill; the bot had halted itself before: a loss", "uid 7")
    raise_flag(tmp_path, "a loss", "the bot", NS + 3, is_bots=True)
    assert read_flag(tmp_path) == flag
    lower_flag(tmp_path)
    (tmp_path / FLAG).touch()  # a person's last resort
    raise_flag(tmp_path, "a loss", "the bot", NS + 3, is_bots=True)
    assert read_flag(tmp_path) == HaltFlag(None, f"{tmp_path / FLAG} is there, and says nothing that is understood", "")


def test_the_bots_own_flag_takes_nothing_back_and_a_kill_after_it_does(tmp_path: Path) -> None:
    bench = Watched(tmp_path)
    raise_flag(tmp_path, "a loss", "the bot", NS, is_bots=True)
    bench.switch.look()
    assert (bench.state, bench.withdrawn) == (TradingState.HALTED, 0)
    bench.switch.look()
    raise_flag(tmp_path, "--mode kill", "uid 7", NS)
    bench.switch.look()
    assert bench.withdrawn == 1


def test_a_link_to_the_bots_flag_is_somebodys_word(tmp_path: Path) -> None:
    raise_flag(tmp_path / "other", "a loss", "the bot", NS, is_bots=True)
    (tmp_path / FLAG).symlink_to(tmp_path / "other" / FLAG)
    bench = Watched(tmp_path)
    bench.switch.look()
    assert bench.withdrawn == 1


# A start beside it


class Beside:
    """A pair that an earlier run left open and whose time is over, beside a flag."""

    def __init__(self, data_dir: Path, flag: HaltFlag, asked_first: str | None = None) -> None:
        self.bench = in_position(arbitrage={"max_holding_s": 5.0})
        self.desk = self.bench.engine.desk
        (self.pair,) = self.desk.executor.pairs.values()
        self.events: list[str] = []
        if asked_first is not None:
            Pauses(data_dir).set(None, Pause(SystemClock().now_ns(), "uid 1", asked_first == "flatten"))
        self.person = Person(
            self.desk, self.bench.engine.routes, data_dir, self.bench.engine.event, SystemClock(), lambda: None
        )
        left = LeftPair(self.pair, [], [])
        stay_halted(flag, [left], self.desk.gate, self.person.wants_closed, lambda _, text: self.events.append(text))
        self.person.start()

    def ask(self, command: str, route: str | None = None) -> None:
        self.person.on_command(Command.model_validate({"command": command, "route": route, "by": "uid 1"}))

    def later(self) -> PairState:
        """Prices go on for ten seconds, and whatever reasons to leave they give."""
        for _ in range(100):
            at_ms = self.bench.ms + 100
            self.bench.spot(at_ms, *EVEN)
            self.bench.linear(at_ms, *EVEN)
        return self.pair.state


BOTS = HaltFlag(NS, "a loss", "the bot itself", is_bots=True)
KILLED = HaltFlag(NS, "--mode kill", "uid 7")
UNREADABLE = HaltFlag(None, "says nothing", "")


def test_beside_the_bots_own_flag_a_pair_is_closed_when_its_time_comes(tmp_path: Path) -> None:
    here = Beside(tmp_path, BOTS)
    assert here.desk.gate.state is TradingState.HALTED
    assert here.later() is PairState.CLOSED


@pytest.mark.parametrize("flag", [KILLED, UNREADABLE])
@pytest.mark.parametrize("route", [None, THERE])
def test_beside_a_persons_flag_nothing_of_a_pair_is_sent_until_they_say_flatten(
    tmp_path: Path, flag: HaltFlag, route: str | None
) -> None:
    here = Beside(tmp_path, flag)
    assert here.events == [f"ALARM: left alone until a person says --mode flatten: {here.pair.id}"]
    orders = here.desk.orders
    assert here.later() is PairState.OPEN
    here.ask("pause")
    here.ask("resume")
    assert here.later() is PairState.OPEN
    assert here.desk.orders == orders
    here.ask("flatten", route)
    assert here.later() is PairState.CLOSED
    assert here.desk.gate.state is TradingState.HALTED


@pytest.mark.parametrize(
    ("flag", "wish", "state"),
    [
        (KILLED, "flatten", PairState.CLOSED),  # asked after the kill: it holds over a restart
        (KILLED, "pause", PairState.OPEN),
        (HaltFlag(2**62, "--mode kill", "uid 7"), "flatten", PairState.OPEN),  # the kill is the younger word
        (UNREADABLE, "flatten", PairState.OPEN),
    ],
)
def test_a_wish_of_before_the_start_counts_where_it_is_younger_than_the_halt(
    tmp_path: Path, flag: HaltFlag, wish: str, state: PairState
) -> None:
    assert Beside(tmp_path, flag, wish).later() is state


def test_an_uneven_pair_that_is_frozen_is_announced_and_evened_once_a_person_says_so(tmp_path: Path) -> None:
    pair, _ = bought_alone(legs_bench())
    pair.is_frozen = True
    here = adopted(pair)
    here.wait(20_000)
    assert here.sent == []
    assert len(here.alarms) == len(here.halts) == 1
    assert "is uneven by 0.50" in here.alarms[0]
    here.executor.thaw("another")
    assert here.sent == []
    here.executor.thaw()
    assert here.answer(Side.SELL, SPOT).quantity == pair.buy.opened_quantity
    assert (pair.state, pair.imbalance) == (PairState.FAILED, 0)


def test_a_start_that_finds_nothing_open_ends_and_says_how_to_go_on(tmp_path: Path) -> None:
    error = refused(BOTS, tmp_path)
    assert error.exit_code == ExitCode.RISK_HALT
    assert str(error).startswith("HALTED since 2023-11-14 22:13:20 UTC by the bot itself: a loss; look at the venues")
    assert str(error).endswith(way_out(tmp_path))


def test_the_flag_keeps_no_secret_of_what_the_bot_stumbled_over(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.halt.keep(f"no answer from https://api.binance.com/api/v3/order?signature={'ab' * 32}")
    assert kept.has_told.wait(60)
    assert "abab" not in (tmp_path / FLAG).read_text()
    assert "no answer from" in (tmp_path / FLAG).read_text()
