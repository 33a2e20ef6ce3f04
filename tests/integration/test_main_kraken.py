"""The whole program on three simulated exchanges: what is bought at Binance is sold at Kraken, through ccxt."""

import json
from pathlib import Path

import pytest

from bot.ports import RecordKind
from bot.storage.queries import JournalReader
from tests.integration.test_main_simulated import EAGER, run

pytest.importorskip("ccxt", reason="ccxt is not installed")

THREE = (
    *EAGER, "simulator.kraken=true", "instruments.binance.spot=[BTC/USDT]", "instruments.kraken.spot=[BTC/USDT]",
    "instruments.binance.linear=[]", "instruments.bybit.linear=[]", "arbitrage.kinds=[inventory]",
    "arbitrage.assumed_rebalancing_bps=0", "arbitrage.min_net_edge_bps=-300",
)  # fmt: skip


async def test_a_pair_between_binance_and_kraken_is_traded_and_every_cent_is_explained(tmp_path: Path) -> None:
    words = [word for setting in THREE for word in ("--set", setting)]
    for seconds in (20, 120):  # a busy machine may have no time for a pair in the first
        data = tmp_path / str(seconds)
        code, stdout, stderr = await run(
            "--market", "simulated", "--for", f"{seconds}s", "--json", "--data-dir", str(data), *words
        )
        summary = json.loads(stdout)
        if code != 0 or summary["fills"] >= 2:
            break
    assert code == 0, stderr
    assert (summary["state"], summary["open_pairs"], summary["market"]) == ("ACTIVE", 0, "simulated")
    assert "SIMULATED Binance, Bybit and Kraken on http://127.0.0.1:" in stderr
    with JournalReader.open(data) as reader:
        (told,) = reader.runs()
        fills = [one.body for one in reader.records(told.run_id, RecordKind.FILL)]
        texts = [one.body["text"] for one in reader.records(told.run_id, RecordKind.EVENT)]
    assert {fill["instrument"]["venue"] for fill in fills} == {"binance", "kraken"}
    assert {fill["fee_asset"] for fill in fills if fill["instrument"]["venue"] == "kraken"} == {"USDT"}
    # Balances of all three, asked for while it ran, are what fills and fees make of them.
    assert not [text for text in texts if text.startswith("cash:") or "QUARANTINE" in text or "never told" in text]
