"""Whatever is set where: the strongest layer counts, key by key."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.settings.display import show_config
from bot.settings.loader import load_settings
from strategies.registry import strategy_settings

STRATEGIES = strategy_settings()
KEYS = (
    "fees.binance.spot.taker_bps",
    "fees.binance.linear.maker_bps",
    "paper.balances.binance.spot.USDT",
    "risk.max_order_notional",
    "risk.max_daily_loss",
    "quote_gate.max_age_ms",
    "arbitrage.min_net_edge_bps",
)
LAYERS = ("file", "overlay", "environment", "set", "flag")
"""Weakest first."""

values = st.decimals(min_value=Decimal("0.001"), max_value=10**5, places=3)
"""Each of the keys takes all of them."""
writings = st.dictionaries(st.tuples(st.sampled_from(LAYERS), st.sampled_from(KEYS)), values)


@settings(max_examples=50, deadline=None)
@given(written=writings, nested=st.booleans())
def test_the_strongest_layer_counts_key_by_key(
    written: dict[tuple[str, str], Decimal], nested: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "precedence.yaml"
    path.write_text(as_file(written, nested))
    loaded = load_settings(path, as_environment(written), as_sets(written), as_flags(written), STRATEGIES)
    for key in KEYS:
        strongest = next((layer for layer in reversed(LAYERS) if (layer, key) in written), None)
        shown = at(loaded.merged, key)
        if strongest is None:
            assert tuple(key.split(".")) not in loaded.origins
        else:
            assert Decimal(str(shown)) == written[strongest, key]
            assert origin_layer(loaded.origins[tuple(key.split("."))]) == (
                "file" if strongest == "overlay" else strongest
            )
    copy = path.with_name("copy.yaml")
    copy.write_text(show_config(loaded))
    assert load_settings(copy, {}, [], {}, STRATEGIES).digest == loaded.digest


def of(layer: str, written: dict[tuple[str, str], Decimal]) -> dict[str, str]:
    return {key: str(value) for (at_layer, key), value in written.items() if at_layer == layer}


def as_file(written: dict[tuple[str, str], Decimal], nested: bool) -> str:
    """The file and its overlay, dotted or nested: JSON is YAML."""
    shape = nest if nested else dict
    overlays = {"recorded": shape(of("overlay", written))}
    return json.dumps({"market": "recorded", **shape(of("file", written)), "market_overrides": overlays})


def as_environment(written: dict[tuple[str, str], Decimal]) -> dict[str, str]:
    return {
        "CRYPTO_PIPE__" + key.upper().replace(".", "__"): value for key, value in of("environment", written).items()
    }


def as_sets(written: dict[tuple[str, str], Decimal]) -> list[str]:
    return [f"{key}={value}" for key, value in of("set", written).items()]


def as_flags(written: dict[tuple[str, str], Decimal]) -> dict[str, object]:
    return nest(of("flag", written))


def nest(flat: dict[str, str]) -> dict[str, object]:
    root: dict[str, object] = {}
    for key, value in flat.items():
        *sections, last = key.split(".")
        here = root
        for section in sections:
            here = here.setdefault(section, {})  # type: ignore[assignment]
        here[last] = value
    return root


def at(merged: object, key: str) -> object:
    """What stands at `key`; None where nothing does. A wallet's name holds a dot."""
    key = key.replace("binance.spot.USDT", "binance/spot.USDT")
    for part in key.split("."):
        merged = merged.get(part.replace("/", ".")) if isinstance(merged, dict) else None
    return merged


def origin_layer(place: str) -> str:
    if place.startswith("CRYPTO_PIPE__"):
        return "environment"
    if place == "--set":
        return "set"
    return "flag" if place.startswith("--") else "file"
