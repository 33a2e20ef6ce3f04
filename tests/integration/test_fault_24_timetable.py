"""Fault 24: the loop stands still past the turns of jobs, as in a stall, a suspended machine, a clock that jumps."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.clock import SystemClock
from bot.jobs import Job, Timetable
from bot.ports import RecordKind

PATIENCE_S = 30


class Kept:
    def __init__(self) -> None:
        self.bodies: list[Mapping[str, Any]] = []

    def record(self, kind: RecordKind, key: str, ts_ns: int, body: Any) -> None:
        self.bodies.append(dict(body))

    def when_durable(self, callback: Callable[[], None]) -> None:
        callback()

    def close(self) -> None: ...


def utc_now() -> datetime:
    return datetime.fromtimestamp(SystemClock().now_ns() / 1e9, UTC)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


async def test_fault_24_turns_missed_in_a_stall_are_counted_and_made_up_for_once() -> None:
    kept, said = Kept(), []

    async def note() -> str:
        return ""

    table = Timetable(
        [Job("minutes", "every 1s", note)], kept, SystemClock(), lambda level, text: said.append(f"{level}: {text}")
    )
    table.start()
    first = table._due["minutes"]
    assert first is not None
    time.sleep(3.2)  # the stall itself: three turns pass, and nothing of the loop moves
    await until(lambda: len(kept.bodies) >= 2)
    assert kept.bodies[0]["missed"] >= 2, "the journal knows, from the first run on"
    assert said[0].startswith("warning: job minutes missed ")

    def is_every_turn_told() -> bool:
        # Each was either run or missed: were the missed ones run as well, there would be more.
        (state,), due = table.status(), table._due["minutes"]
        assert due is not None
        return timedelta(seconds=state.runs + state.missed) == due - first

    await until(is_every_turn_told)
    await table.stop()


async def test_fault_24_a_job_of_the_night_runs_though_the_machine_slept_through_its_time() -> None:
    ran: list[int] = []
    kept = Kept()
    now = utc_now()
    yesterday = now - timedelta(hours=30)
    schedule = f"{yesterday.minute} {yesterday.hour} * * *"

    async def report() -> str:
        ran.append(1)
        return ""

    table = Timetable([Job("daily_report", schedule, report)], kept, SystemClock(), lambda level, text: None)
    table.start()
    # As a suspended machine wakes up: its turn was 30 hours ago, and the one after it 6 hours ago.
    slept = yesterday.replace(second=0, microsecond=0)
    table._due["daily_report"] = slept
    table._scheduler.modify_job("daily_report", next_run_time=slept)
    await until(lambda: bool(kept.bodies))
    await table.stop()
    assert len(ran) == 1
    assert kept.bodies[0]["missed"] == 1


@pytest.mark.parametrize("hours", [1, 24 * 400])
async def test_fault_24_a_long_sleep_is_counted_without_holding_the_loop_up(hours: int) -> None:
    kept = Kept()
    table = Timetable([Job("minutes", "* * * * *", lambda: None)], kept, SystemClock(), lambda level, text: None)
    table.start()
    slept = (utc_now() - timedelta(hours=hours)).replace(second=0, microsecond=0)
    table._due["minutes"] = slept
    table._scheduler.modify_job("minutes", next_run_time=utc_now().replace(second=0, microsecond=0))
    await until(lambda: bool(kept.bodies))
    await table.stop()
    missed = kept.bodies[0]["missed"]
    assert missed == 1_000 if hours > 24 else 59 <= missed <= 61
