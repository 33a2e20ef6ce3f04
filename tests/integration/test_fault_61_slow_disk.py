"""Fault 61: the store is locked, or its disk slow. The wait is bounded, nothing new is opened, nothing is dropped."""

import queue
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bot.clock import VirtualClock
from bot.engine.watches.storage_watch import StorageWatch
from bot.errors import StorageError
from bot.ports import RecordKind
from bot.risk.gate import Cause, RiskGate, TradingState
from bot.settings import JournalSettings
from bot.storage import durable_file
from bot.storage.journal import SqliteJournal
from tests.integration.fault_rig import (
    IN_AND_OUT,
    assert_kept_after_all,
    assert_whole,
    bot,
    records,
    sent_to_open,
)
from tests.unit.risk_rig import Held


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Somebody looks into the file with a tool that locks it."""
    with closing(sqlite3.connect(data_dir / "journal.db", isolation_level=None, timeout=60)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def test_fault_61_a_locked_journal_reduces_and_trades_on_when_it_is_let_go(tmp_path: Path) -> None:
    async with bot(tmp_path, *IN_AND_OUT) as running:
        await running.says("taken")
        await running.until(lambda: sent_to_open(tmp_path) >= 2)
        at = len(running.said)
        with locked(tmp_path):
            at = await running.says("REDUCING: the disk is slow", at)
            # Longer than a write waits for the lock: from here on records are handed out too.
            await running.until(lambda: len(running.not_kept()) >= 3)
            before = sent_to_open(tmp_path)
        at = await running.says("ACTIVE: the disk takes the journal again", at)
        await running.until(lambda: sent_to_open(tmp_path) > before)
        assert await running.end(signal.SIGINT) == 130
        assert_kept_after_all(running)
    assert_whole(tmp_path)
    texts = [body["text"] for *_, body in records(tmp_path, "event")]
    assert [text.split(":")[0] for text in texts if text.startswith(("REDUCING", "ACTIVE", "HALTED"))][:2] == [
        "REDUCING",
        "ACTIVE",
    ]
    assert not any("Traceback" in line for line in running.said)


def test_fault_61_a_commit_that_takes_long_is_seen_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes its time inside one commit: what comes meanwhile waits, and how long is known."""
    begun, go_on = threading.Event(), threading.Event()
    write = SqliteJournal._write

    def slow(journal: SqliteJournal, entries: object) -> None:
        begun.set()
        assert go_on.wait(60)
        write(journal, entries)  # type: ignore[arg-type]

    monkeypatch.setattr(SqliteJournal, "_write", slow)
    journal = SqliteJournal(tmp_path, "r1", deliver=lambda callback: callback())
    assert journal.behind_s() == 0
    durable = threading.Event()
    journal.record(RecordKind.ORDER, "1", 1, {})
    assert begun.wait(60)
    before = journal.behind_s()
    for number in range(2, 500):
        journal.record(RecordKind.ORDER, str(number), number, {})
    journal.when_durable(durable.set)
    assert journal.behind_s() > before
    assert journal.failed is None
    assert not durable.is_set()
    go_on.set()
    assert durable.wait(60)
    journal.close()
    assert [key for _, _, key, _ in records(tmp_path)] == [str(number) for number in range(1, 500)]


def test_fault_61_the_wait_for_a_lock_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable_file, "_BUSY_S", 0.05)
    failed, lost = threading.Event(), []
    journal = SqliteJournal(
        tmp_path,
        "r1",
        deliver=lambda callback: callback(),
        on_failure=lambda why: failed.set(),
        on_lost=lost.append,
        retry_s=0.01,
    )
    with locked(tmp_path):
        journal.record(RecordKind.ORDER, "1", 1, {})
        assert failed.wait(60)
        assert "locked" in (journal.failed or "")
        assert len(lost) == 1
    journal.close()
    assert [key for _, _, key, _ in records(tmp_path)] == ["1"]


def test_fault_61_who_was_told_of_a_failure_is_promised_nothing_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two wait while one commit fails: both act on the failure, so neither may hear later that all is well."""
    begun, fail = threading.Event(), threading.Event()
    write = SqliteJournal._write

    def failing_once(journal: SqliteJournal, entries: object) -> None:
        if not fail.is_set():
            begun.set()
            assert fail.wait(60)
            raise sqlite3.OperationalError("database is locked")
        write(journal, entries)  # type: ignore[arg-type]

    monkeypatch.setattr(SqliteJournal, "_write", failing_once)
    promised: list[str] = []
    journal = SqliteJournal(
        tmp_path, "r1", deliver=lambda callback: callback(), on_lost=lambda line: None, retry_s=0.01
    )
    journal.record(RecordKind.ORDER, "1", 1, {})
    assert begun.wait(60)
    for name in ("2", "3"):
        journal.record(RecordKind.ORDER, name, 1, {})
        journal.when_durable(lambda name=name: promised.append(name))  # type: ignore[misc]
    fail.set()
    journal.close()
    assert promised == []
    assert [key for _, _, key, _ in records(tmp_path)] == ["1", "2", "3"]


def test_fault_61_a_failure_that_is_over_before_it_is_heard_of_promises_nothing_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's thread was busy for longer than the disk was away: what it writes down before it hears of that
    would be acted on as failed when it hears, and once more as durable: a hedge sent twice."""
    write, tried = SqliteJournal._write, []

    def failing_once(journal: SqliteJournal, entries: object) -> None:
        tried.append(entries)
        if len(tried) == 1:
            raise sqlite3.OperationalError("database is locked")
        write(journal, entries)  # type: ignore[arg-type]

    monkeypatch.setattr(SqliteJournal, "_write", failing_once)
    loop: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    said: list[str] = []
    journal = SqliteJournal(
        tmp_path, "r1", deliver=loop.put, on_failure=said.append, on_lost=lambda line: None, retry_s=0.01
    )
    journal.record(RecordKind.ORDER, "1", 1, {})
    word_of_it = loop.get(timeout=60)
    until(lambda: journal.failed is None)
    journal.record(RecordKind.ORDER, "2", 1, {})
    with pytest.raises(StorageError, match="a moment ago"):
        journal.when_durable(lambda: said.append("durable"))
    word_of_it()
    journal.record(RecordKind.ORDER, "3", 1, {})
    journal.when_durable(lambda: said.append("durable"))
    loop.get(timeout=60)()
    journal.close()
    assert said == ["the journal cannot be written: database is locked", "durable"]
    assert loop.empty()
    assert [key for _, _, key, _ in records(tmp_path)] == ["1", "2", "3"]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_fault_61_more_than_can_be_kept_is_lost_for_good_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable_file, "_BUSY_S", 0.01)
    lost: list[str] = []
    failed = threading.Event()
    journal = SqliteJournal(
        tmp_path,
        "r1",
        deliver=lambda callback: callback(),
        on_failure=lambda why: failed.set(),
        on_lost=lost.append,
        retry_s=0.01,
        keep_limit=10,
    )
    with locked(tmp_path):
        journal.record(RecordKind.ORDER, "1", 1, {})
        assert failed.wait(60)
        for number in range(2, 30):
            journal.record(RecordKind.ORDER, str(number), 1, {})
        with pytest.raises(StorageError, match="more than 10 records waited"):
            journal.close()
    assert journal.is_lost
    assert len(lost) == 29, "a person has all of them"


class Disk:
    failed: str | None = None
    is_lost = False
    dropped: str | None = None
    behind = 0.0

    def behind_s(self) -> float:
        return self.behind


class Scene:
    def __init__(self) -> None:
        self.disk, self.clock, self.said = Disk(), VirtualClock(), list[str]()
        self.gate = RiskGate(
            (), Held(), max_daily_loss=1.0, max_cumulative_loss=1.0, max_throttled_per_second=1,
            on_state=lambda state, why: self.said.append(f"{state.value} {why}"),
        )  # fmt: skip
        self.gate.on_lasting_halt = lambda why: self.said.append("until it is lifted")
        self.free = 5_000_000_000
        self.events: list[tuple[str, str]] = []
        self.watch = StorageWatch(
            self.disk,
            Path("/data"),
            self.gate,
            lambda level, text: self.events.append((level, text)),
            self.clock,
            JournalSettings(),
            lambda path: self.free,
        )
        self.watch.start()

    def later(self) -> TradingState:
        self.clock.advance_to(self.clock.now_ns() + 1_000_000_000)
        return self.gate.state


def test_fault_61_slow_reduces_and_well_again_resumes() -> None:
    scene = Scene()
    scene.disk.behind = 0.9
    assert scene.later() is TradingState.ACTIVE
    scene.disk.behind = 1.1
    assert scene.later() is TradingState.REDUCING
    assert scene.later() is TradingState.REDUCING
    scene.disk.behind = 0.0
    assert scene.later() is TradingState.ACTIVE
    assert scene.said == [
        "REDUCING the disk is slow: the journal has waited 1.1 s for it",
        "ACTIVE the disk takes the journal again, and has everything that waited",
    ]


def test_fault_61_what_a_person_asked_for_is_left_alone() -> None:
    for is_first in (True, False):
        scene = Scene()
        if is_first:
            scene.gate.reduce(Cause.PERSON, "pause was asked for")
        scene.disk.failed = "full"
        assert scene.later() is TradingState.REDUCING
        scene.gate.reduce(Cause.PERSON, "pause was asked for")
        scene.disk.failed = None
        assert scene.later() is TradingState.REDUCING
        scene.gate.resume(Cause.PERSON, "resume was asked for")
        assert scene.gate.state is TradingState.ACTIVE


def test_fault_61_a_person_who_resumes_does_not_end_it() -> None:
    scene = Scene()
    scene.gate.reduce(Cause.PERSON, "pause was asked for")
    scene.disk.failed = "full"
    assert scene.later() is TradingState.REDUCING
    scene.gate.resume(Cause.PERSON, "resume was asked for")
    assert scene.later() is TradingState.REDUCING
    scene.disk.failed = None
    assert scene.later() is TradingState.ACTIVE


def test_fault_61_an_order_that_did_not_become_durable_reduces_while_something_else_does() -> None:
    scene = Scene()
    scene.gate.reduce(Cause.LOOP, "the loop stood still")
    scene.watch.reduce("the journal cannot be written: full")
    scene.gate.resume(Cause.LOOP, "loop and clock are steady again")
    assert scene.gate.state is TradingState.REDUCING
    assert scene.later() is TradingState.ACTIVE


def test_fault_60_a_journal_that_cannot_be_written_is_an_alarm_once() -> None:
    scene = Scene()
    for _ in range(2):
        scene.disk.failed = "the journal cannot be written: full"
        scene.later()
        scene.later()
        scene.disk.failed = None
        scene.later()
    words = "ALARM: the journal cannot be written: full; nothing new is opened until the disk takes it"
    assert scene.events == [("error", words)] * 2


def test_fault_61_a_journal_that_is_lost_halts() -> None:
    scene = Scene()
    scene.disk.failed, scene.disk.is_lost = "damaged", True
    assert scene.later() is TradingState.HALTED
    scene.disk.failed = None
    assert scene.later() is TradingState.HALTED


def test_fault_60_room_that_runs_out_is_told_once_and_again_when_there_is_some() -> None:
    scene = Scene()
    assert scene.events == []
    scene.free = 999_999_999
    scene.later()
    scene.later()
    assert [level for level, _ in scene.events] == ["error"]
    assert "1.00 GB free on the disk of /data, and 1.00 should be" in scene.events[0][1]
    assert scene.gate.state is TradingState.ACTIVE, "an alarm stops nothing"
    scene.free = 2_000_000_000
    scene.later()
    scene.later()
    assert [level for level, _ in scene.events] == ["error", "info"]
    scene.watch.stop()
    scene.free = 0
    scene.later()
    assert len(scene.events) == 2
