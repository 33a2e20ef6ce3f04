"""Fault 23: a host in Berlin, in the nights when its clocks change. Days and jobs go by UTC, once each."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHILD = """
import json, time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from bot.jobs import trigger_of
from bot.risk.results import Results
from bot.tui.words import time_of_day

start = datetime.fromisoformat("{start}T12:00:00+00:00")
ns = lambda moment: round(moment.timestamp()) * 10**9
trigger, turns, now = trigger_of("30 1 * * *"), [], start
last = None
while len(turns) < 3:
    last = trigger.get_next_fire_time(last, now)
    turns.append(last.astimezone(UTC).isoformat())
    now = last
results, days = Results(), []
for minute in range(0, 72 * 60, 10):
    moment = start + timedelta(minutes=minute)
    if results.today(ns(moment)) == 0:
        days.append(moment.isoformat())
    results.add(Decimal(-1), ns(moment))
print(json.dumps(dict(zone=time.tzname, turns=turns, days=days, shown=time_of_day(ns(start)))))
"""


def told(zone: str, start: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(start=start)],
        cwd=ROOT, env=os.environ | {"TZ": zone}, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


@pytest.mark.parametrize("start", ["2026-03-28", "2026-10-24"])
def test_fault_23_where_the_clocks_change_days_and_jobs_go_by_utc(start: str) -> None:
    year_month, day = start[:8], int(start[8:])
    berlin = told("Europe/Berlin", start)
    assert berlin["zone"] == ["CET", "CEST"]
    nights = [f"{year_month}{day + later:02d}T" for later in (1, 2, 3)]
    assert berlin["turns"] == [f"{night}01:30:00+00:00" for night in nights], "once in each night"
    assert berlin["days"] == [f"{start}T12:00:00+00:00", *(f"{night}00:00:00+00:00" for night in nights)]
    assert berlin["shown"].startswith("12:00:00")
    assert {key: berlin[key] for key in ("turns", "days", "shown")} == {
        key: value for key, value in told("UTC", start).items() if key != "zone"
    }
