"""Networks of two venues: the same by what they are, never by a name alone; what is odd is refused and named."""

import json
import os
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.domain.network import (
    CHAINS,
    AssetNetwork,
    NetworkMatch,
    NetworkRefusal,
    canonical_contract,
    match,
    ways,
)
from exchanges.binance import networks as binance
from exchanges.bybit import networks as bybit

D = Decimal
SHARED = Path(os.environ.get("CRYPTO_PIPE_SHARED", Path(__file__).parents[3] / "shared"))
USDT_ON_TRON = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"


def fixture(name: str) -> Any:
    path = SHARED / "fixtures" / "ccxt" / name
    if not path.exists():
        pytest.skip(f"the recorded payload {name} is not here")
    return json.loads(path.read_text())


def network(venue: str, **changes: object) -> AssetNetwork:
    fields = {
        "venue": venue, "asset": "USDT", "name": "TRX", "chain": "tron", "contract": USDT_ON_TRON, "can_deposit": True,
        "can_withdraw": True, "withdraw_fee": D(1), "min_withdraw": D(10), "confirmations": 20, "ts_ns": 1,
    } | changes  # fmt: skip
    return AssetNetwork(**fields)  # type: ignore[arg-type]


def reason(source: AssetNetwork, target: AssetNetwork) -> str:
    answer = match(source, target)
    assert isinstance(answer, NetworkRefusal)
    return answer.reason


def test_the_same_chain_and_contract_is_a_way_whatever_it_is_called() -> None:
    way = match(network("binance"), network("bybit", name="TRC20"))
    assert isinstance(way, NetworkMatch)
    assert (way.id, way.chain.block_s) == ("USDT:tron", 3)


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ({"can_withdraw": False}, {}, "withdrawals are suspended at binance"),
        ({}, {"can_deposit": False}, "deposits are suspended at bybit"),
        ({}, {"contract": "TAnother"}, "the contract addresses of binance and bybit differ"),
        ({}, {"contract": None}, "bybit gives no contract address"),
        ({"contract": ""}, {}, "binance gives no contract address"),
        ({"contract": None}, {"contract": None}, "binance gives no contract address"),
        ({}, {"chain": "ethereum"}, "not known to be the same chain"),
        # The same name on both sides, and no table knows it.
        ({"chain": None, "name": "XYZ"}, {"chain": None, "name": "XYZ"}, "not known to be the same chain"),
        ({"chain": "far"}, {"chain": "far"}, "nothing is known of the chain far"),
        ({}, {"asset": "USDC"}, "sends USDT and bybit takes USDC"),
    ],
)
def test_what_is_no_way(source: dict[str, Any], target: dict[str, Any], words: str) -> None:
    assert words in reason(network("binance", **source), network("bybit", **target))


def test_a_chains_own_asset_has_no_contract_on_either_side() -> None:
    own = {"asset": "BTC", "chain": "bitcoin", "contract": None}
    assert isinstance(match(network("binance", **own), network("bybit", **own)), NetworkMatch)
    # One side calls its Bitcoin a token: perhaps it is one.
    assert "gives no contract address" in reason(
        network("binance", **own), network("bybit", **own | {"contract": "0xab"})
    )


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0x9702230A8Ea53601f5cD2dc00fDBc13d4dF4A8c7", "0x9702230a8ea53601f5cd2dc00fdbc13d4df4a8c7"),
        ("0x" + "0" * 40, None),
        ("0x" + "E" * 40, None),
        ("", None),
        (None, None),
        (" 0x0a ", "0xa"),
        (USDT_ON_TRON, USDT_ON_TRON),
    ],
)
def test_one_spelling_of_a_contract(text: str | None, canonical: str | None) -> None:
    assert canonical_contract(text) == canonical


@given(st.text("0123456789abcdefABCDEF", min_size=1, max_size=64))
def test_hexadecimal_addresses_are_the_same_in_any_case(digits: str) -> None:
    assert canonical_contract(f"0x{digits}") == canonical_contract(f"0x{digits.swapcase()}")


@given(first=st.text(min_size=1), second=st.text(min_size=1))
def test_other_addresses_are_the_same_only_if_they_are_equal(first: str, second: str) -> None:
    ours, theirs = network("binance", contract=f"T{first}"), network("bybit", contract=f"T{second}")
    assert isinstance(match(ours, theirs), NetworkMatch) is (f"T{first}".strip() == f"T{second}".strip())


def test_recorded_networks_of_both_venues() -> None:
    ours = binance.networks_of(
        {row["coin"]: row for row in fixture("binance_capital_config_getall_USDT_BTC.json")}, ["USDT", "BTC"], 1
    )
    rows = fixture("bybit_coin_query-info_USDT.json")["result"]["rows"]
    theirs = bybit.networks_of({row["coin"]: row for row in rows}, ["USDT"], 1)
    assert ours.wrong == {}
    assert theirs.wrong == {}
    found, refused = ways("USDT", ours.values["USDT"], theirs.values["USDT"])
    # Cheapest first. Binance calls them OPTIMISM, ARBITRUM; Bybit OP, ARBI.
    assert [(way.chain.id, way.source.withdraw_fee) for way in found] == [
        ("optimism", D("0.025")), ("arbitrum", D("0.1")), ("bsc", D("0.1")), ("solana", D("1.5")), ("ethereum", D(4)),
    ]  # fmt: skip
    by_chain = {way.chain.id: way for way in found}
    assert by_chain["bsc"].target.confirmations == 60
    assert by_chain["ethereum"].source.unlock_confirmations == 64
    assert by_chain["optimism"].source.name != by_chain["optimism"].target.name
    # MATIC is called so by both: no table knows it, and it is not taken for the same.
    assert any(one.network == "MATIC" and "unknown here" in one.reason for one in refused)


def test_recorded_bitcoin_that_is_a_token_elsewhere() -> None:
    rows = fixture("binance_capital_config_getall_USDT_BTC.json")
    told = binance.networks_of({row["coin"]: row for row in rows}, ["BTC"], 1).values["BTC"]
    by_name = {one.name: one for one in told}
    assert by_name["BTC"].is_native
    assert not by_name["ETH"].is_native
    # The wrapped one does not arrive as Bitcoin, though both venues call it BTC.
    bitcoin = network("bybit", asset="BTC", name="BTC", chain="bitcoin", contract=None)
    found, _ = ways("BTC", told, [bitcoin])
    assert [way.source.name for way in found] == ["BTC"]
    assert (by_name["BTC"].arrival_s, by_name["BTC"].confirmations) == (3600, 1)


BINANCE_ROW = {
    "network": "TRX", "depositEnable": True, "withdrawEnable": True, "withdrawFee": "1", "withdrawMin": "10",
    "minConfirm": 20, "contractAddress": USDT_ON_TRON,
}  # fmt: skip
BYBIT_ROW = {
    "chain": "TRX", "chainDeposit": "1", "chainWithdraw": "1", "withdrawFee": "1", "withdrawMin": "10",
    "withdrawPercentageFee": "0", "minAccuracy": "6", "confirmation": "20", "contractAddress": USDT_ON_TRON,
}  # fmt: skip


def _broken(row: dict[str, Any], fields: Sequence[str], values: Sequence[object]) -> list[dict[str, Any]]:
    missing = [{name: value for name, value in row.items() if name != field} for field in fields]
    return missing + [row | {field: value} for field in fields for value in values]


@pytest.mark.parametrize(
    "raw",
    [
        *_broken(BINANCE_ROW, ["withdrawFee", "withdrawMin", "minConfirm"], ["NaN", "-1", None, "", "a lot", []]),
        *_broken(BINANCE_ROW, ["depositEnable", "withdrawEnable"], [None, "perhaps"]),
        "TRX",
    ],
)
def test_an_odd_row_of_binance_is_named_and_left_out(raw: Any) -> None:
    told = binance.networks_of({"USDT": {"networkList": [raw, BINANCE_ROW]}}, ["USDT"], 1)
    assert len(told.values["USDT"]) == 1
    assert list(told.wrong) in (["USDT TRX"], ["USDT ?"])


@pytest.mark.parametrize(
    "raw",
    [
        *_broken(BYBIT_ROW, ["withdrawFee", "withdrawMin"], ["NaN", "-1", "a lot", []]),
        *_broken(BYBIT_ROW, ["confirmation", "withdrawPercentageFee"], ["", "NaN", "-1", None]),
        *_broken(BYBIT_ROW, ["chainDeposit", "chainWithdraw"], ["", "2", None, "yes"]),
        BYBIT_ROW | {"withdrawPercentageFee": "1"},
        "TRX",
    ],
)
def test_an_odd_row_of_bybit_is_named_and_left_out(raw: Any) -> None:
    told = bybit.networks_of({"USDT": {"coin": "USDT", "chains": [raw, BYBIT_ROW]}}, ["USDT"], 1)
    assert len(told.values["USDT"]) == 1
    assert list(told.wrong) in (["USDT TRX"], ["USDT ?"])


@pytest.mark.parametrize("read", [binance.networks_of, bybit.networks_of])
@pytest.mark.parametrize("coins", [{}, {"USDT": {}}, {"USDT": {"networkList": 1, "coin": "USDT", "chains": 1}}])
def test_an_asset_that_is_not_told_is_named(read: Any, coins: dict[str, Any]) -> None:
    told = read(coins, ["USDT"], 1)
    assert told.values == {}
    assert list(told.wrong) == ["USDT"]


def test_without_a_fee_bybit_lets_nothing_out() -> None:
    row = bybit.asset_network("USDT", BYBIT_ROW | {"withdrawFee": "", "withdrawMin": ""}, None, 1)
    assert not row.can_withdraw
    assert row.can_deposit
    assert row.withdraw_fee is None


def test_a_congested_network_of_binance_lets_nothing_out() -> None:
    assert not binance.asset_network("USDT", BINANCE_ROW | {"busy": True}, 1).can_withdraw


def test_a_network_is_not_made_without_what_it_offers() -> None:
    for lack in ({"withdraw_fee": None}, {"min_withdraw": None}, {"confirmations": None}):
        with pytest.raises(ValidationError):
            network("binance", **lack)


def test_every_spelling_leads_to_a_chain_that_is_known() -> None:
    for spellings in (binance.CHAINS, bybit.CHAINS):
        assert set(spellings.values()) <= CHAINS.keys()
        assert len(set(spellings.values())) == len(spellings)
    assert all(chain.source.startswith("https://") for chain in CHAINS.values())
