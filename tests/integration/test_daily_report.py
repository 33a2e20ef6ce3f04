"""The job `daily_report`: a day's post-mortem in files, by a process of its own."""

import json
from pathlib import Path
from typing import Any

import pytest

from bot.clock import VirtualClock
from bot.errors import StorageError
from bot.ports import RecordKind
from bot.settings import Settings
from bot.storage.journal import SqliteJournal
from modes.daily_report import daily_report_job, write_report
from tests.unit.test_postmortem_report import Book
from tests.unit.test_postmortem_stocks import inventory

DAY_NS = 86_400_000_000_000
HOUR_NS = DAY_NS // 24
DAY = 20_000 * DAY_NS  # 2024-10-04
NEXT_MORNING_NS = DAY + DAY_NS + HOUR_NS


def write_run(
    data_dir: Path, run_id: str, started_ns: int, decided_ns: list[int], ended_ns: int | None, market: str = "simulated"
) -> None:
    journal = SqliteJournal(data_dir, run_id)
    start = {
        "run_id": run_id, "strategy": "arbitrage", "market": market, "real_money": False, "version": "0.1.0",
        "started_ns": started_ns, "fees": {}, "funding_assumed": {},
    }  # fmt: skip
    journal.record(RecordKind.RUN, run_id, started_ns, start)
    for ts_ns in decided_ns:
        decision = {"route": "r", "outcome": "refused", "reason": "net_edge", "gross_bps": 1.0, "needed_bps": 2.0}
        journal.record(RecordKind.DECISION, "r", ts_ns, decision | {"net_bps": -1.0, "ts_ns": ts_ns})
    if ended_ns is not None:
        end = {"finished_ns": ended_ns, "complete": True, "summary": {"incomplete_because": []}, "marks": {}}
        journal.record(RecordKind.RUN, run_id, ended_ns, end)
    journal.close()


def told(data_dir: Path) -> dict[str, Any]:
    (market,) = json.loads((data_dir / "reports" / "2024-10-04.json").read_text())["markets"]
    found: dict[str, Any] = market
    return found


def refusals(market: dict[str, Any]) -> int:
    return sum(market["refusals"].values())


def test_the_report_is_of_the_past_day_alone(tmp_path: Path) -> None:
    write_run(tmp_path, "long-ago", DAY - 3 * HOUR_NS, [DAY - 2 * HOUR_NS], DAY - HOUR_NS)
    spread = [DAY - HOUR_NS, DAY + HOUR_NS, DAY + 2 * HOUR_NS, DAY + DAY_NS + 1]
    write_run(tmp_path, "over-both-nights", DAY - 2 * HOUR_NS, spread, NEXT_MORNING_NS)
    write_run(tmp_path, "today", DAY + DAY_NS + 5, [DAY + DAY_NS + 6], None)
    path = write_report(tmp_path, "arbitrage", NEXT_MORNING_NS)
    assert path == tmp_path / "reports" / "2024-10-04.txt"
    assert path.read_text().startswith("2024-10-04, UTC\n")
    assert "over-both-nights" in path.read_text()
    market = told(tmp_path)
    assert [run["run_id"] for run in market["runs"]] == ["over-both-nights"]
    assert refusals(market) == 2
    assert market["runs"][0]["complete"] is False, "as of midnight it had not ended"


def test_a_recorded_market_counts_whole_on_the_day_it_was_played(tmp_path: Path) -> None:
    write_run(
        tmp_path, "played", DAY + HOUR_NS, [DAY + 5 * DAY_NS, DAY - 5 * DAY_NS], DAY + 2 * HOUR_NS, market="recorded"
    )
    write_report(tmp_path, "arbitrage", NEXT_MORNING_NS)
    assert refusals(told(tmp_path)) == 2


def test_a_later_report_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    path = write_report(tmp_path, "arbitrage", NEXT_MORNING_NS)
    assert "no runs recorded" in path.read_text()
    write_run(tmp_path, "found", DAY + HOUR_NS, [DAY + HOUR_NS], None)
    assert write_report(tmp_path, "arbitrage", NEXT_MORNING_NS + HOUR_NS) == path
    assert "found" in path.read_text()
    assert sorted(one.name for one in path.parent.iterdir()) == ["2024-10-04.json", "2024-10-04.txt"]


async def test_the_job_writes_it_in_a_process_of_its_own(tmp_path: Path) -> None:
    write_run(tmp_path, "found", DAY + HOUR_NS, [DAY + HOUR_NS], None)
    job = daily_report_job(Settings.model_validate({"data_dir": tmp_path}), VirtualClock(NEXT_MORNING_NS))
    assert job is not None
    said = job.run()
    assert not isinstance(said, str)
    assert said is not None
    assert await said == "reports/2024-10-04.txt"
    assert refusals(told(tmp_path)) == 1


async def test_a_report_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"no database at all, and long enough to be looked at" * 100)
    job = daily_report_job(Settings.model_validate({"data_dir": tmp_path}), VirtualClock(NEXT_MORNING_NS))
    assert job is not None
    said = job.run()
    assert not isinstance(said, str)
    assert said is not None
    with pytest.raises(StorageError, match=r"journal\.db"):
        await said


def test_no_schedule_no_job(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path, "jobs": {"daily_report": None}})
    assert daily_report_job(settings, VirtualClock()) is None


def test_a_pair_that_ended_at_midnight_is_told_with_all_its_fills(tmp_path: Path) -> None:
    """The venue's clock is a little ahead: it dates the last fill on the next day, and we the end on this one."""
    midnight = DAY + DAY_NS
    with Book(tmp_path, market="simulated", started_ns=DAY + HOUR_NS) as book:
        inventory(book, "r1-1", opened_ns=midnight - 20, filled_ns=midnight + 30, ended_ns=midnight - 10)
        inventory(book, "r1-2", opened_ns=midnight + 50, filled_ns=midnight - 40, ended_ns=midnight + 60)
    write_report(tmp_path, "arbitrage", NEXT_MORNING_NS)
    market = told(tmp_path)
    assert [(pair["pair"], pair["by_asset"]) for pair in market["pairs"]] == [("r1-1", {"USDT": "2"})]
    assert market["open_pairs"] == []
    assert market["runs"][0]["problems"] == ["no end was recorded: it runs still, or was killed"]
    write_report(tmp_path, "arbitrage", NEXT_MORNING_NS + DAY_NS)
    (next_day,) = json.loads((tmp_path / "reports" / "2024-10-05.json").read_text())["markets"]
    assert [(pair["pair"], pair["by_asset"]) for pair in next_day["pairs"]] == [("r1-2", {"USDT": "2"})]
