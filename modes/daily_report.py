"""The job `daily_report`: the past UTC day's post-mortem, as text and as JSON, in `data_dir/reports`."""

import os
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.clock import Clock
from bot.errors import StorageError
from bot.jobs import Job
from bot.ports import RecordKind
from bot.settings import Settings
from bot.storage.queries import JournalReader, Record, Run
from modes.nice_process import in_nice_process, serve

REPORTS = "reports"
"""Directory below the data directory."""
_MODULE = "modes.daily_report"
_DAY_NS = 86_400_000_000_000
_WIDTH = 120
_RECORDED = "recorded"
_VENUES_TIME = (RecordKind.FILL.value, RecordKind.FUNDING.value)
"""Records that bear their venue's time. It is not ours: a fill may be dated after the end of the pair that it ended."""


def daily_report_job(settings: Settings, clock: Clock) -> Job | None:
    """The job; None where it has no schedule."""
    if settings.jobs.daily_report is None:
        return None

    async def run() -> str:
        wanted = {"data_dir": str(settings.data_dir.absolute()), "strategy": settings.strategy}
        return await in_nice_process(_MODULE, wanted | {"now_ns": clock.now_ns()})

    return Job("daily_report", settings.jobs.daily_report, run, is_cut_short=True)


def write_report(data_dir: Path, strategy: str, now_ns: int) -> Path:
    """Write the report of the last whole UTC day before `now_ns`; the text's path, beside which the JSON lies.

    Raises:
        StorageError: If the journal cannot be read, or the files cannot be written.
    """
    # Imported here: a run only orders the report, and needs nothing of what makes it.
    from postmortem.render import render_table
    from postmortem.report import build_report

    start_ns = (now_ns // _DAY_NS - 1) * _DAY_NS
    with DayReader.open(data_dir) as reader:
        reader.until_ns = start_ns + _DAY_NS
        report = build_report(reader, strategy, since_ns=start_ns)
    path = data_dir / REPORTS / f"{datetime.fromtimestamp(start_ns // 1_000_000_000, UTC):%Y-%m-%d}.txt"
    title = f"{path.stem}, UTC\n\n"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(path, title + render_table(report, width=_WIDTH))
        _replace(path.with_suffix(".json"), report.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise StorageError(f"{error.filename or path} cannot be written: {error.strerror}") from error
    return path


class DayReader(JournalReader):
    """A journal that ends at `until_ns`: runs in real time say what they had said by then, by our own clock.

    Runs of a recorded market have a time of their own: one that was started in time counts whole.
    """

    until_ns = 2**63 - 1
    """UTC ns."""

    def __init__(self, connection: sqlite3.Connection | None, path: Path) -> None:
        """See `JournalReader`."""
        super().__init__(connection, path)
        self._firsts: dict[tuple[str, int], int | None] = {}

    def runs(self, since_ns: int | None = None) -> list[Run]:
        """See `JournalReader.runs`."""
        return [self._cut(run) for run in super().runs(since_ns) if run.started_ns < self.until_ns]

    def records(self, run_id: str, *kinds: RecordKind) -> Iterator[Record]:
        """See `JournalReader.records`."""
        first_after = None if self._is_recorded(run_id) else self._first_after(run_id)
        return (one for one in super().records(run_id, *kinds) if first_after is None or one.seq < first_after)

    def _first_after(self, run_id: str) -> int | None:
        """The place of the first record of the next day; None where there is none."""
        key = run_id, self.until_ns
        if key not in self._firsts:
            first = f"SELECT min(seq) FROM records WHERE run_id = ? AND ts_ns >= {self.until_ns} AND kind NOT IN (?, ?)"  # noqa: S608 - a number of ours
            ((self._firsts[key],),) = self._rows(first, (run_id, *_VENUES_TIME))
        return self._firsts[key]

    def _cut(self, run: Run) -> Run:
        if run.last_ns < self.until_ns or run.start.get("market") == _RECORDED:
            return run
        # Its summary and its last prices are of the next day.
        return replace(run, end=None, last_ns=self.until_ns, market_ended_ns=None)

    def _is_recorded(self, run_id: str) -> bool:
        first = next(super().records(run_id, RecordKind.RUN), None)
        return first is not None and first.body.get("market") == _RECORDED


def _replace(path: Path, text: str) -> None:
    """Whole or not at all: who reads it meanwhile sees the old one."""
    beside = path.with_name(path.name + ".new")
    with suppress(FileNotFoundError):
        beside.unlink()
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _report(wanted: Mapping[str, Any]) -> str:
    path = write_report(Path(wanted["data_dir"]), wanted["strategy"], wanted["now_ns"])
    return f"{path.parent.name}/{path.name}"


if __name__ == "__main__":
    sys.exit(serve(_report))
