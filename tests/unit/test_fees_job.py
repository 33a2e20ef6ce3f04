"""The job `fees` waits for its turn, asks the venues then, and tells what came of it."""

import asyncio

import pytest

from bot.clock import SystemClock
from bot.errors import VenueUnavailable
from bot.jobs import Timetable
from bot.settings import Settings
from modes.upkeep import fees_job
from tests.unit.test_jobs import Kept, until


def settings(schedule: str | None) -> Settings:
    return Settings.model_validate({"jobs": {"fees": schedule}})


async def test_the_venues_are_asked_at_each_turn_and_not_before() -> None:
    loop = asyncio.get_running_loop()
    began_s, asked = loop.time(), list[float]()

    async def refresh() -> None:
        asked.append(loop.time() - began_s)

    job = fees_job(settings("every 1s"), refresh)
    assert job is not None
    kept = Kept()
    table = Timetable([job], kept, SystemClock(), lambda level, text: None)
    assert not asked  # that it is listed asks nobody
    table.start()
    await until(lambda: len(kept.records) >= 2)
    await table.stop()
    assert len(asked) >= 2
    assert asked[0] >= 0.9  # its first turn is one interval away, not the start
    assert asked[1] - asked[0] >= 0.5
    (row,) = table.status()
    assert (row.name, row.outcome, row.detail) == ("fees", "ok", "fees and funding asked for again")


async def test_a_venue_that_does_not_answer_fails_the_turn_alone() -> None:
    async def refresh() -> None:
        raise VenueUnavailable("bybit", "away")

    job = fees_job(settings("every 1h"), refresh)
    assert job is not None
    kept = Kept()
    table = Timetable([job], kept, SystemClock(), lambda level, text: None)
    state = await table.run_now("fees")
    assert (state.outcome, state.detail) == ("failed", "bybit: away")


@pytest.mark.parametrize("schedule", [None, "every 1h"])
def test_without_a_schedule_or_anybody_to_ask_there_is_no_such_job(schedule: str | None) -> None:
    assert fees_job(settings(schedule), None) is None


def test_without_a_schedule_it_is_left_out() -> None:
    async def refresh() -> None: ...

    assert fees_job(settings(None), refresh) is None
