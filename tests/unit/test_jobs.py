import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from bot.clock import SystemClock
from bot.errors import SettingsError, StorageError
from bot.jobs import Job, Timetable, trigger_of
from bot.ports import RecordKind

PATIENCE_S = 60


class Kept:
    def __init__(self) -> None:
        self.records: list[tuple[RecordKind, str, Mapping[str, Any]]] = []

    def record(self, kind: RecordKind, key: str, ts_ns: int, body: Any) -> None:
        self.records.append((kind, key, body))

    def when_durable(self, callback: Callable[[], None]) -> None:
        callback()

    def close(self) -> None:
        pass


def timetable(*jobs: Job) -> tuple[Timetable, Kept, list[str]]:
    kept, said = Kept(), []
    return Timetable(jobs, kept, SystemClock(), lambda level, text: said.append(f"{level}: {text}")), kept, said


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


async def test_jobs_have_their_turns_and_the_journal_keeps_them() -> None:
    threads: set[str] = set()

    def in_a_thread() -> str:
        threads.add(threading.current_thread().name)
        return "merged 3"

    async def beside_trading() -> None:
        await asyncio.sleep(0)

    table, kept, said = timetable(Job("merge", "every 1s", in_a_thread), Job("ship", "every 1s", beside_trading))
    table.start()
    await until(lambda: len(kept.records) >= 2)
    await table.stop()
    merge, ship = sorted(table.status(), key=lambda state: state.name)
    assert (merge.outcome, merge.detail, ship.outcome, ship.detail) == ("ok", "merged 3", "ok", "")
    assert merge.took_s is not None
    assert merge.started_ns is not None
    assert threading.main_thread().name not in threads
    assert {(kind, key) for kind, key, _ in kept.records} == {(RecordKind.JOB, "merge"), (RecordKind.JOB, "ship")}
    assert not said


async def test_a_job_that_fails_is_told_and_the_others_go_on() -> None:
    def fails() -> str:
        raise StorageError("the disk is full")

    def is_wrong() -> str:
        raise ValueError("oh")

    table, kept, said = timetable(Job("a", "every 1h", fails), Job("b", "every 1h", is_wrong))
    state = await table.run_now("a")
    assert (state.outcome, state.detail, state.failures) == ("failed", "the disk is full", 1)
    state = await table.run_now("b")
    assert state.detail == "our bug: ValueError: oh"
    assert said == ["warning: job a failed: the disk is full", "warning: job b failed: our bug: ValueError: oh"]
    assert [body["outcome"] for _, _, body in kept.records] == ["failed", "failed"]


async def test_a_job_that_is_still_running_misses_its_turn_and_is_never_there_twice() -> None:
    release, started = asyncio.Event(), []

    async def slow() -> None:
        started.append(1)
        await release.wait()

    table, kept, said = timetable(Job("slow", "every 1s", slow))
    table.start()
    await until(lambda: table.status()[0].missed >= 1)
    assert len(started) == 1
    await table.run_now("slow")
    assert len(started) == 1, "not out of its turn either"
    assert said[0] == "warning: job slow missed a turn (1 so far)"
    stopping = asyncio.create_task(table.stop())
    await asyncio.sleep(0)
    assert not stopping.done(), "what runs is waited for"
    release.set()
    await stopping
    assert kept.records[0][2]["missed"] >= 1


async def test_a_job_whose_turn_comes_while_others_are_waited_for_does_not_begin() -> None:
    release, started = asyncio.Event(), list[str]()

    async def slow() -> None:
        started.append("slow")
        await release.wait()

    def late() -> None:
        started.append("late")

    table, kept, _ = timetable(Job("slow", "every 1h", slow), Job("late", "every 1h", late))
    table.start()
    running = asyncio.create_task(table.run_now("slow"))
    await until(lambda: started == ["slow"])
    stopping = asyncio.create_task(table.stop())
    await asyncio.sleep(0)
    await table.run_now("late")
    release.set()
    await asyncio.gather(running, stopping)
    assert [key for _, key, _ in kept.records] == ["slow"], "what it works on is taken away once nobody waits"


async def test_every_job_says_when_it_is_next_due() -> None:
    table, _, _ = timetable(Job("daily", "5 0 * * *", lambda: None))
    assert table.status()[0].next_ns is None
    table.start()
    due_ns = table.status()[0].next_ns
    await table.stop()
    assert due_ns is not None
    assert due_ns % 86_400_000_000_000 == 300_000_000_000, "UTC"


@pytest.mark.parametrize(
    "schedule", ["", "every", "every 0s", "every 5", "every -1s", "every 1.5h", "* * *", "61 * * * *"]
)
def test_a_schedule_that_cannot_be_read_is_one_line(schedule: str) -> None:
    with pytest.raises(SettingsError, match="is no schedule"):
        trigger_of(schedule)
