"""The timetable: what is done every minute, every night, beside trading.

APScheduler keeps the times: UTC, one run of a job at a time, runs that were missed while the machine slept are made
up for once. Nothing is pickled: jobs are built anew at every start, and what ran stands in the journal.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_SUBMITTED, JobSubmissionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from bot.clock import Clock
from bot.domain.snapshot import JobRow
from bot.errors import BotError, SettingsError
from bot.ports import Journal, RecordKind
from bot.storage.schema import Record
from bot.text import clip, inert

_MOST_COUNTED = 1_000
"""Of turns that one standstill may have made a job miss: a count beyond it tells nobody more."""
_DETAIL_LENGTH = 200
_STOPPED = "stopped"
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
    is_cut_short: bool = False
    """A coroutine that is cancelled when the program ends, and not waited for: it begins again at its next turn."""


@dataclass(slots=True)
class JobState:
    """How a job has fared; counts are of this run, times UTC ns."""

    name: str
    schedule: str
    runs: int = 0
    failures: int = 0
    missed: int = 0
    """Turns that passed without a run: the loop stood still, the machine slept, or the run before had not ended."""
    started_ns: int | None = None
    """Of the newest run, which may have been an earlier program's."""
    took_s: float | None = None
    """None: it has not ended yet."""
    outcome: str = ""
    """`ok`, `failed` or `stopped`; empty before the first run has ended."""
    detail: str = ""
    next_ns: int | None = None
    is_running: bool = False

    def row(self) -> JobRow:
        """For the screen: what the job said is on one line, inert, and not longer than a person reads."""
        return JobRow(
            name=self.name,
            schedule=self.schedule,
            state="running" if self.is_running else self.outcome or "waiting",
            runs=self.runs,
            failures=self.failures,
            missed=self.missed,
            last_ns=self.started_ns,
            took_s=self.took_s,
            next_ns=self.next_ns,
            detail=clip(inert(self.detail), _DETAIL_LENGTH),
        )


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
        self._triggers = {job.name: trigger_of(job.schedule) for job in jobs}
        self._due: dict[str, datetime | None] = {}
        """The next turn of each job that nothing is known of yet."""
        self._is_started = self._is_stopping = False
        self._scheduler = AsyncIOScheduler(timezone=UTC, logger=_SILENT)
        self._scheduler.add_listener(self._on_turn, EVENT_JOB_SUBMITTED | EVENT_JOB_MAX_INSTANCES)
        for job in jobs:
            self._scheduler.add_job(
                self._run,
                self._triggers[job.name],
                (job.name,),
                id=job.name,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,  # a run that starts late is better than none until tomorrow
            )

    def recall(self, records: Mapping[str, Record]) -> None:
        """Show the last runs of an earlier program; call it before `start`.

        Args:
            records: By job, what the journal has of its last run; of jobs that there are no more too.
        """
        for name, record in records.items():
            if name in self._states:
                state, body = self._states[name], record.body
                state.started_ns, state.took_s = record.ts_ns, body.get("took_s")
                state.outcome, state.detail = str(body.get("outcome", "")), str(body.get("detail", ""))

    def start(self) -> None:
        """Begin; needs a running loop. What had a time of day that passed since its last run has its turn at once."""
        self._scheduler.start()
        self._is_started = True
        now = datetime.fromtimestamp(self._clock.now_ns() / _NS, UTC)
        for name, state in self._states.items():
            if self._is_overdue(state, now):
                self._scheduler.modify_job(name, next_run_time=now)
        self._due = {name: self._scheduler.get_job(name).next_run_time for name in self._jobs}

    def _is_overdue(self, state: JobState, now: datetime) -> bool:
        """Whether the program was away when the job was due; what is done every few minutes comes soon anyway."""
        trigger = self._triggers[state.name]
        if state.started_ns is None or not isinstance(trigger, CronTrigger):
            return False
        last = datetime.fromtimestamp(state.started_ns / _NS, UTC)
        due = trigger.get_next_fire_time(last, last)
        return state.outcome == _STOPPED or (due is not None and due <= now)

    async def stop(self) -> None:
        """Start nothing any more, and wait for what runs, or end it where it may be; a second call does nothing."""
        if not self._is_started:
            return
        self._is_started = False  # the scheduler itself ends a turn of the loop later
        self._is_stopping = True
        self._scheduler.pause()  # its own shutdown cancels what runs
        for name, task in self._running.items():
            if self._jobs[name].is_cut_short:
                task.cancel()
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
            state.is_running = state.name in self._running
        return list(self._states.values())

    async def _run(self, name: str) -> None:
        if self._is_stopping:
            return  # its turn had come, and nobody would wait for its end
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
        except asyncio.CancelledError:
            state.outcome, state.detail = _STOPPED, "the program ended"  # by `stop`; nobody else has this task
        except Exception as error:  # noqa: BLE001 - whatever a job does wrong must not end trading
            self._failed(state, f"our bug: {type(error).__name__}: {error}")
        state.took_s = (self._clock.monotonic_ns() - began_ns) / _NS
        self._journal.record(RecordKind.JOB, job.name, state.started_ns, _body(state))

    def _failed(self, state: JobState, why: str) -> None:
        state.failures += 1
        state.outcome, state.detail = "failed", why
        self._log("warning", f"job {state.name} failed: {why}")

    def _on_turn(self, event: JobSubmissionEvent) -> None:
        """A turn came: count those that passed unseen before it, and itself where the run before has not ended."""
        name, turn = event.job_id, event.scheduled_run_times[-1]
        trigger, due = self._triggers[name], self._due.get(name)
        missed = turns_between(trigger, due, turn) if due is not None else 0
        self._due[name] = trigger.get_next_fire_time(turn, turn)
        if missed := missed + (event.code == EVENT_JOB_MAX_INSTANCES):
            state = self._states[name]
            state.missed += missed
            turns = "a turn" if missed == 1 else f"{missed} turns"
            self._log("warning", f"job {name} missed {turns} ({state.missed} so far)")


def turns_between(trigger: BaseTrigger, first: datetime, last: datetime) -> int:
    """Turns from `first`, which is one, to before `last`; at most a thousand."""
    count, turn = 0, first
    while turn < last and count < _MOST_COUNTED:
        count += 1
        following = trigger.get_next_fire_time(turn, turn)
        if following is None:
            break
        turn = following
    return count


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
