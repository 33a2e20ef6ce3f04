"""Real money: every lock must be opened, and each that is closed is named."""

import os
from collections.abc import Iterator
from itertools import product

import pytest

import main
from bot.errors import ExitCode, SettingsError
from bot.settings import Settings
from exchanges.registry import order_venues
from modes import locks
from modes.locks import is_real, unlocked_keys

ENVIRON = {
    f"CRYPTO_PIPE_{account}_{part}": f"canary-{account.lower()}-{part.lower()}"
    for account in ("BINANCE", "BYBIT", "BINANCE_TESTNET", "BYBIT_TESTNET")
    for part in ("KEY", "SECRET")
}
BOTH = {"binance": {"linear": ["BTC/USDT:USDT"]}, "bybit": {"linear": ["BTC/USDT:USDT"]}}


def settings(market: str, *, real: bool = False, instruments: object = BOTH) -> Settings:
    return Settings.model_validate(
        {"market": market, "real_money": real, "instruments": instruments, "keys": {"keyring": False}}
    )


@pytest.fixture(autouse=True)
def this_process_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a program gives up before it holds keys, the tests' own process keeps."""
    monkeypatch.setattr(locks, "hide_memory", lambda: None)
    mask = os.umask(0o022)
    os.umask(mask)
    yield
    os.umask(mask)


EVERY = list(product(["live", "simulated", "recorded"], [True, False], [True, False]))


@pytest.mark.parametrize(("market", "flag", "real"), EVERY)
def test_one_closed_lock_is_enough(market: str, flag: bool, real: bool) -> None:
    environ = dict(ENVIRON)
    if market == "live" and flag and real:
        keys = unlocked_keys(settings(market, real=real), flag=flag, environ=environ)
        assert sorted(keys) == ["binance", "bybit"]
        assert is_real(settings(market), keys)
    elif not (flag or real):
        assert unlocked_keys(settings(market, real=real), flag=flag, environ=environ) == {}
    else:
        with pytest.raises(SettingsError, match="real money stays locked") as refused:
            unlocked_keys(settings(market, real=real), flag=flag, environ=environ)
        line = str(refused.value)
        assert ("add --market live" in line) is (market != "live")
        assert ("--real-money was not given" in line) is not flag
        assert ("real_money is not true" in line) is not real
        assert "canary" not in line
    assert environ == {}


def test_keys_are_the_last_lock() -> None:
    environ = {name: value for name, value in ENVIRON.items() if "BYBIT" not in name}
    with pytest.raises(SettingsError, match=r"no API keys for bybit; looked into the environment\."):
        unlocked_keys(settings("live", real=True), flag=True, environ=environ)
    only = settings("live", real=True, instruments={"binance": {"linear": ["BTC/USDT:USDT"]}, "bybit": {"linear": []}})
    environ = {name: value for name, value in ENVIRON.items() if "BYBIT" not in name}
    assert list(unlocked_keys(only, flag=True, environ=environ)) == ["binance"]


def test_a_venue_that_takes_no_orders_needs_no_keys_and_cannot_be_the_only_one() -> None:
    only = settings("live", real=True, instruments={"coinbase": {"spot": ["BTC/USD"]}})
    with pytest.raises(SettingsError, match="no venue to trade on: instruments names none of binance, bybit, kraken"):
        unlocked_keys(only, flag=True, environ=dict(ENVIRON))


def test_the_testnet_needs_keys_of_its_own_and_no_lock() -> None:
    keys = unlocked_keys(settings("testnet"), flag=False, environ=dict(ENVIRON))
    assert keys["binance"].key.get_secret_value() == "canary-binance_testnet-key"
    assert not is_real(settings("testnet"), keys)
    live_only = {name: value for name, value in ENVIRON.items() if "TESTNET" not in name}
    with pytest.raises(SettingsError, match=r"no API keys for binance\.testnet and bybit\.testnet"):
        unlocked_keys(settings("testnet"), flag=False, environ=live_only)


@pytest.mark.parametrize(("flag", "real"), [(True, False), (False, True), (True, True)])
def test_the_testnet_is_never_taken_for_real_money(flag: bool, real: bool) -> None:
    with pytest.raises(SettingsError, match="the testnet knows no real money"):
        unlocked_keys(settings("testnet", real=real), flag=flag, environ=dict(ENVIRON))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--market live --real-money", "real_money is not true in the settings"),
        ("--market live --set real_money=true", "--real-money was not given"),
        ("--real-money --set real_money=true", "the market is simulated: add --market live"),
        ("--market live --real-money --set real_money=true --set keys.keyring=false", "no API keys for"),
        ("--market testnet --set keys.keyring=false", "no API keys for binance.testnet and bybit.testnet"),
    ],
)  # fmt: skip
def test_a_closed_lock_is_one_line_and_exit_code_2(
    words: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    for name in ENVIRON:
        monkeypatch.delenv(name, raising=False)
    code = main.main([*words.split(), "--headless", "--data-dir", str(tmp_path)])
    told = capsys.readouterr()
    assert code == ExitCode.SETTINGS
    assert told.err.count("\n") == 1, told.err
    assert said in told.err
    assert told.out == ""


def test_kraken_is_traded_on_where_it_has_a_key_and_watched_where_it_has_none() -> None:
    instruments = {"binance": {"spot": ["BTC/USDT"]}, "kraken": {"spot": ["BTC/USDT"]}}
    settings = Settings.model_validate({"market": "live", "real_money": True, "instruments": instruments,
                                        "keys": {"keyring": False}})  # fmt: skip
    environ = {f"CRYPTO_PIPE_BINANCE_{part}": "canary-of-binance" for part in ("KEY", "SECRET")}
    assert set(unlocked_keys(settings, flag=True, environ=dict(environ))) == {"binance"}
    both = environ | {f"CRYPTO_PIPE_KRAKEN_{part}": "Y2FuYXJ5LW9mLWtyYWtlbg==" for part in ("KEY", "SECRET")}
    found = unlocked_keys(settings, flag=True, environ=both)
    assert set(found) == {"binance", "kraken"}
    assert found["kraken"].hosts.require("https://api.kraken.com/0/private/AddOrder")
    with pytest.raises(SettingsError, match="refused to sign"):
        found["kraken"].hosts.require("https://api.binance.com/")
    with pytest.raises(SettingsError, match=r"binance"):
        unlocked_keys(settings, flag=True, environ={"CRYPTO_PIPE_KRAKEN_KEY": "k" * 12,
                                                    "CRYPTO_PIPE_KRAKEN_SECRET": "s" * 12})  # fmt: skip


@pytest.mark.parametrize(("market", "simulated", "expected"), [
    ("live", False, {"binance", "bybit", "kraken"}), ("testnet", True, {"binance", "bybit"}),
    ("simulated", False, {"binance", "bybit"}), ("simulated", True, {"binance", "bybit", "kraken"}),
])  # fmt: skip
def test_orders_go_to_kraken_where_there_is_one(market: str, simulated: bool, expected: set[str]) -> None:
    settings = Settings.model_validate({"market": market, "simulator": {"kraken": simulated}})
    assert order_venues(settings) == expected
