"""A secret appears nowhere: not in an error, not in --show-config, not in a repr."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from bot.errors import SettingsError
from bot.settings.display import show_config, show_config_json
from bot.settings.layers import Layer
from bot.settings.loader import load_settings
from bot.settings.schema import SettingsSchema, settings_model
from bot.settings.secret_keys import MASK, is_secret, masked_text, refuse_secrets

CANARY = "hUnTeR2-canary"


class Nested(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    password: SecretStr = SecretStr("")
    passphrase: str = ""
    retries: int = 1
    key_rows: int = 1


class SecretiveSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    api_key: SecretStr = SecretStr("")
    plain_token: str = ""
    mongo_uri: str | None = None
    tokens: list[SecretStr] = Field(default_factory=list)
    nested: Nested = Nested()
    note: str = ""
    chatty: str = ""

    @field_validator("chatty")
    @classmethod
    def repeats(cls, value: str) -> str:
        if value:
            raise ValueError(f"{value} is not wanted")
        return value

    @model_validator(mode="after")
    def repeats_more(self) -> "SecretiveSettings":
        if self.note.startswith("!"):
            raise ValueError(f"note {self.note} is not wanted")
        if self.note == "clash":
            raise ValueError("note and chatty exclude each other")
        return self


STRATEGIES: dict[str, type[BaseModel]] = {"demo": SecretiveSettings}
SCHEMA = SettingsSchema(settings_model(STRATEGIES))


def outcome(environ: dict[str, str], sets: list[str], path: Path) -> str:
    """All that anyone gets to see of these settings."""
    try:
        loaded = load_settings(path, environ, sets, {"strategy": "demo"}, STRATEGIES, required=False)
    except SettingsError as error:
        return f"{error} {error!r} {error.__cause__!r}"
    told = show_config(loaded) + show_config_json(loaded)
    return told + repr(loaded) + repr(loaded.settings.market) + str(loaded.merged)


@pytest.mark.parametrize(
    "variable",
    [
        "DEMO__API_KEY", "DEMO__PLAIN_TOKEN", "DEMO__MONGO_URI", "DEMO__NESTED__PASSWORD", "DEMO__NESTED__PASSPHRASE",
        "DEMO__API_KEE", "DEMO__CHATTY", "DEMO__NESTED__RETRIES", "BINANCE__API_SECRET", "MARKET", "STRATEGY", "DEMO",
        "RISK__MAX_OPEN_PAIRS", "PAPER__BALANCES__BINANCE__SPOT__USDT", "DEMO__TOKENS",
    ],
)  # fmt: skip
def test_a_secret_in_the_environment_is_never_shown(variable: str, tmp_path: Path) -> None:
    for value in (CANARY, f"[{CANARY}]", f"{{a: {CANARY}}}", f"!{CANARY}", f"'{CANARY}"):
        assert CANARY not in outcome({f"CRYPTO_PIPE__{variable}": value}, [], tmp_path / "none.yaml")


def test_a_declared_secret_arrives_whole(tmp_path: Path) -> None:
    value = f' [{CANARY}: #"x'
    loaded = load_settings(
        tmp_path / "none", {"CRYPTO_PIPE__DEMO__API_KEY": value}, [], {"strategy": "demo"}, STRATEGIES, required=False
    )
    section = loaded.section("demo")
    assert isinstance(section, SecretiveSettings)
    assert section.api_key.get_secret_value() == value
    assert f'api_key: "{MASK}"' in show_config(loaded)


@settings(max_examples=60, deadline=None)
@given(
    part=st.text(min_size=6, max_size=30).filter(lambda text: text.strip() == text and MASK not in text),
    shape=st.sampled_from(["{}", "[{}", "{{a: {}", "'{}", "https://u:{}@host/x", "wss://h/p?token={}"]),
    key=st.sampled_from(["demo.api_key", "demo.plain_token", "demo.chatty", "demo.nested.retries", "nope", "market"]),
)
def test_no_value_is_repeated_whatever_it_is(part: str, shape: str, key: str) -> None:
    canary = f"kanari{part}kanari"
    variable = "CRYPTO_PIPE__" + key.upper().replace(".", "__")
    value = shape.format(canary)
    nowhere = Path("no-such-settings.yaml")
    for seen in (outcome({variable: value}, [], nowhere), outcome({}, [f"{key}={value}"], nowhere)):
        assert "kanari" not in seen


BROKEN = [
    "risk: {", "  api_key: CANARY", "demo:", "  plain_token: CANARY", "  'CANARY", "&CANARY x", "*CANARY", "!CANARY x",
    "{api_key:CANARY}", "{CANARY: x}", "CANARY: x", "%CANARY", "- CANARY", '"CANARY', "api_key: CANARY: x", "@CANARY",
    "market: CANARY", "data_dir: 'CANARY\\", "\tCANARY", "}", "  rest_url: https://a:CANARY@b", "? CANARY",
]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(lines=st.lists(st.sampled_from(BROKEN), min_size=1, max_size=6))
def test_no_broken_file_is_quoted(lines: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "broken.yaml"
    path.write_text("\n".join(lines).replace("CANARY", CANARY))
    assert CANARY not in outcome({}, [], path)


@pytest.mark.parametrize(
    "text",
    [
        "binance: {api_key: abc}\n",
        "demo: {api_key: abc}\n",
        "demo: {apiKey: abc}\n",
        "demo: {nested: {password: abc}}\n",
        "market_overrides: {live: {demo: {plain_token: abc}}}\n",
        "venues: {binance.spot: {rest_url: 'https://me:abc@host'}}\n",
        "venues: {binance.spot: {rest_url: 'https://abc@host'}}\n",
    ],
)
def test_keys_never_stand_in_the_file(text: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(
        SettingsError, match=r"settings.yaml:1: .* looks like a secret, and keys never stand in"
    ) as caught:
        load_settings(path, {}, [], {"strategy": "demo"}, STRATEGIES)
    assert "abc" not in str(caught.value)


def test_a_refused_secret_is_told_where_it_belongs() -> None:
    layer = Layer("--set")
    layer.put(("demo", "api_key"), "abc", "--set")
    with pytest.raises(SettingsError, match="CRYPTO_PIPE__DEMO__API_KEY in the environment"):
        refuse_secrets(layer, SCHEMA)


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        ("demo.api_key", True),
        ("demo.nested.password", True),
        ("kraken.privateKey", True),
        ("demo.key_rows", True),
        ("demo.nested.key_rows", False),
        ("paper.balances.binance.spot.KEY", False),
        ("risk.max_open_pairs", False),
        ("demo.note", False),
        ("demo.maturity", False),
        ("demo.monkey", False),
    ],
)
def test_a_name_that_looks_secret_is_one_unless_a_number_stands_there(key: str, secret: bool) -> None:
    assert is_secret(tuple(key.split(".")), SCHEMA) is secret


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://host:8080/path", "https://host:8080/path"),
        ("https://me:pw@host/x", f"https://{MASK}@host/x"),
        ("https://me:p/w@host/x", f"https://{MASK}@host/x"),
        ("https://me@host", f"https://{MASK}@host"),
        ("me:pw@host", f"{MASK}@host"),
        ("wss://host/x?token=abc&y=2", f"wss://host/x?token={MASK}&y={MASK}"),
        ("BTC/USDT:USDT", "BTC/USDT:USDT"),
        ("a note, with: a colon", "a note, with: a colon"),
    ],
)
def test_urls_are_shown_without_their_user(text: str, shown: str) -> None:
    assert masked_text(text) == shown


def test_a_stream_name_is_no_user(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("venues: {binance.spot: {stream_url: 'wss://host:9443/ws/btcusdt@bookTicker'}}\n")
    loaded = load_settings(path, {}, [], {"strategy": "demo"}, STRATEGIES)
    assert loaded.settings.venues["binance"]["spot"].stream_url == "wss://host:9443/ws/btcusdt@bookTicker"


def test_a_check_of_ours_is_heard_where_it_repeats_nothing(tmp_path: Path) -> None:
    assert "note and chatty exclude each other" in outcome({}, ["demo.note=clash"], tmp_path / "none")
    assert "is refused by its own check" in outcome({}, ["demo.note=!abcdef"], tmp_path / "none")


def test_no_control_character_reaches_the_terminal(tmp_path: Path) -> None:
    seen = outcome({"CRYPTO_PIPE__DEMO__NOTE": "a\x1b]0;title\x07\x9b2J\u202e\n# x"}, [], tmp_path / "none\x1b[2J")
    assert re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", seen.partition("LoadedSettings(")[0]) is None


def layers_of(environ: dict[str, str], **more: Any) -> Any:
    return load_settings(Path("none.yaml"), environ, [], {"strategy": "demo"}, STRATEGIES, required=False, **more)


def test_only_names_of_overridden_keys_are_kept() -> None:
    loaded = layers_of({"CRYPTO_PIPE__DEMO__API_KEY": CANARY})
    assert loaded.overridden["environment"] == ["demo.api_key"]
    assert loaded.digest == layers_of({"CRYPTO_PIPE__DEMO__API_KEY": "another"}).digest
