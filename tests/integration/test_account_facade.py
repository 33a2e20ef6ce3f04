"""Real money from Python, over the wire to simulated exchanges: locks, preflight, one process an account, reports."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.errors import ExitCode
from bot.storage.queries import JournalReader
from postmortem.render import render_table
from postmortem.report import build_report
from tests.integration.live_rig import PATIENCE_S, REPO, Exchanges, bot, exchanges

CHILD = [sys.executable, str(REPO / "tests" / "integration" / "facade_child.py")]


@pytest.fixture(scope="module")
def fit() -> Iterator[Exchanges]:
    with exchanges() as found:
        yield found


def settings(there: Exchanges, directory: Path, *, real_money: bool) -> str:
    endpoint = {"rest_url": there.url, "stream_url": there.ws_url}
    perpetual = {"linear": ["BTC/USDT:USDT"]}
    told = {
        "market": "live", "real_money": real_money, "data_dir": str(directory / "data"), "keys": {"keyring": False},
        "instruments": {"binance": perpetual, "bybit": perpetual},
        "venues": {venue: {"spot": endpoint, "linear": endpoint} for venue in ("binance", "bybit")},
    }  # fmt: skip
    path = directory / f"settings-{real_money}.yaml"
    path.write_text(json.dumps(told))
    return str(path)


def used(there: Exchanges, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CHILD, *words], cwd=REPO, env=there.environment(), capture_output=True, text=True, timeout=PATIENCE_S,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "words", "why"),
    [
        (False, [], "real money stays locked: real_money=True was not given, nor is it true in the settings"),
        (True, [], "real money stays locked: real_money=True was not given;"),
        (False, ["real"], "real_money is not true in the settings"),
    ],
)
def test_real_money_stays_locked(fit: Exchanges, tmp_path: Path, setting: bool, words: list[str], why: str) -> None:
    ran = used(fit, settings(fit, tmp_path, real_money=setting), *words)
    assert ran.returncode != 0
    assert why in ran.stderr
    assert not (tmp_path / "data" / "journal.db").exists()


def test_with_every_lock_open_it_trades_alone_on_its_account_and_is_reported(fit: Exchanges, tmp_path: Path) -> None:
    child = subprocess.Popen(
        [*CHILD, settings(fit, tmp_path, real_money=True), "real", "wait"], cwd=REPO, env=fit.environment(),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        lines: list[str] = []
        while not lines or not lines[-1].startswith("filled"):
            lines.append(child.stdout.readline())
            assert lines[-1], child.communicate()[1]
        words = [*fit.words(tmp_path / "other"), "--real-money", "--set", "real_money=true", "--for", "5s", "--json"]
        second = bot(words, fit.environment())
    finally:
        _, told = child.communicate("\n", timeout=PATIENCE_S)
    assert child.returncode == 0, told
    assert lines[-1] == "filled 0.002\n"
    assert any("preflight" in line for line in lines)
    assert second.returncode == ExitCode.PREFLIGHT, second.stderr
    assert f"traded on by another bot (process {child.pid})" in second.stderr
    with JournalReader.open(tmp_path / "data") as reader:
        report = build_report(reader, "arbitrage")
    (run,) = report.by_hand
    assert (run.market, run.real_money) == ("live", True)
    order, back = run.orders
    assert (back.side, back.status) == ("sell", "filled")
    assert (order.side, order.status, order.filled) == ("buy", "filled", order.quantity)
    assert order.fees["USDT"] > 0
    assert "REAL MONEY" in render_table(report)
    assert f"buy 0.002 binance BTC/USDT:USDT: filled, 0.002 filled for {order.notional:f}" in render_table(report)
    for secret in (fit.key, fit.secret):
        assert secret not in "".join(lines) + told + second.stderr


def test_a_bot_keeps_it_out(fit: Exchanges, tmp_path: Path) -> None:
    words = [*fit.words(tmp_path / "bot"), "--real-money", "--set", "real_money=true", "--for", "600s", "--json"]
    running = subprocess.Popen(
        [sys.executable, str(REPO / "tests" / "integration" / "live_child.py"), *words], cwd=REPO,
        env=fit.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stderr is not None
    try:
        told = []
        for line in running.stderr:
            told.append(line)
            if "checks, none failed" in line:
                break
        else:
            raise AssertionError("".join(told))
        ran = used(fit, settings(fit, tmp_path, real_money=True), "real")
    finally:
        running.kill()
        running.communicate()
    assert ran.returncode != 0
    assert f"traded on by another bot (process {running.pid})" in ran.stderr
