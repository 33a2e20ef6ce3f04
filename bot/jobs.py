"""The timetable: what is done every minute, every night, beside trading.

APScheduler keeps the times: UTC, one run of a job at a time, runs that were missed while the machine slept are made
up for once. Nothing is pickled: jobs are built anew at every start, and what ran stands in the journal.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobExecutionEvent, JobSubmissionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from bot.clock import Clock
from bot.errors import BotError, SettingsError
from bot.ports import Journal, RecordKind

_LATE_S = 60
"""A run that could not start for longer than this is missed."""
_NS = 1_000_000_000
_SILENT = logging.getLogger("bot.jobs.apscheduler")
"""What it would warn of, we tell ourselves."""
_SILENT.disabled = True


@dataclass(frozen=True, slots=True)
class Job:
    """Something that is done again and again."""

    name: str
    schedule: str
    """`every 60s`, `every 6h`, or five cron fields in UTC: `5 0 * * *`."""
    run: Callable[[], str | None] | Callable[[], Coroutine[Any, Any, str | None]]
    """Says in a line what it did; a plain function runs in a thread of its own, a coroutine beside trading."""


@dataclass(slots=True)
class JobState:
    """How a job has fared in this run; times are UTC ns."""

    name: str
    schedule: str
    runs: int = 0
    failures: int = 0
    missed: int = 0
    started_ns: int | None = None
    """Of the newest run."""
    took_s: float | None = None
    """None: it has not ended yet."""
    outcome: str = ""
    """`ok`, or `failed`."""
    detail: str = ""
    next_ns: int | None = None


class Timetable:
    """Runs jobs on the running loop. Where a job fails, the others go on, and it has its next turn."""

    def __init__(self, jobs: Sequence[Job], journal: Journal, clock: Clock, log: Callable[[str, str], None]) -> None:
        """Nothing happens before `start`.

        Args:
            jobs: Each name once.
            journal: Keeps every run of a job that took its turn, under `RecordKind.JOB`.
            clock: Dates what is kept.
            log: Hears of failures and misses: a level and a line.

        Raises:
            SettingsError: If a schedule cannot be read.
        """
        self._jobs = {job.name: job for job in jobs}
        assert len(self._jobs) == len(jobs), "two jobs of one name"
        self._journal = journal
        self._clock = clock
        self._log = log
        self._states = {job.name: JobState(job.name, job.schedule) for job in jobs}
        self._running: dict[str, asyncio.Task[Any]] = {}
        self._scheduler = AsyncIOScheduler(timezone=UTC, logger=_SILENT)
        self._scheduler.add_listener(self._on_missed, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
        for job in jobs:
            self._scheduler.add_job(
                self._run,
                trigger_of(job.schedule),
                (job.name,),
                id=job.name,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=_LATE_S,
            )

    def start(self) -> None:
        """Begin; needs a running loop."""
        self._scheduler.start()

    async def stop(self) -> None:
        """Start nothing any more, and wait for what runs."""
        if not self._scheduler.running:
            return
        self._scheduler.pause()  # its own shutdown cancels what runs
        if self._running:
            await asyncio.wait(self._running.values())
        self._scheduler.shutdown(wait=False)

    async def run_now(self, name: str) -> JobState:
        """Run one job out of its turn; how it went."""
        await self._run(name)
        return self._states[name]

    def status(self) -> list[JobState]:
        """Every job with its newest run."""
        for state in self._states.values():
            job = self._scheduler.get_job(state.name)
            at = getattr(job, "next_run_time", None)
            state.next_ns = None if at is None else round(at.timestamp() * _NS)
        return list(self._states.values())

    async def _run(self, name: str) -> None:
        if name in self._running:
            return  # its turn came while somebody has it run out of its turn, or the other way round
        task = asyncio.current_task()
        assert task is not None
        self._running[name] = task
        try:
            await self._do(self._jobs[name], self._states[name])
        finally:
            del self._running[name]

    async def _do(self, job: Job, state: JobState) -> None:
        state.runs += 1
        state.started_ns, state.took_s = self._clock.now_ns(), None
        began_ns = self._clock.monotonic_ns()
        try:
            if asyncio.iscoroutinefunction(job.run):
                said = await job.run()
            else:
                said = await asyncio.to_thread(job.run)
            state.outcome, state.detail = "ok", str(said or "")
        except BotError as error:
            self._failed(state, str(error))
        except Exception as error:  # noqa: BLE001 - whatever a job does wrong must not end trading
            self._failed(state, f"our bug: {type(error).__name__}: {error}")
        state.took_s = (self._clock.monotonic_ns() - began_ns) / _NS
        self._journal.record(RecordKind.JOB, job.name, state.started_ns, _body(state))

    def _failed(self, state: JobState, why: str) -> None:
        state.failures += 1
        state.outcome, state.detail = "failed", why
        self._log("warning", f"job {state.name} failed: {why}")

    def _on_missed(self, event: JobExecutionEvent | JobSubmissionEvent) -> None:
        state = self._states[event.job_id]
        state.missed += 1
        self._log("warning", f"job {state.name} missed a turn ({state.missed} so far)")


def trigger_of(schedule: str) -> BaseTrigger:
    """When a job is due.

    Raises:
        SettingsError: If the schedule is neither `every N s|m|h` nor five cron fields.
    """
    first, _, rest = schedule.strip().partition(" ")
    try:
        if first == "every":
            return IntervalTrigger(seconds=_seconds(rest.replace(" ", "")), timezone=UTC)
        return CronTrigger.from_crontab(schedule, timezone=UTC)
    except ValueError:
        raise SettingsError(
            f"{schedule!r} is no schedule: write `every 60s`, `every 6h`, or five cron fields in UTC (`5 0 * * *`)"
        ) from None


def _seconds(text: str) -> int:
    unit = {"s": 1, "m": 60, "h": 3600}.get(text[-1:])
    if unit is None or not text[:-1].isascii() or not text[:-1].isdigit() or int(text[:-1]) == 0:
        raise ValueError(text)
    return int(text[:-1]) * unit


def _body(state: JobState) -> Mapping[str, Any]:
    return {
        "outcome": state.outcome,
        "detail": state.detail,
        "took_s": state.took_s,
        "missed": state.missed,
        "schedule": state.schedule,
    }
