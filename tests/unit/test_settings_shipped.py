"""What is shipped agrees with the models: settings.yaml, settings.schema.json and docs/settings.md."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.settings import Settings
from bot.settings.display import show_config, show_config_json
from bot.settings.layers import file_layers
from bot.settings.loader import LoadedSettings, load_settings
from bot.settings.reference import json_schema, settings_reference_markdown
from bot.settings.schema import Key, SettingsSchema, settings_model
from strategies.registry import strategy_settings

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "settings.yaml"
STRATEGIES = strategy_settings()
SCHEMA = SettingsSchema(settings_model(STRATEGIES))
FREE = (
    "execution.maintenance",
    "instruments",
    "venues",
    "fees",
    "funding",
    "paper.balances",
    "archive.books",
    "archive.keep_days",
    "arbitrage.networks",
)
"""Sections whose names a person chooses: the models have no defaults there."""


def shipped(**cli: Any) -> LoadedSettings:
    return load_settings(SHIPPED, {}, [], cli, STRATEGIES, venues=["binance", "bybit", "coinbase", "kraken"])


def matches(placeholder: Key, key: Key) -> bool:
    pattern = re.sub(r"<\w+>", r"[^.]+", re.escape(".".join(placeholder)))
    return re.fullmatch(pattern, ".".join(key)) is not None


def test_every_settable_key_stands_in_the_shipped_file() -> None:
    base, _ = file_layers(SHIPPED, SCHEMA)
    missing = [leaf for leaf, _ in SCHEMA.leaves() if not any(matches(leaf, key) for key in base.values)]
    assert not missing


def test_every_shipped_value_has_words() -> None:
    lines = SHIPPED.read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r" *[a-z_.]+: *\S", line) and "#" not in line:
            section = next(above for above in reversed(lines[:number]) if re.match(r" *[a-z_.]+: *(#.*)?$", above))
            about = lines[lines.index(section) - 1] + section
            assert "#" in about, line


def test_the_shipped_values_are_the_models_defaults() -> None:
    loaded = shipped()
    bare = load_settings(Path("nowhere.yaml"), {}, [], {}, STRATEGIES, required=False)
    differing = {key for key in leaves(loaded.merged) if leaves(loaded.merged)[key] != leaves(bare.merged).get(key)}
    assert {key for key in differing if not key.startswith(FREE)} == set()


def leaves(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            found |= leaves(value, f"{above}{name}.")
        else:
            found[f"{above}{name}"] = value
    return found


def test_funding_is_assumed_for_recorded_markets_only() -> None:
    assert shipped(market="recorded").settings.funding["binance"]["linear"].assumed_bps_per_8h == 0
    for market in ("live", "simulated"):
        funding = shipped(market=market).settings.funding
        assert {rate.assumed_bps_per_8h for venue in funding.values() for rate in venue.values()} == {None}


def test_the_paper_wallets_can_sell_spot() -> None:
    assert shipped().settings.paper.balances == {
        "binance.spot": {"USDT": Decimal(100_000), "BTC": Decimal(2), "ETH": Decimal(30)},
        "binance.linear": {"USDT": Decimal(100_000)},
        "binance.inverse": {"BTC": Decimal(2), "ETH": Decimal(30)},
        "bybit.unified": {"USDT": Decimal(100_000), "BTC": Decimal(2), "ETH": Decimal(30)},
        "kraken.spot": dict.fromkeys(("USD", "USDT", "USDC"), Decimal(100_000)) | {"BTC": Decimal(2)},
        "coinbase.spot": dict.fromkeys(("USD", "USDT", "USDC"), Decimal(100_000)) | {"BTC": Decimal(2)},
    }


def test_the_shipped_file_is_the_safe_one() -> None:
    settings = shipped().settings
    assert settings.market == "simulated"
    assert not settings.real_money
    assert settings.instruments == {
        "binance": {"linear": ["BTC/USDT:USDT"]},
        "bybit": {"linear": ["BTC/USDT:USDT"]},
    }


def test_plain_yaml_readers_agree_with_us() -> None:
    """No shipped value depends on our reading numbers as text."""
    plain = yaml.safe_load(SHIPPED.read_text())
    assert plain["risk"]["max_open_pairs"] == 3
    assert Settings.model_validate({"risk": plain["risk"], "paper": plain["paper"]}).paper == shipped().settings.paper


def test_what_show_config_prints_is_a_settings_file_of_the_same_settings(tmp_path: Path) -> None:
    loaded = shipped(market="live")
    copy = tmp_path / "copy.yaml"
    copy.write_text(show_config(loaded))
    assert load_settings(copy, {}, [], {}, STRATEGIES).digest == loaded.digest


def test_show_config_is_data_for_programs_too() -> None:
    loaded = load_settings(SHIPPED, {}, ["risk.max_open_pairs=2"], {}, STRATEGIES)
    told = json.loads(show_config_json(loaded))
    assert told["digest"] == loaded.digest
    assert told["settings"]["risk"]["max_open_pairs"] == 2
    assert told["origins"]["risk.max_open_pairs"] == "--set"
    assert "secret" not in told["origins"]


def test_show_config_tells_where_a_value_comes_from() -> None:
    variable = {"CRYPTO_PIPE__RISK__MAX_OPEN_PAIRS": "1"}
    text = show_config(load_settings(SHIPPED, variable, ["recorded.speed=1x"], {"market": "live"}, STRATEGIES))
    assert re.search(r"max_open_pairs: 1 +# CRYPTO_PIPE__RISK__MAX_OPEN_PAIRS", text)
    assert re.search(r'speed: "1x" +# --set', text)
    assert re.search(r"market: live +# --market", text)
    assert re.search(r"max_order_notional: 1000.0 +# .*settings.yaml:\d+", text)


def test_the_published_schema_is_current() -> None:
    published = json.loads((ROOT / "settings.schema.json").read_text())
    assert published == json_schema(STRATEGIES), "run: python main.py --json-schema > settings.schema.json"
    assert SHIPPED.read_text().startswith("# yaml-language-server: $schema=./settings.schema.json\n")


def test_the_schema_accepts_what_the_loader_accepts() -> None:
    schema = json_schema(STRATEGIES)
    assert conforms(yaml.safe_load(SHIPPED.read_text()), schema, schema) == []
    wrong = {"risk": {"max_open_pairs": 0}, "fees": {"binance.linaer": {}}, "market_overrides": {"live": {"rsik": {}}}}
    assert conforms(wrong, schema, schema) == ["max_open_pairs", "binance.linaer", "rsik"]


def conforms(value: Any, node: dict[str, Any], root: dict[str, Any], name: str = "") -> list[str]:
    """The names that the schema refuses: as much of JSON Schema as ours uses."""
    if "$ref" in node:
        pointer = node["$ref"]
        return conforms(value, root if pointer == "#" else root["$defs"][pointer.rpartition("/")[2]], root, name)
    if "anyOf" in node:
        return min((conforms(value, option, root, name) for option in node["anyOf"]), key=len)
    kinds: dict[str, Any] = {
        "object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float),
        "null": type(None),
    }  # fmt: skip
    if not isinstance(value, kinds[node["type"]]) or ("enum" in node and value not in node["enum"]):
        return [name]
    if "exclusiveMinimum" in node and value <= node["exclusiveMinimum"]:
        return [name]
    if node["type"] != "object":
        return []
    wrong: list[str] = []
    for key, child in value.items():
        known = node.get("properties", {}).get(key)
        for pattern, option in node.get("patternProperties", {}).items():
            known = option if re.match(pattern, key) else known
        wrong += [key] if known is None else conforms(child, known, root, key)
    return wrong


def test_the_documented_table_is_current() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    begin, end = "<!-- every key: begin (a test compares this with the models) -->\n", "<!-- every key: end -->"
    table = text.partition(begin)[2].partition(end)[0]
    assert table == settings_reference_markdown(STRATEGIES), "put settings_reference_markdown(...) between the marks"


@pytest.mark.parametrize("leaf", ["max_open_pairs", "taker_bps", "assumed_bps_per_8h", "min_net_edge_bps"])
def test_every_documented_key_says_what_it_means(leaf: str) -> None:
    rows = settings_reference_markdown(STRATEGIES).splitlines()[2:]
    assert any(leaf in row for row in rows)
    assert [row for row in rows if row.endswith("|  |")] == []
