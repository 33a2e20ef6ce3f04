"""What is shown of jobs: last runs of earlier programs, misses, text from outside."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bot.clock import SystemClock
from bot.jobs import Job, JobState, Timetable, trigger_of, turns_between
from bot.ports import RecordKind
from bot.storage.no_journal import NoJournal
from bot.storage.schema import Record

PATIENCE_S = 30
HOUR_NS = 3_600_000_000_000


def timetable(*jobs: Job) -> Timetable:
    return Timetable(jobs, NoJournal(), SystemClock(), lambda level, text: None)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


def ran(name: str, ago_ns: int, **body: Any) -> dict[str, Record]:
    told = {"outcome": "ok", "detail": "", "took_s": 1.5, "missed": 0, "schedule": ""} | body
    return {name: Record(1, "run", RecordKind.JOB, SystemClock().now_ns() - ago_ns, name, told)}


def test_text_of_a_job_is_inert_and_short() -> None:
    state = JobState("backup", "every 1h", outcome="failed", detail="\x1b]0;owned\x07 =1+1\n[red]" + "x" * 1000)
    row = state.row()
    assert row.detail.startswith("]0;owned =1+1 [red]xxx")
    assert len(row.detail) == 200
    assert row.state == "failed"
    assert JobState("backup", "every 1h").row().state == "waiting"


async def test_the_last_run_of_an_earlier_program_is_shown() -> None:
    table = timetable(Job("merge", "every 1h", lambda: None), Job("new", "every 1h", lambda: None))
    table.recall(ran("merge", HOUR_NS, detail="3 segments") | ran("gone", 0))
    merge, new = (state.row() for state in table.status())
    assert (merge.state, merge.detail, merge.took_s, merge.runs) == ("ok", "3 segments", 1.5, 0)
    assert merge.last_ns is not None
    assert (new.state, new.last_ns) == ("waiting", None)


async def test_what_was_due_while_the_program_was_away_is_done_at_the_start() -> None:
    done: list[str] = []

    def job(name: str, schedule: str) -> Job:
        return Job(name, schedule, lambda: done.append(name))

    now = datetime.fromtimestamp(SystemClock().now_ns() / 1e9, UTC)
    earlier, later = now - timedelta(hours=3), now + timedelta(hours=3)
    daily = f"{earlier.minute} {earlier.hour} * * *"
    table = timetable(
        job("overdue", daily),
        job("done", daily),
        job("stopped", f"{later.minute} {later.hour} * * *"),
        job("often", "every 6h"),
        job("never", daily),
    )
    table.recall(
        ran("overdue", 30 * HOUR_NS)
        | ran("done", HOUR_NS)
        | ran("stopped", HOUR_NS, outcome="stopped")
        | ran("often", 90 * HOUR_NS)
    )
    table.start()
    await until(lambda: len(done) >= 2)
    await table.stop()
    assert sorted(done) == ["overdue", "stopped"]
    assert [state.missed for state in table.status()] == [0] * 5, "it was away, and missed nothing in this run"


async def test_what_may_be_cut_short_ends_with_the_program() -> None:
    begun = asyncio.Event()

    async def endless() -> str:
        begun.set()
        await asyncio.Event().wait()
        return ""

    table = timetable(Job("backup", "every 1s", endless, is_cut_short=True))
    table.start()
    async with asyncio.timeout(PATIENCE_S):
        await begun.wait()
        assert table.status()[0].row().state == "running"
        await table.stop()
        await table.stop()
    assert table.status()[0].row().state == "stopped"


@given(seconds=st.integers(1, 7_200), turns=st.integers(0, 900))
def test_turns_of_an_interval_are_counted(seconds: int, turns: int) -> None:
    first = datetime(2026, 11, 21, tzinfo=UTC)
    last = first + timedelta(seconds=seconds * turns)
    trigger = trigger_of(f"every {seconds}s")
    assert turns_between(trigger, first, last) == turns
    assert turns_between(trigger, last + timedelta(seconds=1), last) == 0


@given(days=st.integers(0, 400))
def test_turns_of_a_day_are_counted_over_every_month_and_year(days: int) -> None:
    first = datetime(2024, 1, 31, 0, 5, tzinfo=UTC)
    assert turns_between(trigger_of("5 0 * * *"), first, first + timedelta(days=days)) == days
