"""The strategy that docs/strategies.md shows: it is short, it is found, it trades, and it is explained."""

import json
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 180
RUN = "import strategies, sys; strategies.__path__.append(sys.argv.pop(1)); import main; sys.exit(main.main())"
"""As `python main.py`, with one more place to find strategies in."""


@pytest.fixture(scope="module")
def code() -> str:
    (found,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "strategies.md").read_text(), re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def place(code: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("strategies")
    (directory / "meeting.py").write_text(code)
    return directory


def run(place: Path, data_dir: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, str(place), "--data-dir", str(data_dir), "--strategy", "meeting", *words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CRYPTO_PIPE__")}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=WAIT_S, env=environment, cwd=ROOT, check=False
    )


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def test_it_is_complete_in_under_fifty_lines(code: str) -> None:
    assert len(code.splitlines()) < 50


def test_it_decides_trades_on_paper_and_is_explained(place: Path, tmp_path: Path) -> None:
    summary = told(run(place, tmp_path, "--market", "recorded", "--headless", "--json"))
    assert summary["decisions"]["taken"] > 0
    assert summary["fills"] > 0
    assert summary["open_pairs"] == 0
    report = told(run(place, tmp_path, "--mode", "post-mortem", "--json"))
    (market,) = report["markets"]
    assert Decimal(report["residual"]) == 0
    assert market["runs"][0]["unexplained"] == {}
    assert Decimal(market["profit"]["USDT"]) == Decimal(summary["pnl"]["USDT"])
    assert set(market["closes"]) <= {"met", "max_holding"}


def test_its_settings_are_settings_like_any_other(place: Path, tmp_path: Path) -> None:
    shown = run(place, tmp_path, "--set", "meeting.max_holding_s=30", "--show-config")
    assert shown.returncode == 0, shown.stderr
    assert re.search(r"max_holding_s: 30", shown.stdout)
    wrong = run(place, tmp_path, "--set", "meeting.max_holding_s=0", "--show-config")
    assert wrong.returncode == 2
    assert "meeting.max_holding_s must be a number above 0" in wrong.stderr
    schema = json.loads(run(place, tmp_path, "--json-schema").stdout)
    assert "meeting" in schema["properties"]
