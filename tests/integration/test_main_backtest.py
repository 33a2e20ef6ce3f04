"""`--mode backtest` as a user runs it: the decisions of the full loop, from recordings and from the archive."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from exchanges.simulator.sample_recording import write_sample

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("CRYPTO_PIPE_SHARED", ROOT.parent / "shared"))
REAL = SHARED / "recordings" / "binance-2024-08-08"
WAIT_S = 180


def main(data_dir: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "main.py"), "--data-dir", str(data_dir), *words]
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "MONGODB_URI" and not name.startswith("CRYPTO_PIPE__")
    }
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, env=environment, check=False)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    files = write_sample(tmp_path_factory.mktemp("sample"))
    return [word for feed, path in files.items() for word in ("--recording", f"{feed}={path}")]


def test_the_decisions_are_those_of_the_loop_over_every_quote(sample: list[str], tmp_path: Path) -> None:
    loop = told(main(tmp_path / "loop", *sample, "--headless", "--json"))
    backtest = told(main(tmp_path / "backtest", "--mode", "backtest", *sample, "--json"))["summary"]
    assert loop["fills"] > 0
    for key in ("decision_digest", "decisions", "orders", "fills", "pnl", "unrealised", "quotes", "opportunities"):
        assert backtest[key] == loop[key], key


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no recorded markets in {REAL}: set CRYPTO_PIPE_SHARED")
@pytest.mark.parametrize("taker_bps", ["0", "2", "10"])
def test_the_decisions_on_real_markets_are_the_same_at_every_fee(taker_bps: str, tmp_path: Path) -> None:
    words = [
        "--recording", f"binance.spot={REAL / 'spot-ethusdt_20240808.gz'}",
        "--recording", f"binance.linear={REAL / 'usdm-ethusdt_20240808.gz'}",
        "--set", f"fees.binance.spot.taker_bps={taker_bps}",
        "--set", f"fees.binance.linear.taker_bps={taker_bps}",
        "--json",
    ]  # fmt: skip
    loop = told(main(tmp_path / "loop", "--headless", *words))
    backtest = told(main(tmp_path / "backtest", "--mode", "backtest", *words))["summary"]
    assert (backtest["decision_digest"], backtest["pnl"]) == (loop["decision_digest"], loop["pnl"])
    assert sum(backtest["quotes"].values()) == 78_069


def test_it_ends_with_its_post_mortem_which_its_own_journal_tells_again(sample: list[str], tmp_path: Path) -> None:
    answer = told(main(tmp_path, "--mode", "backtest", *sample, "--json"))
    (market,) = answer["report"]["markets"]
    assert (market["market"], answer["report"]["residual"]) == ("backtest", "0")
    (returned,) = market["returns"]
    assert returned["quote_asset"] == "USDT"
    assert float(returned["peak_locked"]) > 0
    assert float(returned["max_drawdown"]) >= 0
    again = told(main(Path(answer["data_dir"]), "--mode", "post-mortem", "--json"))
    assert again["markets"] == answer["report"]["markets"]


def test_people_get_tables_and_the_time_that_was_asked_for(sample: list[str], tmp_path: Path) -> None:
    done = main(tmp_path, "--mode", "backtest", *sample, "--for", "60s")
    assert done.returncode == 0, done.stderr
    assert "BACKTEST market, no real money" in done.stdout
    assert "rows a second; its journal is in" in done.stderr


def test_what_was_recorded_a_moment_ago_can_be_played(tmp_path: Path) -> None:
    recorded = told(main(tmp_path, "--mode", "record", "--for", "6s", "--json", "--set", "archive.every_s=2"))
    answer = told(main(tmp_path, "--mode", "backtest", "--market", "simulated", "--since", "1h", "--json"))
    assert sum(answer["summary"]["quotes"].values()) > 100
    assert answer["summary"]["complete"] is True
    assert recorded["complete"] is True


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "needs a market of the past"),
        (["--run", "nonsense"], "no run of any strategy starts so"),
        (["--since", "1h"], "the archive holds no quotes"),
    ],
)
def test_what_cannot_be_played_is_said_in_one_line(words: list[str], said: str, tmp_path: Path) -> None:
    done = main(tmp_path, "--mode", "backtest", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
