"""Settings in layers: what counts, what is refused, and in which words."""

from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from bot.errors import InvariantError, SettingsError
from bot.settings.loader import LoadedSettings, load_settings


class DemoSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    edge_bps: float = Field(default=1.0, le=50)
    basis: Literal["mean", "none"] = "mean"
    note: str = ""
    plain: float = 0.0
    api_secret: SecretStr | None = None


STRATEGIES: dict[str, type[BaseModel]] = {"demo": DemoSettings}
BASE = "strategy: demo\n"


def load(
    tmp_path: Path,
    text: str = "",
    *,
    environ: dict[str, str] | None = None,
    sets: tuple[str, ...] = (),
    cli: dict[str, Any] | None = None,
    **more: Any,
) -> LoadedSettings:
    path = tmp_path / "settings.yaml"
    path.write_text(BASE + text)
    return load_settings(path, environ or {}, sets, cli or {}, STRATEGIES, **more)


def refusal(tmp_path: Path, text: str = "", **layers: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text, **layers)
    message = str(caught.value).replace(str(tmp_path) + "/", "")
    assert "\n" not in message
    return message


def test_the_stronger_layer_counts(tmp_path: Path) -> None:
    text = "market: recorded\nrisk:\n  max_open_pairs: 2\nmarket_overrides:\n  recorded:\n    risk.max_open_pairs: 4\n"
    variable = {"CRYPTO_PIPE__RISK__MAX_OPEN_PAIRS": "5"}

    def pairs(**layers: Any) -> int:
        return load(tmp_path, text, **layers).settings.risk.max_open_pairs

    assert pairs(cli={"market": "live"}) == 2
    assert pairs() == 4
    assert pairs(environ=variable) == 5
    assert pairs(environ=variable, sets=("risk.max_open_pairs=6", "risk.max_open_pairs=7")) == 7


def test_the_flag_goes_over_everything(tmp_path: Path) -> None:
    layers: dict[str, Any] = {"environ": {"CRYPTO_PIPE__MARKET": "live"}, "sets": ("market=live", "data_dir=a")}
    loaded = load(
        tmp_path, "market: live\n", **layers, cli={"market": "recorded", "data_dir": Path("b"), "strategy": None}
    )
    assert (loaded.settings.market, loaded.settings.data_dir) == ("recorded", Path("b"))
    assert loaded.overridden["command line"] == ["data_dir", "market"]


@pytest.mark.parametrize("market", ["file", "environ", "set", "flag"])
def test_the_market_that_holds_selects_the_overlay(tmp_path: Path, market: str) -> None:
    text = "market: live\n" if market == "file" else ""
    text += "market_overrides: {live: {risk.max_open_pairs: 9}}\n"
    loaded = load(
        tmp_path,
        text,
        environ={"CRYPTO_PIPE__MARKET": "live"} if market == "environ" else {},
        sets=("market=live",) if market == "set" else (),
        cli={"market": "live"} if market == "flag" else {},
    )
    assert loaded.settings.risk.max_open_pairs == 9


@pytest.mark.parametrize(
    "text",
    [
        "fees: {binance.spot: {taker_bps: 0.1}}\n",
        "fees: {binance: {spot: {taker_bps: 0.1}}}\n",
        "fees.binance.spot.taker_bps: 0.1\n",
        "fees:\n  binance:\n    spot.taker_bps: '0.1'\n",
    ],
)
def test_a_dot_is_a_level_and_money_keeps_its_digits(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text).settings.fees["binance"]["spot"].taker_bps == Decimal("0.1")


@pytest.mark.parametrize("name", ["FEES__BINANCE__SPOT__TAKER_BPS", "FEES__BINANCE.SPOT__TAKER_BPS"])
def test_a_level_of_a_variable_is_two_underscores_or_a_dot(tmp_path: Path, name: str) -> None:
    text = "fees.binance.spot: {taker_bps: 0.1, maker_bps: 0.2}\n"
    fees = load(tmp_path, text, environ={f"CRYPTO_PIPE__{name}": "0.7"}).settings.fees["binance"]["spot"]
    assert (fees.taker_bps, fees.maker_bps) == (Decimal("0.7"), Decimal("0.2"))


def test_free_names_come_from_every_layer(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        "paper.balances: {binance.spot: {USDT: 1, BTC: 2}}\ninstruments: {binance.linear: [A/B:B, C/D:D]}\n",
        environ={
            "CRYPTO_PIPE__FEES__BINANCE__SPOT__TAKER_BPS": "0",
            "CRYPTO_PIPE__PAPER__BALANCES__BINANCE__SPOT__USDT": "0.1",
        },
        sets=("paper.balances.bybit.unified.ETH=30", "instruments.binance.linear=[BTC/USDT:USDT]"),
    )
    assert loaded.settings.fees["binance"]["spot"].taker_bps == 0
    assert loaded.settings.paper.balances == {
        "binance.spot": {"USDT": Decimal("0.1"), "BTC": Decimal(2)},
        "bybit.unified": {"ETH": Decimal(30)},
    }
    assert loaded.settings.instruments == {"binance": {"linear": ["BTC/USDT:USDT"]}}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("real_money: NO\n", False),
        ("real_money: 'yes'\n", True),
        ("data_dir: 12:30\n", "12:30"),
        ("data_dir: 010\n", "010"),
        ("risk:\nfees:\n  binance:\n", False),
    ],
)
def test_yaml_surprises_do_not_reach_the_settings(tmp_path: Path, text: str, wanted: object) -> None:
    settings = load(tmp_path, text).settings
    assert wanted in (settings.real_money, str(settings.data_dir))


def test_null_unsets_where_it_may(tmp_path: Path) -> None:
    loaded = load(tmp_path, "fees: {binance.spot: {taker_bps: 3}}\n", sets=("fees.binance.spot.taker_bps=null",))
    assert loaded.settings.fees["binance"]["spot"].taker_bps is None


def test_a_strategy_section_is_typed_by_the_strategy(tmp_path: Path) -> None:
    loaded = load(tmp_path, "demo: {edge_bps: 2.5, basis: none}\n")
    assert loaded.section("demo") == DemoSettings(edge_bps=2.5, basis="none")


def test_a_strategy_that_takes_anything_is_our_bug(tmp_path: Path) -> None:
    class Loose(BaseModel):
        pass

    class Clash(DemoSettings):
        pass

    with pytest.raises(InvariantError):
        load_settings(tmp_path / "none", {}, [], {}, {"loose": Loose}, required=False)
    with pytest.raises(SettingsError, match="another name"):
        load_settings(tmp_path / "none", {}, [], {}, {"risk": Clash}, required=False)


REFUSALS = [
    (
        "risk:\n  max_open_pair: 1\n",
        "settings.yaml:3: unknown key risk.max_open_pair; did you mean risk.max_open_pairs?",
    ),
    ("rsik:\n  max_open_pairs: 1\n", "settings.yaml:2: unknown key rsik; did you mean risk?"),
    ("max_open_pairs: 1\n", "settings.yaml:2: unknown key max_open_pairs; did you mean risk.max_open_pairs?"),
    ("zzz: 1\n", "settings.yaml:2: unknown key zzz; --show-config lists them all"),
    ("risk:\n\n  max_open_pairs: 0\n", "settings.yaml:4: risk.max_open_pairs must be a whole number above 0"),
    ("risk: {max_open_pairs: 1.5}\n", "settings.yaml:2: risk.max_open_pairs must be a whole number above 0"),
    ("risk: 5\n", "settings.yaml:2: risk must be a section with keys of its own"),
    ("paper: {latency_ms: -1}\n", "settings.yaml:2: paper.latency_ms must be a number at least 0"),
    (
        "paper: {initial_margin_ratio: 2}\n",
        "settings.yaml:2: paper.initial_margin_ratio must be a number above 0 and at most 1",
    ),
    # Milliseconds for seconds: a pair would stand on one leg for three hours before anybody is told.
    (
        "execution: {unhedged_alarm_s: 2000, unhedged_act_s: 3000, unhedged_halt_s: 10000}\n",
        "execution.unhedged_alarm_s must be a number above 0 and at most 300",
    ),
    ("execution: {order_timeout_ms: 3000000}\n", "order_timeout_ms must be a number above 0 and at most 60000"),
    ("execution: {retry_wait_ms: 200000}\n", "execution.retry_wait_ms must be a number at least 0 and at most 60000"),
    ("execution: {reconcile_every_s: 5000}\n", "reconcile_every_s must be a number above 0 and at most 600"),
    ("quote_gate: {max_age_ms: 500000}\n", "quote_gate.max_age_ms must be a number above 0 and at most 120000"),
    ("quote_gate: {max_skew_ms: 300000}\n", "quote_gate.max_skew_ms must be a number above 0 and at most 120000"),
    (
        "market: recoded\n",
        "settings.yaml:2: market must be one of recorded, simulated, live, testnet; did you mean recorded?",
    ),
    ("demo: {edge_bps: .nan}\n", "settings.yaml:2: demo.edge_bps must be a number at most 50"),
    ("demo: {plain: nan}\n", "settings.yaml:2: demo.plain must be a finite number"),
    ("demo: {plain: 1e999}\n", "settings.yaml:2: demo.plain must be a finite number"),
    ("demo: {plain: -inf}\n", "settings.yaml:2: demo.plain must be a finite number"),
    ("demo: {bais: mean}\n", "settings.yaml:2: unknown key demo.bais; did you mean demo.basis?"),
    (
        "fees: {binance.spot: {taker_bps: nan}}\n",
        "settings.yaml:2: fees.binance.spot.taker_bps must be a number, or null",
    ),
    (
        "fees:\n  binance.linaer: {taker_bps: 1}\n",
        "settings.yaml:3: unknown key fees.binance.linaer; did you mean fees.binance.linear?",
    ),
    ("instruments: {binance.linear: BTC/USDT}\n", "settings.yaml:2: instruments.binance.linear must be a list"),
    ("market_overrides:\n  recordde: {risk: {}}\n", "settings.yaml:3: unknown market under market_overrides"),
    ("market_overrides: {live: {market: live}}\n", "settings.yaml:2: market_overrides cannot change the market"),
    ("market_overrides: {live: {risk: {max: 1}}}\n", "settings.yaml:2: unknown key risk.max"),
    ("market_overrides: {live: 5}\n", "settings.yaml:2: market_overrides.live must be a section"),
    ("market_overrides: 5\n", "settings.yaml:2: market_overrides must be a section"),
    ("risk.max_open_pairs: 1\nrisk: {max_open_pairs: 2}\n", "settings.yaml:3: risk.max_open_pairs is given twice"),
    ("risk: 5\nrisk.max_open_pairs: 1\n", "settings.yaml:3: risk.max_open_pairs is given twice"),
    ("market: live\nmarket: live\n", "settings.yaml:3: market is given twice"),
    ("risk: &a {max_open_pairs: 1}\nfees: *a\n", "settings.yaml:2: anchors and aliases are not used"),
    ("data_dir: !!python/object:os.system x\n", "settings.yaml:2: tags are not used"),
    ("? [a, b]\n: 1\n", "settings.yaml:2: a key must be a plain name"),
    ("risk:\n\tmax_open_pairs: 1\n", "settings.yaml:3: a tab cannot indent"),
    ("risk: {max_open_pairs: 1\n", "settings.yaml:3: not valid YAML: expected ',' or '}', but got '<stream end>'"),
    ('a: "\\q"\n', "settings.yaml:2: not valid YAML: found unknown escape character"),
    ("demo: {note: 'open\n", "settings.yaml:3: not valid YAML"),
    ("a: b: c\n", "settings.yaml:2: not valid YAML: mapping values are not allowed here"),
    ("a..b: 1\n", "settings.yaml:2: a key has an empty part"),
    ("data_dir: \x07\n", "settings.yaml: holds a control character"),
    ("a: " + "[" * 40 + "]" * 40 + "\n", "settings.yaml:2: nested deeper than 16 levels"),
    ("---\nb: 1\n", "settings.yaml:2: not valid YAML: but found another document"),
    ("zz1: 1\nzz2: 1\nzz3: 1\n", "(and 2 more)"),
]


@pytest.mark.parametrize(("text", "message"), REFUSALS)
def test_a_wrong_file_is_one_line_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    assert message in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            {"environ": {"CRYPTO_PIPE__RSIK__MAX_OPEN_PAIRS": "1"}},
            "CRYPTO_PIPE__RSIK__MAX_OPEN_PAIRS: unknown key rsik; did you mean risk?",
        ),
        ({"environ": {"CRYPTO_PIPE__": "1"}}, "CRYPTO_PIPE__: a key has an empty part"),
        (
            {"environ": {"CRYPTO_PIPE__RISK__MAX_OPEN_PAIRS": ""}},
            "CRYPTO_PIPE__RISK__MAX_OPEN_PAIRS: risk.max_open_pairs must be a whole number above 0",
        ),
        ({"environ": {"CRYPTO_PIPE__MARKET": "a", "CRYPTO_PIPE__market": "b"}}, "market is given twice"),
        ({"sets": ("risk.max_open_pairs",)}, "--set: write KEY=VALUE"),
        ({"sets": ("risk..a=1",)}, "--set: a key has an empty part"),
        ({"sets": ("fees.binance.spot.taker=1",)}, "--set: unknown key fees.binance.spot.taker; did you mean"),
        (
            {"sets": ("instruments.binance.linear=[BTC",)},
            "--set: the value of instruments.binance.linear is not a YAML",
        ),
        ({"sets": ("risk=5", "risk.max_open_pairs=1")}, "--set: risk.max_open_pairs is given twice"),
        (
            {"sets": ("market_overrides.live.risk.max_open_pairs=1",)},
            "--set: market_overrides stand in the settings file",
        ),
        ({"sets": ("strategy=dmeo",)}, "--set: unknown strategy (known: demo); did you mean demo?"),
        (
            {"cli": {"market": "liev"}},
            "--market: market must be one of recorded, simulated, live, testnet; did you mean live?",
        ),
        (
            {"sets": ("fees.binanse.spot.taker_bps=1",), "venues": ["binance"]},
            "unknown venue fees.binanse (known: binance)",
        ),
        ({"sets": ("paper.balances.bibit.spot.A=1",), "venues": ["bybit"]}, "did you mean bybit?"),
        ({"sets": ("paper.balances.bybit.spot.usdt=1",)}, "--set: unknown key paper.balances.bybit.spot.usdt"),
    ],
)
def test_a_wrong_word_from_outside_is_one_line_with_its_place(
    tmp_path: Path, layers: dict[str, Any], message: str
) -> None:
    assert message in refusal(tmp_path, **layers)


def test_an_overlay_that_is_not_in_use_is_checked_all_the_same(tmp_path: Path) -> None:
    text = "market_overrides:\n  live:\n    risk: {max_open_pairs: nine}\n"
    assert refusal(tmp_path, text).startswith("settings.yaml:4: risk.max_open_pairs must be")


def test_a_missing_file_is_an_error_only_where_it_was_named(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(path, {}, [], {"strategy": "demo"}, STRATEGIES)
    loaded = load_settings(path, {}, [], {"strategy": "demo"}, STRATEGIES, required=False)
    assert "is missing" in loaded.notes[0]


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    for raw, message in (
        (b"a: 1\n" * 300_000, "larger than"),
        (b"\xff\xfe\xff", "not UTF-8"),
        (b"- a\n", "must hold settings"),
    ):
        path.write_bytes(raw)
        with pytest.raises(SettingsError, match=message):
            load_settings(path, {}, [], {}, STRATEGIES)
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path, {}, [], {}, STRATEGIES, required=False)


def test_an_empty_file_means_defaults(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    for text in ("", "# nothing\n", "---\n"):
        path.write_text(text)
        assert load_settings(path, {}, [], {"strategy": "demo"}, STRATEGIES).settings.risk.max_open_pairs == 3


def test_the_digest_follows_the_values_and_not_the_layer(tmp_path: Path) -> None:
    written = load(tmp_path, "risk: {max_open_pairs: 2}\n").digest
    assert load(tmp_path, sets=("risk.max_open_pairs=2",)).digest == written
    assert load(tmp_path, sets=("risk.max_open_pairs=1",)).digest != written
    assert len(written) == 64


def test_the_real_environment_plays_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKET", "live")
    monkeypatch.setenv("CRYPTO_PIPE__MARKET", "live")
    assert load(tmp_path).settings.market == "simulated"
