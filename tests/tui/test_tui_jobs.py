"""Panel 6: jobs and the way to MongoDB, on a real socket."""

from pathlib import Path

import pytest

from bot.domain.snapshot import JobRow, ShipperRow, ShipperSourceRow, UpkeepStatus
from bot.tui.jobs import troubles
from tests.tui.demo_engine import START_NS
from tests.tui.tui_scene import scene, screen_text, until


def job(name: str = "minutes", state: str = "ok", detail: str = "3 minutes of trades", missed: int = 0) -> JobRow:
    return JobRow(
        name=name, schedule="every 60s", state=state, runs=4, failures=int(state == "failed"), missed=missed,
        last_ns=START_NS, took_s=0.25, next_ns=START_NS + 60_000_000_000, detail=detail,
    )  # fmt: skip


def shipper(state: str = "connected", lag_s: float = 0.0, message: str = "") -> ShipperRow:
    source = ShipperSourceRow(
        name="journal", rows_waiting=1_234, lag_s=lag_s, documents=10, duplicates=0, rows_missing=0, aside=0, message=""
    )
    return ShipperRow(target="localhost/bot", state=state, message=message, lag_s=lag_s, sources=(source,))


async def test_jobs_and_mongodb_are_told(socket_path: Path) -> None:
    waiting = job("backup", "waiting").model_copy(update={"last_ns": None, "took_s": None, "detail": ""})
    upkeep = UpkeepStatus(jobs=(job(missed=2), waiting), shipper=shipper(lag_s=3.0))
    async with scene(socket_path, upkeep=upkeep) as (_, app, pilot):
        assert "6 Jobs" not in screen_text(app)
        await pilot.press("6")
        await until(lambda: "6 Jobs" in screen_text(app), pilot)
        text = screen_text(app)
        for words in ("MongoDB journal", "● connected", "3.0 s behind", "1,234 rows wait", "minutes", "● ok",
                      "10:00:00", "10:01:00", "0.2 s", "3 minutes of trades", "○ waiting"):  # fmt: skip
            assert words in text, words
        assert "3 Feeds" not in text
        await pilot.press("3")
        await until(lambda: "3 Feeds" in screen_text(app), pilot)
        assert "6 Jobs" not in screen_text(app)


@pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])
async def test_trouble_is_on_every_screen(socket_path: Path, size: tuple[int, int]) -> None:
    upkeep = UpkeepStatus(jobs=(job("backup", "failed", "the disk is full"),), shipper=shipper())
    async with scene(socket_path, size, upkeep=upkeep) as (_, app, pilot):
        await until(lambda: "JOB BACKUP FAILED" in screen_text(app), pilot)
        await pilot.press("6")
        await until(lambda: "■ failed" in screen_text(app), pilot)


async def test_a_hostile_text_is_no_markup_and_no_escape(socket_path: Path) -> None:
    upkeep = UpkeepStatus(jobs=(job(detail="\x1b[31m[bold]boo[/bold]\x07"),))
    async with scene(socket_path, upkeep=upkeep) as (_, app, pilot):
        await pilot.press("6")
        await until(lambda: "[bold]boo[/bold]" in screen_text(app), pilot)
        assert "\x1b" not in screen_text(app)
        assert "\x07" not in screen_text(app)


async def test_where_there_are_no_jobs_it_says_so(socket_path: Path) -> None:
    async with scene(socket_path) as (_, app, pilot):
        await pilot.press("6")
        await until(lambda: "no jobs on this market" in screen_text(app), pilot)


def test_only_trouble_is_told_in_the_header() -> None:
    assert troubles(UpkeepStatus(jobs=(job(), job("x", "stopped")), shipper=shipper(lag_s=900))) == []
    away = UpkeepStatus(jobs=(job("fees", "failed"),), shipper=shipper("away", 900))
    assert troubles(away) == ["JOB FEES FAILED", "MONGODB AWAY, 15 min BEHIND"]
