"""`--strategy spread-reversion` as a user runs it: recorded, backtested, simulated, explained."""

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.wide_market import write_wide_market

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 180
STRATEGY = ("--strategy", "spread-reversion")


def main(data_dir: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "main.py"), "--data-dir", str(data_dir), *STRATEGY, *words]
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
def wide(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return write_wide_market(tmp_path_factory.mktemp("wide"))


@pytest.fixture(scope="module")
def played(wide: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    data_dir = tmp_path_factory.mktemp("played")
    return data_dir, told(main(data_dir, "--market", "recorded", *wide, "--headless", "--json"))


def test_it_trades_a_wide_market_by_orders_that_rest(played: tuple[Path, dict[str, Any]]) -> None:
    _, summary = played
    assert summary["decisions"]["closed"]["reverted"] > 3
    assert summary["state"] == "ACTIVE"
    assert Decimal(summary["pnl"]["USDT"]) > 0


def test_the_post_mortem_explains_every_cent(played: tuple[Path, dict[str, Any]]) -> None:
    data_dir, summary = played
    report = told(main(data_dir, "--mode", "post-mortem", "--json"))
    assert Decimal(report["residual"]) == 0
    (market,) = report["markets"]
    (run,) = market["runs"]
    assert (run["unexplained"], run["differs_from_run"], run["problems"]) == ({}, {}, [])
    assert Decimal(market["profit"]["USDT"]) == Decimal(summary["pnl"]["USDT"])
    assert market["closes"]["reverted"] == summary["decisions"]["closed"]["reverted"]
    for pair in market["pairs"]:
        assert pair["route"].startswith("spread_reversion:binance:BTC/USDT:USDT:")
        assert pair["edge_realised_bps"] is not None
        bridge = pair["bridge"]
        assert Decimal(bridge["slippage_opening"]) == 0
        assert Decimal(bridge["residual"]) == 0


def test_every_fill_is_a_makers(played: tuple[Path, dict[str, Any]]) -> None:
    data_dir, _ = played
    rows = main(data_dir, "--mode", "query", "--what", "fills", "--format", "json", "--limit", "0")
    assert rows.returncode == 0, rows.stderr
    fills = [json.loads(line)["body"] for line in rows.stdout.splitlines()]
    assert fills
    assert all(fill["is_maker"] for fill in fills)


def test_a_backtest_decides_the_same(played: tuple[Path, dict[str, Any]], wide: list[str], tmp_path: Path) -> None:
    _, summary = played
    backtest = told(main(tmp_path, "--mode", "backtest", *wide, "--json"))["summary"]
    for key in ("decision_digest", "decisions", "orders", "fills", "pnl", "unrealised"):
        assert backtest[key] == summary[key], key


def test_on_the_sample_it_says_which_figure_is_missing(tmp_path: Path) -> None:
    done = main(tmp_path, "--market", "recorded", "--headless", "--for", "60s")
    assert done.returncode == 0, done.stderr
    assert "net edge -4.0 bps, at least 0.5 needed" in done.stderr + done.stdout


def test_over_the_wire_it_places_takes_back_and_leaves_nothing(tmp_path: Path) -> None:
    sets = {
        "simulator.fee_tier": "supreme",
        "spread_reversion.span_s": 2,
        "spread_reversion.min_net_edge_bps": 0,
        # A busy machine may stand still for seconds, and that is not what is tried here.
        "risk.max_loop_lag_ms": 60_000,
        "quote_gate.max_age_ms": 10_000,
        "quote_gate.max_event_age_ms": 10_000,
        "execution.order_timeout_ms": 30_000,
    }
    words = [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
    summary = told(main(tmp_path, "--for", "20s", "--scenario", "crash", *words, "--json"))
    assert summary["decisions"]["taken"] > 0
    assert summary["state"] != "HALTED"
    rows = main(tmp_path, "--mode", "query", "--what", "orders", "--format", "json", "--limit", "0")
    newest: dict[str, str] = {}
    for line in rows.stdout.splitlines():
        order = json.loads(line)["body"]
        newest[order["client_order_id"]] = order["status"]
    assert newest
    assert set(newest.values()) <= {"filled", "cancelled", "expired", "rejected"}
    report = told(main(tmp_path, "--mode", "post-mortem", "--json"))
    assert Decimal(report["residual"]) == 0
