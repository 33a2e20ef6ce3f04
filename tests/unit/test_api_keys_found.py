"""Keyring, file, environment: where API keys are looked for, and what is said where there are none."""

import os
import threading
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from bot.errors import SettingsError
from bot.settings.keys import KeySettings
from exchanges.keys import sources
from exchanges.keys.finding import find_keys
from exchanges.keys.names import forget
from tests.unit.waiting import until

KEY, SECRET = "canary-key-0001", "canary-secret-0001"
ENVIRON = {"CRYPTO_PIPE_BINANCE_KEY": KEY, "CRYPTO_PIPE_BINANCE_SECRET": SECRET}
OF_BYBIT = {"CRYPTO_PIPE_BYBIT_KEY": KEY, "CRYPTO_PIPE_BYBIT_SECRET": SECRET}
NO_KEYRING = {"keyring": False}


class Ring(KeyringBackend):
    priority = 1  # type: ignore[assignment]

    def __init__(self, kept: dict[str, str], error: Exception | None = None) -> None:
        super().__init__()
        self.kept, self.error = kept, error

    def get_password(self, service: str, username: str) -> str | None:
        if self.error is not None:
            raise self.error
        return self.kept.get(username) if service == "crypto-pipe" else None

    def set_password(self, service: str, username: str, password: str) -> None: ...

    def delete_password(self, service: str, username: str) -> None: ...


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Ring:
    ring = Ring({})
    monkeypatch.setattr(keyring, "get_password", ring.get_password)
    return ring


def key_file(tmp_path: Path, text: str, mode: int = 0o600) -> Path:
    path = tmp_path / "keys.yaml"
    path.write_text(text)
    path.chmod(mode)
    return path


def found(venues: str, market: str = "live", environ: dict[str, str] | None = None, **settings: object) -> list[str]:
    keys = find_keys(venues.split(), market, KeySettings.model_validate(settings), environ or {})
    return [f"{venue}={pair.key.get_secret_value()}/{pair.secret.get_secret_value()}" for venue, pair in keys.items()]


def test_the_keyring_comes_before_the_file_and_the_file_before_the_environment(tmp_path: Path, ring: Ring) -> None:
    file = key_file(tmp_path, "binance:\n  key: of-the-file\n  secret: of-the-file-too\n")
    environ = {"CRYPTO_PIPE_BINANCE_KEY": "of-the-environment", "CRYPTO_PIPE_BINANCE_SECRET": "of-the-environment"}
    assert found("binance", environ=environ) == ["binance=of-the-environment/of-the-environment"]
    assert found("binance", environ=environ, file=file) == ["binance=of-the-file/of-the-file-too"]
    ring.kept = {"binance.key": "of-the-ring", "binance.secret": "of-the-ring-too\n"}
    assert found("binance", environ=environ, file=file) == ["binance=of-the-ring/of-the-ring-too"]


@pytest.mark.parametrize("error", [RuntimeError(KEY), OSError("no bus"), AttributeError(KEY)])
def test_a_keyring_that_breaks_in_its_own_way_is_passed_over_too(ring: Ring, error: Exception) -> None:
    ring.error = error
    assert found("binance", environ=ENVIRON) == [f"binance={KEY}/{SECRET}"]
    with pytest.raises(SettingsError, match=f"there is none that can be used: {type(error).__name__}") as refused:
        found("binance")
    assert KEY not in str(refused.value)


def test_a_keyring_that_waits_for_somebody_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, nobody = list[str](), threading.Event()

    def prompt(service: str, username: str) -> None:
        asked.append(username)
        nobody.wait(60)

    monkeypatch.setattr(keyring, "get_password", prompt)
    monkeypatch.setattr(sources, "_PATIENCE_S", 0.2)
    monkeypatch.setattr(sources.Keyring, "_is_silent", False)
    assert found("binance bybit", environ=ENVIRON | OF_BYBIT) == [f"binance={KEY}/{SECRET}", f"bybit={KEY}/{SECRET}"]
    until(lambda: bool(asked))  # a busy machine may begin to ask later than it is waited for
    assert asked == ["binance.key"]
    with pytest.raises(SettingsError, match=r"the keyring \(it did not answer in 0.2 s\)"):
        found("binance")
    nobody.set()


def test_every_venue_and_every_system_has_keys_of_its_own(tmp_path: Path) -> None:
    file = key_file(
        tmp_path,
        "binance: {key: live-key, secret: live-secret}\n"
        "binance.testnet: {key: test-key, secret: test-secret}\n"
        "bybit.testnet: {key: bybit-key, secret: bybit-secret}\n",
    )
    both = found("binance bybit", "testnet", file=file, **NO_KEYRING)
    assert both == ["binance=test-key/test-secret", "bybit=bybit-key/bybit-secret"]
    with pytest.raises(SettingsError, match="no API keys for bybit;"):
        found("binance bybit", "live", file=file, **NO_KEYRING)


def test_a_key_is_bound_to_the_hosts_of_its_market() -> None:
    live = find_keys(["binance"], "live", KeySettings(keyring=False), ENVIRON)["binance"]
    assert live.hosts.require("https://api.binance.com")
    with pytest.raises(SettingsError):
        live.hosts.require("https://testnet.binance.vision")


def test_a_keyring_that_cannot_be_used_is_said_and_passed_over(ring: Ring) -> None:
    ring.error = KeyringLocked("canary-in-a-backends-words")
    assert found("binance", environ=ENVIRON) == [f"binance={KEY}/{SECRET}"]
    with pytest.raises(SettingsError) as missing:
        found("bybit", environ=ENVIRON)
    assert "none that can be used: KeyringLocked" in str(missing.value)
    assert "canary" not in str(missing.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610, 0o700 | 0o001])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = key_file(tmp_path, f"binance: {{key: {KEY}, secret: {SECRET}}}\n", mode)
    with pytest.raises(SettingsError, match=f"can be read by others .mode {mode:04o}.: chmod 600"):
        found("binance", file=file, **NO_KEYRING)


def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = key_file(tmp_path, f"binance: {{key: {KEY}, secret: {SECRET}}}\n")
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    with pytest.raises(SettingsError, match="belongs to another user"):
        found("binance", file=file, **NO_KEYRING)


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(SettingsError, match="is no plain file"):
            found("binance", file=path, **NO_KEYRING)
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        found("binance", file=tmp_path / "none", **NO_KEYRING)


def test_a_path_below_a_home_that_nobody_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_123)  # as in a container, whose user has no name
    with pytest.raises(SettingsError, match="write the whole path"):
        found("binance", file=Path("~/keys.yaml"), **NO_KEYRING)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"binance: {{key: {KEY}, secret: '{SECRET}\n", "is no YAML"),
        (f"!!python/object/apply:os.system ['{KEY}']", "is no YAML"),
        ("", "holds no keys"),
        (f"- {KEY}\n- {SECRET}\n", "holds no keys"),
        (f"{KEY}: {{key: a, secret: b}}\n", "accounts are called"),
        (f"binance.{SECRET}: {{key: a, secret: b}}\n", "accounts are called"),
        (f"binance: {{key: {KEY}}}\n", "has `key` and `secret`, and nothing else"),
        (f"binance: {{key: {KEY}, secret: {SECRET}, more: 1}}\n", "and nothing else"),
        (f"binance: {KEY}\n", "and nothing else"),
        (f"binance: {{key: 12345678, secret: {SECRET}}}\n", "is no text"),
        (f"binance: {{key: '{KEY} {SECRET}', secret: {SECRET}}}\n", "is no API key"),
        (f'binance: {{key: "{KEY}\\r\\nX-Header: 1", secret: {SECRET}}}\n', "is no API key"),
        (f"binance: {{key: '', secret: {SECRET}}}\n", "is no API key"),
        ("x" * 70_000, "larger than any file of keys"),
    ],
)
def test_what_a_file_of_keys_gets_wrong_is_said_without_a_word_of_it(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        found("binance", file=key_file(tmp_path, text), **NO_KEYRING)
    assert "canary" not in str(refused.value)
    assert "\n" not in str(refused.value)
    cause: BaseException | None = refused.value
    while cause is not None:  # a traceback shows the whole chain, where it is not suppressed
        assert "canary" not in str(cause)
        cause = None if cause.__suppress_context__ else cause.__context__


def test_half_a_key_is_never_completed_from_another_place(tmp_path: Path, ring: Ring) -> None:
    ring.kept = {"binance.key": KEY}
    with pytest.raises(SettingsError, match="the keyring has the key of binance and not the other half") as refused:
        found("binance", environ=ENVIRON)
    assert "canary" not in str(refused.value)


def test_what_is_missing_is_one_line_that_says_what_to_do() -> None:
    with pytest.raises(SettingsError) as missing:
        found("bybit binance", "testnet", **NO_KEYRING)
    line = str(missing.value)
    assert line.startswith("no API keys for binance.testnet and bybit.testnet; looked into the environment. Set ")
    assert "CRYPTO_PIPE_BINANCE_TESTNET_KEY" in line
    assert "python -m keyring set crypto-pipe binance.testnet.key" in line
    assert "\n" not in line


def test_keys_are_not_shown() -> None:
    keys = find_keys(["binance"], "live", KeySettings(keyring=False), ENVIRON)["binance"]
    for shown in (str(keys), repr(keys), str(keys.model_dump()), keys.model_dump_json(), f"{vars(keys)}"):
        assert "canary" not in shown


def test_programs_that_are_started_inherit_no_key() -> None:
    environ = {
        **ENVIRON,
        "CRYPTO_PIPE_BYBIT_TESTNET_SECRET": SECRET,
        "CRYPTO_PIPE_SIMULATOR_PASSWORD": "p",
        "HOME": "/",
    }
    forget(environ)
    assert environ == {"CRYPTO_PIPE_SIMULATOR_PASSWORD": "p", "HOME": "/"}
