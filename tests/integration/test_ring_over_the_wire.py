"""Rings are taken over real sockets where a cross strays from its two assets, and bring home what the venues say."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from bot.clock import SystemClock
from exchanges.simulator.market.scenarios import SCENARIOS, Scenario, Stray
from exchanges.simulator.server import Address, SimulatorServer
from tests.integration.fault_rig import records
from tests.integration.test_main_simulated import run

# Crosses stray by little alone: many of them at once add up.
ASTRAY = Scenario("astray", "A cross leaves its assets, far.", strays=(Stray(0.5, (18.0, 20.0), (6.0, 8.0)),))
SPOT = "[BTC/USDT,ETH/USDT,ETH/BTC]"
SETTINGS = (
    "arbitrage.kinds=[triangular]", "arbitrage.warmup_s=1", f"instruments.binance.spot={SPOT}",
    f"instruments.bybit.spot={SPOT}", "simulator.crosses=true", "execution.order_timeout_ms=60000",
    "quote_gate.max_age_ms=20000", "quote_gate.max_event_age_ms=20000", "quote_gate.max_skew_ms=20000",
    "execution.unhedged_alarm_s=20", "execution.unhedged_act_s=30", "execution.unhedged_halt_s=100",
    "risk.max_loop_lag_ms=60000", "journal.max_behind_ms=60000", "risk.max_daily_loss=1e6",
    "risk.max_cumulative_loss=1e6",
)  # fmt: skip


@asynccontextmanager
async def exchanges() -> AsyncIterator[tuple[SimulatorServer, Address]]:
    server = SimulatorServer(ASTRAY.name, 5, SystemClock(), crosses=True)
    address = await server.start(0)
    stop = asyncio.Event()
    running = asyncio.create_task(server.run(stop))
    try:
        yield server, address
    finally:
        stop.set()
        await running


def owned(server: SimulatorServer) -> dict[str, Decimal]:
    """What the account has of each asset at both venues together, by the venues' own books."""
    found: dict[str, Decimal] = {}
    for exchange in (server.binance, server.bybit):
        for account in exchange.accounts:
            for balance in account.balances():
                found[balance.asset] = found.get(balance.asset, Decimal(0)) + balance.total
    return found


async def test_rings_are_taken_and_bring_home_what_the_venues_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(SCENARIOS, dict)
    monkeypatch.setitem(SCENARIOS, ASTRAY.name, ASTRAY)
    async with exchanges() as (server, address):
        monkeypatch.setitem(os.environ, "CRYPTO_PIPE_SIMULATED_KEY", address.credentials.api_key)
        monkeypatch.setitem(os.environ, "CRYPTO_PIPE_SIMULATED_SECRET", address.credentials.secret)
        settings = (*SETTINGS, f"simulator.address={address.url.removeprefix('http://')}")
        words = [word for setting in settings for word in ("--set", setting)]
        for seconds in (10, 120):  # a busy machine may have no time for one in the first
            data, before = tmp_path / str(seconds), owned(server)
            where = ("--data-dir", str(data), "--for", f"{seconds}s")
            code, out, err = await run("--market", "simulated", "--json", *where, *words)
            assert code == 0, err
            summary = json.loads(out)
            after = owned(server)
            if summary["fills"] >= 3:
                break
    assert summary["decisions"]["taken"] >= 1, err
    assert summary["open_pairs"] == 0
    assert summary["state"] == "ACTIVE", err
    earned = {asset: after[asset] - before[asset] for asset in after if after[asset] != before[asset]}
    assert earned == {asset: Decimal(amount) for asset, amount in summary["pnl"].items() if Decimal(amount)}
    # A market that moves on while a busy machine waits may take some of them back.
    assert max(float(line.split()[-2]) for line in err.splitlines() if " closed: " in line and "chain" in line) > 0
    await _explained(data)
    ends = {key: body["state"] for _, _, key, body in records(data, "pair")}
    assert set(ends.values()) <= {"closed", "missed", "failed"}
    assert "closed" in ends.values()


async def _explained(data: Path) -> None:
    """The post-mortem says the same."""
    code, out, err = await run("--mode", "post-mortem", "--json", "--data-dir", str(data))
    assert code == 0, err
    (market,) = json.loads(out)["markets"]
    (one,) = market["runs"]
    assert one["differs_from_run"] == {}
    # A venue tells its balances with eight decimals, and what a trade on ETH/BTC moves has more.
    unexplained = one["unexplained"] or {}
    assert all(abs(Decimal(amount)) < Decimal("1e-7") for amount in unexplained.values()), unexplained
    assert market["realised"] >= 1
    for money in market["money"]:
        assert Decimal(money["bridge"]["residual"]) == 0
