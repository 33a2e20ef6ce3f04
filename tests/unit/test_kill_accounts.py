"""Where a run's orders are, as `--mode kill` finds it: keys of real accounts stay where they are kept."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keyring
import pytest

from bot.domain.instrument import Feed, Segment
from bot.settings import Settings
from bot.settings.keys import KeySettings
from exchanges.accounts import order_accounts
from exchanges.common.requests.emergency import Account
from exchanges.keys.finding import find_keys
from exchanges.signing import signing_hosts
from modes.kill_accounts import configured_accounts, remember_accounts, remembered_accounts
from modes.kill_words import quick_market

ROOT = Path(__file__).resolve().parents[2]
KEY, SECRET = "canary-of-the-key-0001", "canary-of-the-secret-0002"
CLIENT_LIBRARIES = {"aiohttp", "binance", "ccxt", "picows", "pybit", "pymongo", "requests", "textual", "uvloop"}
SIMULATED = Account(
    venue="bybit", market="simulated", rest_urls={"linear": "http://127.0.0.1:1"}, symbols={"linear": ["BTCUSDT"]},
    settles=["USDT"], key=KEY, secret=SECRET,
)  # fmt: skip
REAL = Account(
    venue="binance", market="live", rest_urls={"linear": "https://fapi.binance.com"}, symbols={"linear": ["BTCUSDT"]},
    settles=["USDT"], key=KEY, secret=SECRET, hosts=signing_hosts("live", "binance"),
)  # fmt: skip
NO_KEYRING = KeySettings(keyring=False)


def written(data_dir: Path) -> str:
    return "".join(path.read_text() for path in (data_dir / "run").iterdir())


def test_every_market_of_a_directory_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYPTO_PIPE_BINANCE_KEY", KEY)
    monkeypatch.setenv("CRYPTO_PIPE_BINANCE_SECRET", SECRET)
    remember_accounts(tmp_path, "simulated", [SIMULATED], NO_KEYRING)
    remember_accounts(tmp_path, "live", [REAL], NO_KEYRING)
    found, troubles = remembered_accounts(tmp_path)
    assert troubles == []
    assert found == [REAL, SIMULATED]


def test_what_an_earlier_run_traded_is_remembered_beside_what_this_one_trades(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for venue in ("BINANCE", "KRAKEN"):
        monkeypatch.setenv(f"CRYPTO_PIPE_{venue}_KEY", KEY)
        monkeypatch.setenv(f"CRYPTO_PIPE_{venue}_SECRET", SECRET)
    urls = {"linear": REAL.rest_urls["linear"], "spot": "https://api.binance.com"}
    wide = replace(REAL, rest_urls=urls, symbols={"linear": ["ETHUSDT", "BTCUSDT"], "spot": ["ETHUSDT"]})
    kraken = replace(REAL, venue="kraken", rest_urls={"spot": "https://api.kraken.com"}, symbols={"spot": ["XBTUSDT"]},
                     hosts=signing_hosts("live", "kraken"))  # fmt: skip
    remember_accounts(tmp_path, "live", [wide, kraken], NO_KEYRING)
    remember_accounts(tmp_path, "live", [REAL], NO_KEYRING)  # a start that is refused, since the first run left a pair
    both = replace(wide, symbols={"linear": ["BTCUSDT", "ETHUSDT"], "spot": ["ETHUSDT"]})
    assert remembered_accounts(tmp_path) == ([both, kraken], [])


def test_exchanges_that_ended_with_their_run_are_forgotten_and_those_that_go_on_are_not(tmp_path: Path) -> None:
    other = replace(SIMULATED, key="of another account")
    remember_accounts(tmp_path, "simulated", [replace(SIMULATED, symbols={"linear": ["ETHUSDT"]}), other])
    remember_accounts(tmp_path, "simulated", [SIMULATED])
    wide = replace(SIMULATED, symbols={"linear": ["BTCUSDT", "ETHUSDT"]})
    assert remembered_accounts(tmp_path) == ([wide, other], [])
    elsewhere = replace(SIMULATED, rest_urls={"linear": "http://127.0.0.1:2"})
    remember_accounts(tmp_path, "simulated", [elsewhere])
    assert remembered_accounts(tmp_path) == ([elsewhere], [])


def test_a_key_of_a_real_account_is_not_written_down(tmp_path: Path) -> None:
    remember_accounts(tmp_path, "live", [REAL], NO_KEYRING)
    assert KEY not in written(tmp_path)
    assert SECRET not in written(tmp_path)
    assert (tmp_path / "run" / "venues-live.json").stat().st_mode & 0o777 == 0o600


def test_it_is_looked_for_where_the_run_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text(f"binance: {{key: {KEY}, secret: {SECRET}}}\n")
    file.chmod(0o600)
    monkeypatch.chdir(tmp_path)
    remember_accounts(tmp_path / "data", "live", [REAL], KeySettings(keyring=False, file=Path("keys.yaml")))
    monkeypatch.chdir("/")
    assert remembered_accounts(tmp_path / "data") == ([REAL], [])


def test_a_file_of_keys_in_the_users_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    keys = tmp_path / "keys.yaml"
    keys.write_text(f"binance: {{key: {KEY}, secret: {SECRET}}}\n")
    keys.chmod(0o600)
    remember_accounts(tmp_path, "live", [REAL], KeySettings(keyring=False, file=Path("~/keys.yaml")))

    accounts, troubles = remembered_accounts(tmp_path)

    assert ([one.key for one in accounts], troubles) == ([KEY], [])


def test_without_a_key_it_is_said_and_others_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRYPTO_PIPE_BINANCE_KEY", raising=False)
    remember_accounts(tmp_path, "simulated", [SIMULATED])
    remember_accounts(tmp_path, "live", [REAL], NO_KEYRING)
    found, troubles = remembered_accounts(tmp_path)
    assert found == [replace(REAL, key="", secret=""), SIMULATED]
    assert "no API keys for binance" in troubles[0]


def test_a_file_that_was_tampered_with_signs_for_no_other_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYPTO_PIPE_BINANCE_KEY", KEY)
    monkeypatch.setenv("CRYPTO_PIPE_BINANCE_SECRET", SECRET)
    remember_accounts(tmp_path, "live", [replace(REAL, rest_urls={"linear": "https://evil.example"})], NO_KEYRING)
    command = [sys.executable, str(ROOT / "main.py"), "--mode", "kill", "--data-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 5
    assert "NOT CONFIRMED: binance (live)" in done.stdout
    assert "evil.example" in done.stdout
    assert KEY not in done.stdout + done.stderr


def test_finding_keys_loads_no_client_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYPTO_PIPE_BINANCE_KEY", KEY)
    monkeypatch.setenv("CRYPTO_PIPE_BINANCE_SECRET", SECRET)
    remember_accounts(tmp_path, "live", [REAL], NO_KEYRING)
    look = f"import pathlib, modes.kill as m; assert m.remembered_accounts(pathlib.Path({str(tmp_path)!r}))[0][0].key"
    command = [sys.executable, "-X", "importtime", "-c", look]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=ROOT)
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "pydantic" in loaded, "modules are told"
    assert not loaded & CLIENT_LIBRARIES


def test_without_a_trace_of_a_run_the_settings_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYPTO_PIPE_BINANCE_TESTNET_KEY", KEY)
    monkeypatch.setenv("CRYPTO_PIPE_BINANCE_TESTNET_SECRET", SECRET)
    asked = ("--mode", "kill", "--market", "testnet", "--data-dir", str(tmp_path), "--set", "keys.keyring=false")
    found, troubles = configured_accounts(asked, ROOT / "settings.yaml")
    assert [(account.venue, account.market, account.key) for account in found] == [
        ("binance", "testnet", KEY), ("bybit", "testnet", ""),
    ]  # fmt: skip
    assert all(url.startswith("https://") for account in found for url in account.rest_urls.values())
    assert found[0].hosts == signing_hosts("testnet", "binance")
    assert "no API keys for bybit.testnet" in troubles[0]


def test_a_file_of_keys_below_a_home_that_nobody_knows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", unknown)
    asked = ("--mode", "kill", "--market", "testnet", "--set", "keys.keyring=false", "--set", "keys.file=~/keys.yaml")
    found, troubles = configured_accounts(asked, ROOT / "settings.yaml")
    assert [account.key for account in found] == ["", ""]
    assert all("no home directory is known" in one for one in troubles)
    assert len(troubles) == 2


def test_paper_money_on_the_live_market_has_no_account() -> None:
    assert configured_accounts(("--mode", "kill", "--market", "live"), ROOT / "settings.yaml") == ([], [])


def test_settings_that_do_not_hold_are_told(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("market: live\nreal_money: perhaps\n")
    asked = ("--mode", "kill", "--settings", str(tmp_path / "s.yaml"))
    found, troubles = configured_accounts(asked, ROOT / "settings.yaml")
    assert found == []
    assert "real_money" in troubles[0]
    assert quick_market(asked, {}, ROOT / "settings.yaml") == "live"


def test_a_keyring_that_hangs_holds_up_no_cancel_of_a_key_that_is_kept_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text(f"binance: {{key: {KEY}, secret: {SECRET}}}\n")
    file.chmod(0o600)
    places = KeySettings(file=file)
    monkeypatch.setattr(keyring, "get_password", lambda service, name: None)
    keys = find_keys(["binance"], "live", places, {})
    accounts = order_accounts({Feed(venue="binance", segment=Segment.LINEAR): {}}, Settings(), keys, "live")
    remember_accounts(tmp_path, "live", accounts, places)
    asked = list[str]()
    monkeypatch.setattr(keyring, "get_password", lambda service, name: asked.append(name))

    found, troubles = remembered_accounts(tmp_path)

    assert ([one.key for one in found], troubles, asked) == ([KEY], [], [])


def test_a_key_that_has_moved_into_the_keyring_is_found_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRYPTO_PIPE_BINANCE_KEY", raising=False)
    kept = {"binance.key": KEY, "binance.secret": SECRET}
    monkeypatch.setattr(keyring, "get_password", lambda service, name: kept[name])
    remember_accounts(tmp_path, "live", [replace(REAL, is_in_keyring=False)], KeySettings())
    assert remembered_accounts(tmp_path) == ([REAL], [])


def keys_in(file: Path, key: str) -> KeySettings:
    file.write_text(f"binance: {{key: {key}, secret: {SECRET}}}\n")
    file.chmod(0o600)
    return KeySettings(keyring=False, file=file)


def test_an_account_that_was_traded_with_a_key_kept_elsewhere_is_asked_too(tmp_path: Path) -> None:
    mine, other = keys_in(tmp_path / "mine.yaml", KEY), keys_in(tmp_path / "other.yaml", "the-key-of-another-account")
    remember_accounts(tmp_path, "live", [replace(REAL, key="the-key-of-another-account")], other)
    remember_accounts(tmp_path, "live", [REAL], mine)
    found, troubles = remembered_accounts(tmp_path)
    assert ([one.key for one in found], troubles) == ([KEY, "the-key-of-another-account"], [])


def test_an_account_whose_key_has_moved_or_was_replaced_is_one(tmp_path: Path) -> None:
    remember_accounts(tmp_path, "live", [REAL], keys_in(tmp_path / "before.yaml", KEY))
    (tmp_path / "before.yaml").unlink()
    places = keys_in(tmp_path / "after.yaml", KEY)
    remember_accounts(tmp_path, "live", [REAL], places)
    assert remembered_accounts(tmp_path) == ([REAL], [])
    fresh = replace(REAL, key="the-key-that-replaced-it")
    remember_accounts(tmp_path, "live", [fresh], keys_in(tmp_path / "after.yaml", fresh.key))
    assert remembered_accounts(tmp_path) == ([fresh], [])


def test_a_key_that_is_not_the_runs_confirms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two bots have their keys in their environments, and the kill of one is asked for where the other's are."""
    monkeypatch.setenv("CRYPTO_PIPE_BINANCE_KEY", "the-key-of-another-account")
    monkeypatch.setenv("CRYPTO_PIPE_BINANCE_SECRET", SECRET)
    remember_accounts(tmp_path, "live", [REAL], NO_KEYRING)
    found, troubles = remembered_accounts(tmp_path)
    assert [one.key for one in found] == ["the-key-of-another-account"]
    assert ["not the run's" in one for one in troubles] == [True]


def test_what_can_be_read_of_a_damaged_file_is_silenced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYPTO_PIPE_BINANCE_KEY", KEY)
    monkeypatch.setenv("CRYPTO_PIPE_BINANCE_SECRET", SECRET)
    remember_accounts(tmp_path, "live", [REAL], NO_KEYRING)
    path = tmp_path / "run" / "venues-live.json"
    whole = json.loads(path.read_text())["accounts"]
    path.write_text(json.dumps({"accounts": [{"venue": "kraken", "market": "live"}, *whole]}))
    found, troubles = remembered_accounts(tmp_path)
    assert (found, len(troubles)) == ([REAL], 1)
    path.write_text(json.dumps({"accounts": [{**whole[0], "settles": [["USDT"]]}]}))
    remember_accounts(tmp_path, "live", [REAL], NO_KEYRING)  # no start fails for it either
    assert [one.venue for one in remembered_accounts(tmp_path)[0]] == ["binance"]


def test_a_start_does_not_write_over_what_it_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYPTO_PIPE_BINANCE_KEY", KEY)
    monkeypatch.setenv("CRYPTO_PIPE_BINANCE_SECRET", SECRET)
    remember_accounts(tmp_path, "live", [REAL], NO_KEYRING)
    path = tmp_path / "run" / "venues-live.json"
    path.write_text(path.read_text()[:40])
    remember_accounts(tmp_path, "live", [REAL], NO_KEYRING)
    found, troubles = remembered_accounts(tmp_path)
    assert found == [REAL]
    assert ["cannot be read" in one for one in troubles] == [True]
