"""Margin topped up over the wire: from the spot to the futures wallet of the simulated exchanges, once a need."""

import signal
from decimal import Decimal
from pathlib import Path

import pytest

from bot.errors import ExitCode
from tests.integration.fault_rig import STAYING, bot, records
from tests.integration.standing_exchanges import at, exchanges, lend

WORDS = (
    *STAYING, "instruments.binance.spot=[BTC/USDT]", "transfers.enabled=true", "risk.top_up_max_notional=250",
    "risk.top_up_distance_bps=100000000", "execution.reconcile_every_s=2",
)  # fmt: skip


async def test_a_wallet_that_nears_its_liquidation_gets_money_from_the_spot_wallet_and_no_more_than_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    data_dir = tmp_path / "data"
    async with exchanges("--seed", "3") as told:
        lend(monkeypatch, told)
        async with bot(data_dir, *WORDS, at(told)) as running:
            at_line = await running.says("binance.linear USDT: 250.00 USDT have come")
            await running.says("is not topped up: 250.0 in 24 h are moved", at_line)
            assert await running.end(signal.SIGINT) == ExitCode.INTERRUPTED
        assert not any("cash: " in line for line in running.said), [line for line in running.said if "cash" in line]
        transfers = [body for *_, body in records(data_dir, "transfer")]
        assert [body["state"] for body in transfers] == ["intent", "done"]
        assert (transfers[0]["source"], transfers[0]["target"]) == ("spot", "linear")
        assert Decimal(transfers[0]["amount"]) == 250
        async with bot(data_dir, *WORDS, at(told)) as again:
            await again.says("is not topped up: 250.0 in 24 h are moved")
            assert await again.end(signal.SIGINT) == ExitCode.INTERRUPTED
        assert len(records(data_dir, "transfer")) == 2
