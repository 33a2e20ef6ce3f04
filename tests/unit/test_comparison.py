"""The other day beside a run: what is told of it, by processes that behave, fail, dawdle and talk nonsense."""

import asyncio
import os
import signal
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.engine.comparison import Comparison, OtherDay, Point, short_line

FIRST = Point(at_s=0.0, taken=0, pnl={"USDT": Decimal(0)}, best_gross_bps=None, needed_bps=None)
LATER = Point(at_s=70.0, taken=0, pnl={"USDT": Decimal(0)}, best_gross_bps=3.44, needed_bps=21.46)
LAST = Point(at_s=130.5, taken=1, pnl={"USDT": Decimal("-0.1234")}, best_gross_bps=24.0, needed_bps=21.5)
WHOLE = OtherDay(played_s=600.0, points=[FIRST, LATER, LAST])


def printing(*lines: str, then: str = "") -> list[str]:
    return [sys.executable, "-c", f"for line in {list(lines)!r}:\n    print(line, flush=True)\n{then}"]


def comparison(command: list[str], kept: Path, wanted_s: float = 600.0) -> Comparison:
    return Comparison("calm", command, wanted_s, kept)


async def until_state(one: Comparison, state: str, at_s: float) -> None:
    async with asyncio.timeout(60):
        while one.told(at_s)["state"] != state:
            await asyncio.sleep(0.01)


async def test_the_same_time_of_both_days_is_compared(tmp_path: Path) -> None:
    one = comparison(printing(WHOLE.model_dump_json()), tmp_path / "kept.json")
    await one.start()
    assert one.told(10.0)["taken"] is None
    assert short_line(one.told(10.0)) == "What the same day earns in calm is being computed"
    await until_state(one, "known", 10.0)
    assert (one.told(10.0)["seconds"], one.told(10.0)["taken"], one.told(10.0)["best_gross_bps"]) == (10.0, 0, None)
    assert one.told(10.0)["line"].startswith("the same 10 s in calm: 0 pairs taken, +0.00 USDT; in reality")
    assert short_line(one.told(75.0)) == "Same 75 s in calm: 0 taken, +0.00 USDT; best edge 3.4 of 21.5 bps"
    late = one.told(599.0)
    assert (late["taken"], late["pnl"]) == (1, {"USDT": "-0.1234"})
    assert late["line"] == "the same 9 min in calm: 1 pair taken, -0.12 USDT, best edge 24.0 of 21.5 bps"
    await one.stop()


async def test_a_longer_run_is_compared_with_what_there_is(tmp_path: Path) -> None:
    one = comparison(printing(WHOLE.model_dump_json()), tmp_path / "kept.json")
    await one.start()
    await until_state(one, "known", 10_000.0)
    assert one.told(10_000.0)["seconds"] == 600.0
    await one.stop()


async def test_what_is_known_so_far_is_told_while_the_rest_is_computed(tmp_path: Path) -> None:
    piece = OtherDay(played_s=30.0, points=[FIRST]).model_dump_json()
    one = comparison(printing(piece, then="import time; time.sleep(600)"), tmp_path / "kept.json")
    await one.start()
    await until_state(one, "known", 20.0)
    told = one.told(50.0)
    assert (told["state"], told["seconds"], told["taken"]) == ("computing", 30.0, 0)
    await one.stop()
    assert not (tmp_path / "kept.json").exists(), "half of a day is not kept for the whole"


async def test_a_day_that_is_known_is_not_computed_again(tmp_path: Path) -> None:
    kept = tmp_path / "calm" / "kept.json"
    first = comparison(printing(WHOLE.model_dump_json()), kept)
    await first.start()
    async with asyncio.timeout(60):
        while not kept.exists():
            await asyncio.sleep(0.01)
    await first.stop()
    second = comparison(["/no/such/program"], kept)
    await second.start()
    assert second.told(140.0) == first.told(140.0)
    assert second.told(140.0)["state"] == "known"
    longer = comparison(printing(then="raise SystemExit(3)"), kept, wanted_s=601.0)
    await longer.start()
    assert longer.told(1.0)["state"] == "computing", "what is kept is too short"
    await longer.stop()
    await second.stop()


@pytest.mark.parametrize("damage", ["", "{", '{"played_s": 1e9}x', '{"played_s": 1e9, "points": [{}]}'])
async def test_a_damaged_file_is_computed_again(tmp_path: Path, damage: str) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text(damage)
    one = comparison(printing(WHOLE.model_dump_json()), kept)
    await one.start()
    await until_state(one, "known", 140.0)
    assert one.told(140.0)["taken"] == 1
    await one.stop()


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(printing(then="raise SystemExit(3)"), id="it fails"),
        pytest.param(printing("nonsense"), id="it talks nonsense"),
        pytest.param(printing("x" * 100_000), id="it does not stop talking"),
        pytest.param(["/no/such/program"], id="it cannot be started"),
    ],
)
async def test_a_computation_that_fails_is_told_and_disturbs_nothing(tmp_path: Path, command: list[str]) -> None:
    one = comparison(command, tmp_path / "kept.json")
    await one.start()
    await until_state(one, "failed", 10.0)
    assert one.told(10.0)["taken"] is None
    assert "could not be computed" in short_line(one.told(10.0))
    assert "could not be computed" in one.told(10.0)["line"]
    await one.stop()
    assert not (tmp_path / "kept.json").exists()


async def test_nobody_is_told_that_a_day_is_being_computed_after_the_run(tmp_path: Path) -> None:
    one = comparison(printing(then="import time; time.sleep(600)"), tmp_path / "kept.json")
    await one.start()
    await one.stop()
    assert one.told(10.0)["state"] == "stopped"
    assert one.told(10.0)["line"] == "What the same day earns in calm was not computed before this run ended"


async def test_stopping_waits_for_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    stubborn = "import signal, os, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid(), flush=True)"
    told = tmp_path / "pid"
    command = [sys.executable, "-c", f"{stubborn}; open({str(told)!r}, 'w').write(str(os.getpid())); time.sleep(600)"]
    one = comparison(command, tmp_path / "kept.json")
    await one.start()
    async with asyncio.timeout(60):
        while not (told.exists() and told.read_text()):
            await asyncio.sleep(0.01)
    async with asyncio.timeout(60):
        await one.stop()
        await one.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), signal.SIGCONT)


@given(
    at_s=st.floats(0, 1e5),
    taken=st.integers(0, 99),
    pnl=st.decimals(-999, 999, places=4),
    best=st.none() | st.floats(-9, 99),
    needed=st.none() | st.floats(0, 99),
)
def test_the_short_line_fits_a_small_screen(
    at_s: float, taken: int, pnl: Decimal, best: float | None, needed: float | None
) -> None:
    one = comparison([], Path("kept.json"))
    point = Point(at_s=0.0, taken=taken, pnl={"USDT": pnl}, best_gross_bps=best, needed_bps=needed)
    one._day = OtherDay(played_s=3_600.0, points=[point])
    assert len(short_line(one.told(at_s))) <= 78, "80, less the margins"
