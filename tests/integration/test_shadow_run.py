"""`--shadow` as a person starts it: paper trades, and beside it real orders of minimum size on the exchanges."""

import csv
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.domain.shadow import ShadowFill
from bot.errors import ExitCode
from tests.integration.fault_rig import IN_AND_OUT, ROOT
from tests.integration.live_rig import bot, exchanges

PATIENCE_S = 180
LEAST = Decimal("0.001")
"""BTC: the lot of both simulated perpetuals, and worth more than either's least notional."""


def run(data_dir: Path, *words: str, settings: tuple[str, ...] = IN_AND_OUT) -> subprocess.CompletedProcess[str]:
    said = [word for setting in settings for word in ("--set", setting)]
    command = [sys.executable, str(ROOT / "main.py"), "--json", "--data-dir", str(data_dir), *words, *said]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def records(data_dir: Path, kind: str) -> list[tuple[str, dict[str, Any]]]:
    """Run id and body of the journal's records of a kind."""
    with closing(sqlite3.connect(data_dir / "journal.db")) as connection:
        rows = connection.execute("SELECT run_id, body FROM records WHERE kind = ? ORDER BY seq", (kind,)).fetchall()
    return [(run_id, json.loads(body)) for run_id, body in rows]


def test_every_paper_fill_has_a_real_one_of_minimum_size_beside_it(tmp_path: Path) -> None:
    ran = run(tmp_path, "--shadow", "--for", "20s")
    assert ran.returncode == ExitCode.OK, ran.stderr
    summary = json.loads(ran.stdout)
    shadow = summary["shadow"]
    assert "SHADOW: beside every paper order a real one of the venue's minimum size, with paper money" in ran.stderr
    assert summary["orders"] > 0
    assert shadow["shadowed"] > 0
    assert shadow["open_twins"] == 0
    paper, real = summary["run_id"], shadow["run_id"]
    runs = [body for _, body in records(tmp_path, "run")]
    assert [body["run_id"] for body in runs[:2]] == [real, paper]
    assert runs[0]["shadow_of"] == paper

    sent = {body["client_order_id"]: body for run_id, body in records(tmp_path, "order") if run_id == real}
    assert sent
    assert {Decimal(body["quantity"]) for body in sent.values()} == {LEAST}
    played = {body["client_order_id"]: body for run_id, body in records(tmp_path, "order") if run_id == paper}
    assert max(Decimal(body["quantity"]) for body in played.values()) > LEAST

    told = [body for run_id, body in records(tmp_path, "shadow") if run_id == paper]
    rows = [ShadowFill.model_validate(body) for body in told if body["what"] == "fill"]
    filled = {body["client_order_id"] for run_id, body in records(tmp_path, "fill") if run_id == paper}
    twins = {row.paper_order for row in rows if row.paper_price is not None}
    unshadowed = {body["pair"] for body in told if body["what"] == "not_shadowed"}
    assert twins == {order for order in filled if order.rpartition("-")[0] not in unshadowed}
    for row in rows:
        if row.paper_price is not None and row.real_price is not None:
            assert row.price_bps == pytest.approx(row.model_bps + row.size_bps, abs=1e-6)
            assert played[row.paper_order]["side"] == sent[row.real_order]["side"] == row.side
            assert played[row.paper_order]["instrument"] == sent[row.real_order]["instrument"]


@pytest.mark.parametrize("market", [("--market", "recorded"), ("--market", "live")])
def test_where_nobody_takes_real_orders_it_is_not_started(market: tuple[str, ...], tmp_path: Path) -> None:
    ran = run(tmp_path, "--shadow", "--for", "5s", *market, settings=())
    assert ran.returncode == ExitCode.SETTINGS
    assert "--shadow sends real orders" in ran.stderr
    assert not (tmp_path / "journal.db").exists()


def test_the_fee_and_the_delay_that_a_venue_was_given_are_what_is_told(tmp_path: Path) -> None:
    planted = (
        *(word for word in IN_AND_OUT),
        "fees.binance.linear.taker_bps=4", "fees.bybit.linear.taker_bps=5.5",
    )  # fmt: skip
    late = ("--fault", "late-fill,venue=binance,amount=0.3,for_s=86400")
    ran = run(tmp_path, "--shadow", "--for", "20s", *late, settings=planted)
    assert ran.returncode == ExitCode.OK, ran.stderr
    rows = [ShadowFill.model_validate(body) for _, body in records(tmp_path, "shadow") if body["what"] == "fill"]
    both = [row for row in rows if row.fee_bps is not None]
    assert {row.venue for row in both} == {"binance", "bybit"}
    for row in both:
        # Paper was told 4 bps, and the account pays 5; 5.5 is what both pay at Bybit.
        assert row.fee_bps == pytest.approx(1.0 if row.venue == "binance" else 0.0, abs=1e-4)
        if row.venue == "binance":
            assert row.real_latency_ms is not None
            assert row.real_latency_ms >= 300
    told = json.loads(ran.stdout)["shadow"]
    assert told["by_venue"]["binance"]["fee_bps"]["mean"] == pytest.approx(1.0, abs=1e-4)
    assert told["open_twins"] == 0
    words = [sys.executable, str(ROOT / "main.py"), "--data-dir", str(tmp_path), "--mode"]
    file = tmp_path / "shadow.csv"
    subprocess.run([*words, "export", "--channel", "shadow", "--to", str(file)], cwd=ROOT, check=True, timeout=60)
    with file.open(newline="") as lines:
        exported = list(csv.DictReader(lines))
    assert [line["real_order"] for line in exported] == [row.real_order or "" for row in rows]
    assert [line["fee_bps"] for line in exported] == ["" if row.fee_bps is None else str(row.fee_bps) for row in rows]
    report = subprocess.run([*words, "post-mortem"], cwd=ROOT, check=True, timeout=60, capture_output=True, text=True)
    assert "SIMULATED, SHADOW market" in report.stdout
    assert "paper fills had a real twin" in report.stdout


def test_with_every_lock_open_the_twins_move_real_money_and_paper_does_not(tmp_path: Path) -> None:
    real = ("--real-money", "--set", "real_money=true", "--shadow", "--for", "15s", "--json")
    eager = [word for setting in IN_AND_OUT for word in ("--set", setting)]
    with exchanges() as fit:
        ran = bot([*fit.words(tmp_path), *real, *eager], fit.environment())
        assert ran.returncode == ExitCode.OK, ran.stderr
        locked = bot([*fit.words(tmp_path / "other"), "--real-money", "--shadow", "--for", "5s"], fit.environment())
        assert locked.returncode == ExitCode.SETTINGS
        assert "real money stays locked" in locked.stderr
    summary = json.loads(ran.stdout)
    assert (summary["real_money"], summary["shadow"]["money"]) == (False, "REAL MONEY")
    assert "with REAL MONEY" in ran.stderr
    assert "checks, none failed" in ran.stderr, "the preflight of real orders"
    assert summary["shadow"]["real_orders"] > 0
    started = {body["run_id"]: body for _, body in reversed(records(tmp_path, "run")) if "accounts" in body}
    twin, paper = started[summary["shadow"]["run_id"]], started[summary["run_id"]]
    assert (twin["real_money"], paper["real_money"]) == (True, False)
    assert (set(twin["accounts"]), paper["accounts"]) == ({"binance", "bybit"}, {"paper": "live"})
    words = [sys.executable, str(ROOT / "main.py"), "--data-dir", str(tmp_path), "--mode", "post-mortem"]
    report = subprocess.run(words, cwd=ROOT, check=True, timeout=60, capture_output=True, text=True).stdout
    assert "REAL, SHADOW market, REAL MONEY" in report
    assert "LIVE, PAPER market, no real money" in report
