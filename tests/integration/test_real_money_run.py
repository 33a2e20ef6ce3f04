"""Real money and the testnet, over the wire to simulated exchanges: locks, preflight, orders, and what is said."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.errors import ExitCode
from tests.integration.live_rig import Exchanges, bot, exchanges

EAGER = [
    word
    for setting in ("warmup_s=1", "min_net_edge_bps=-40", "exit_edge_bps=1000", "cooldown_s=0.1")
    for word in ("--set", f"arbitrage.{setting}")
]
REAL = ("--real-money", "--set", "real_money=true")


@pytest.fixture(scope="module")
def fit() -> Iterator[Exchanges]:
    with exchanges() as found:
        yield found


@pytest.fixture(scope="module")
def unfit() -> Iterator[Exchanges]:
    with exchanges(["hedge-mode,venue=bybit,for_s=86400"]) as found:
        yield found


def records(data_dir: Path, kind: str) -> list[dict[str, object]]:
    with sqlite3.connect(data_dir / "journal.db") as connection:
        rows = connection.execute("SELECT body FROM records WHERE kind = ? ORDER BY seq", (kind,)).fetchall()
    return [json.loads(body) for (body,) in rows]


def test_with_every_lock_open_and_nothing_wrong_orders_are_sent(fit: Exchanges, tmp_path: Path) -> None:
    words = [*fit.words(tmp_path), *REAL, "--for", "20s", "--json", *EAGER]
    ran = bot(words, fit.environment())
    assert ran.returncode == ExitCode.OK, ran.stderr
    summary = json.loads(ran.stdout)
    assert summary["market"] == "live"
    assert summary["real_money"] is True
    assert "LIVE market, REAL MONEY: runs for 20 s" in ran.stderr
    assert "checks, none failed" in ran.stderr
    assert "paper money" not in ran.stderr
    assert records(tmp_path, "run")[0]["real_money"] is True
    assert records(tmp_path, "order"), ran.stderr
    for secret in (fit.key, fit.secret):
        assert secret not in ran.stdout + ran.stderr


def test_the_testnet_has_keys_and_money_of_its_own(fit: Exchanges, tmp_path: Path) -> None:
    words = [*fit.words(tmp_path, "testnet"), "--for", "5s", "--json"]
    without = bot(words, fit.environment())
    assert without.returncode == ExitCode.SETTINGS
    assert "no API keys for binance.testnet and bybit.testnet" in without.stderr
    ran = bot(words, fit.environment("_TESTNET"))
    assert ran.returncode == ExitCode.OK, ran.stderr
    summary = json.loads(ran.stdout)
    assert (summary["market"], summary["real_money"]) == ("testnet", False)
    assert "TESTNET market, test money: runs for 5 s" in ran.stderr
    assert "preflight: binance key rights: the venue does not say" in ran.stderr  # it has no way to


def test_fault_53_hedge_mode_ends_the_start_and_nothing_is_switched(unfit: Exchanges, tmp_path: Path) -> None:
    ran = bot([*unfit.words(tmp_path), *REAL, "--for", "5s", "--json"], unfit.environment())
    assert ran.returncode == ExitCode.PREFLIGHT, ran.stderr
    assert ran.stdout == ""
    failing = [line for line in ran.stderr.splitlines() if line.startswith("error: preflight: ")]
    assert any(
        "bybit position mode: hedge mode; close its positions, then set it to one-way" in line for line in failing
    )
    # Real money is as strict about keys as paper money is not.
    for venue in ("binance", "bybit"):
        assert any(f"{venue} key rights: the key may withdraw" in line for line in failing)
        assert any(f"{venue} key addresses: the key works from any address" in line for line in failing)
    assert f"{len(failing)} of " in ran.stderr.splitlines()[-1]
    assert not (tmp_path / "journal.db").exists()


def test_fault_34_a_key_that_is_refused_at_the_start_is_said_and_nothing_is_traded(
    fit: Exchanges, tmp_path: Path
) -> None:
    environment = fit.environment(key="canary-of-an-unknown-key")
    ran = bot([*fit.words(tmp_path), *REAL, "--for", "5s"], environment)
    assert ran.returncode == ExitCode.PREFLIGHT, ran.stderr
    for venue in ("binance", "bybit"):
        assert f"error: preflight: {venue} key rights: {venue}: " in ran.stderr
    assert "check key, secret, rights and the addresses that the key is bound to" in ran.stderr
    assert "canary" not in ran.stdout + ran.stderr


@pytest.mark.parametrize("lock", ["--real-money", "real_money=true"])
def test_a_closed_lock_sends_nothing(lock: str, fit: Exchanges, tmp_path: Path) -> None:
    words = ["--real-money"] if lock == "--real-money" else ["--set", lock]
    ran = bot([*fit.words(tmp_path), *words, "--for", "5s"], fit.environment())
    assert ran.returncode == ExitCode.SETTINGS
    assert "real money stays locked" in ran.stderr
    assert not (tmp_path / "journal.db").exists()


def test_the_doctor_says_what_a_start_would(fit: Exchanges, unfit: Exchanges, tmp_path: Path) -> None:
    for here, code in ((fit, ExitCode.OK), (unfit, ExitCode.PREFLIGHT)):
        ran = bot(["--mode", "doctor", "--json", *here.words(tmp_path), *REAL], here.environment())
        assert ran.returncode == code, ran.stderr
        told = json.loads(ran.stdout)
        assert (told["market"], told["real_money"], told["ready"]) == ("live", True, code == ExitCode.OK)
        assert {check["name"] for check in told["checks"]} >= {
            "clock", "key rights", "key addresses", "position mode", "margin assets", "margin mode", "leverage",
            "balance", "fees", "streams", "order books", "instruments", "disk room", "disk speed", "journal",
            "halt flag",
        }  # fmt: skip
        assert here.key not in ran.stdout + ran.stderr


def test_the_doctor_needs_no_keys_where_money_is_paper(fit: Exchanges, tmp_path: Path) -> None:
    ran = bot(["--mode", "doctor", *fit.words(tmp_path)], fit.environment())
    assert ran.returncode == ExitCode.OK, ran.stderr
    assert ran.stdout.startswith("LIVE market, paper money\n")
    assert "key rights" not in ran.stdout
    assert "streams: quotes of all 1" in ran.stdout


def test_a_halt_flag_is_a_failing_line_of_the_doctor(fit: Exchanges, tmp_path: Path) -> None:
    (tmp_path / "HALTED").write_text("whatever")
    ran = bot(["--mode", "doctor", *fit.words(tmp_path)], fit.environment())
    assert ran.returncode == ExitCode.PREFLIGHT
    assert "FAILED   " in ran.stdout
    assert "halt flag" in ran.stdout


def test_a_venue_that_is_away_is_a_line_of_the_doctor_beside_what_can_be_looked_at(tmp_path: Path) -> None:
    nobody = Exchanges("http://127.0.0.1:9", "ws://127.0.0.1:9", "some-key", "some-secret", str(tmp_path))
    ran = bot(["--mode", "doctor", "--json", *nobody.words(tmp_path / "data"), *REAL], nobody.environment())
    assert ran.returncode == ExitCode.VENUE, ran.stderr
    told = json.loads(ran.stdout)
    assert told["ready"] is False
    checks = {check["name"]: check for check in told["checks"]}
    assert {"disk room", "disk speed", "journal", "halt flag"} <= checks.keys()
    away = checks["instruments"]
    assert away["verdict"] == "failed"
    assert away["subject"] in ("binance", "bybit"), "both are away: the first that said so"
    assert "cannot be reached" in away["observed"] or "cannot be asked" in away["observed"]
    assert "check this machine's network" in away["advice"]
