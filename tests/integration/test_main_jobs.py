"""The jobs of a run as a user starts it: real processes, the journal looked through afterwards."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bot.ports import RecordKind
from bot.storage.backup.backup import backups
from bot.storage.queries import JournalReader

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 120
NAMES = ("clock_offset", "backup", "daily_report", "fees")


def run(data_dir: Path, *settings: str, for_s: str = "10s") -> list[Mapping[str, Any]]:
    """A run on the simulated exchanges; its records of jobs, the name with each."""
    words = [word for setting in settings for word in ("--set", setting)]
    command = [sys.executable, str(ROOT / "main.py"), "--market", "simulated", "--for", for_s, "--json", *words]
    environment = {name: value for name, value in os.environ.items() if name != "MONGODB_URI"}
    done = subprocess.run(
        [*command, "--data-dir", str(data_dir)],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run_id = json.loads(done.stdout)["run_id"]
    with JournalReader.open(data_dir) as reader:
        return [{"name": record.key, **record.body} for record in reader.records(run_id, RecordKind.JOB)]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Mapping[str, Any]]]:
    data_dir = tmp_path_factory.mktemp("jobs")
    often = ("jobs.clock_offset=every 1s", "jobs.backup=every 2s", "jobs.daily_report=every 2s", "jobs.fees=every 2s")
    return data_dir, run(data_dir, *often, f"backup.url={data_dir / 'backups'}", for_s="15s")


def test_a_run_on_simulated_exchanges_has_its_jobs(done: tuple[Path, list[Mapping[str, Any]]]) -> None:
    _, records = done
    outcomes = {name: [one["outcome"] for one in records if one["name"] == name] for name in NAMES}
    for name in NAMES:
        assert "ok" in outcomes[name], records
        assert set(outcomes[name]) <= {"ok", "stopped"}, records
    assert {one["name"] for one in records} == set(NAMES), "no archive, no jobs of one"


def test_what_they_made_is_there(done: tuple[Path, list[Mapping[str, Any]]]) -> None:
    data_dir, _ = done
    assert backups(str(data_dir / "backups"))
    suffixes = sorted(path.suffix for path in (data_dir / "reports").iterdir())
    assert suffixes == [".json", ".txt"]


def test_a_job_that_fails_is_told_and_the_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("in the way of the directory")
    (record, *_) = run(tmp_path, "jobs.clock_offset=", "jobs.daily_report=every 2s")
    assert record["name"] == "daily_report"
    assert record["outcome"] == "failed"
    assert "reports" in record["detail"]
