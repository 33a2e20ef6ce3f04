"""The job `backup`, by a process of its own."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from bot.errors import SettingsError
from bot.jobs import Job
from bot.settings import Settings
from bot.storage.backup.backup import backups
from bot.storage.backup.restore import restore
from modes.backup_job import backup_job
from modes.upkeep import check_schedules
from tests.unit.backup_house import facts, write_journal, write_minute


def settings(data_dir: Path, url: Path | None, schedule: str | None = "every 1h") -> Settings:
    place = None if url is None else str(url)
    jobs = {"backup": schedule}
    return Settings.model_validate({"data_dir": data_dir, "jobs": jobs, "backup": {"url": place, "keep": 2}})


def running(job: Job | None) -> Coroutine[Any, Any, str | None]:
    assert job is not None
    run = job.run()
    assert asyncio.iscoroutine(run)
    return run


async def test_what_is_backed_up_comes_back(tmp_path: Path) -> None:
    data_dir, place, again = tmp_path / "data", tmp_path / "backups", tmp_path / "again"
    write_journal(data_dir, range(20))
    write_minute(data_dir, 0)
    file = tmp_path / "settings.yaml"
    file.write_text("market: live\n")
    for _ in range(3):
        said = await running(backup_job(settings(data_dir, place), file))
        assert said is not None
        assert " files, " in said
    assert len(backups(str(place))) == 2, "as many as are kept"
    restore(str(place), again)
    assert facts(again) == facts(data_dir)


def test_a_backup_without_a_place_is_refused_at_the_start(tmp_path: Path) -> None:
    for refuses in (check_schedules, lambda wrong: backup_job(wrong, None)):
        with pytest.raises(SettingsError, match=r"jobs\.backup is set and backup\.url is not"):
            refuses(settings(tmp_path, None))
    assert backup_job(settings(tmp_path, None, schedule=None), None) is None


def test_a_schedule_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    wrong = Settings.model_validate({"data_dir": tmp_path, "jobs": {"fees": "hourly"}})
    with pytest.raises(SettingsError, match=r"jobs\.fees: 'hourly' is no schedule"):
        check_schedules(wrong)
