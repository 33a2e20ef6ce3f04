"""Chains over real sockets: taken, turned three times, home again; and what the bot says of it afterwards."""

import json
import os
import random
import signal
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from bot.clock import SystemClock
from bot.settings import Settings
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.simulator.process import pointed_at, running_simulator
from exchanges.transfers import account_operations
from tests.integration.fault_rig import assert_whole, bot, records
from tests.integration.killed_runs import (
    KILLS,
    OVER,
    all_over,
    assert_accounts_agree,
    killed_run,
    states,
)
from tests.integration.standing_exchanges import at, exchanges, lend
from tests.integration.test_main_simulated import run

SPOT = "[BTC/USDT,ETH/USDT,ETH/BTC]"
# Every ring is worth taking, and going on worth more than going home: fees are said to be rebates. They are 10 bps.
RINGS = (
    "arbitrage.kinds=[triangular]", "arbitrage.warmup_s=1", "arbitrage.min_net_edge_bps=-60", "simulator.crosses=true",
    f"instruments.binance.spot={SPOT}", f"instruments.bybit.spot={SPOT}",
    "fees.binance.spot.taker_bps=-10", "fees.bybit.spot.taker_bps=-10", "risk.max_daily_loss=1000",
    "quote_gate.max_age_ms=20000", "quote_gate.max_event_age_ms=20000", "quote_gate.max_skew_ms=20000",
    "execution.order_timeout_ms=60000", "execution.unhedged_alarm_s=50", "execution.unhedged_act_s=60",
    "execution.unhedged_halt_s=90", "risk.max_loop_lag_ms=60000", "journal.max_behind_ms=60000",
)  # fmt: skip


async def test_rings_are_run_over_the_wire_and_every_cent_is_explained(tmp_path: Path) -> None:
    words = [word for setting in RINGS for word in ("--set", setting)]
    for seconds in (12, 120):  # a busy machine may have no time for a ring in the first
        data = ("--data-dir", str(tmp_path / str(seconds)))
        code, stdout, stderr = await run("--market", "simulated", "--for", f"{seconds}s", "--json", *data, *words)
        assert code == 0, stderr
        summary = json.loads(stdout)
        if summary["fills"] >= 3:
            break
    assert summary["state"] == "ACTIVE"
    code, stdout, stderr = await run("--mode", "post-mortem", "--json", *data)
    assert code == 0, stderr
    report = json.loads(stdout)
    assert Decimal(report["residual"]) == 0
    (market,) = report["markets"]
    (told,) = market["runs"]
    assert told["differs_from_run"] == {}
    # A venue tells its balances with eight decimals: what ETH/BTC moves has nine.
    unexplained = told["unexplained"] or {}
    assert all(abs(Decimal(amount)) < Decimal("1e-6") for amount in unexplained.values()), unexplained
    done = [one for one in market["pairs"] if one["state"] == "closed"]
    assert done
    for one in done:
        assert one["route"].startswith("triangular")
        assert Decimal(one["bridge"]["fees"]) > 0
        assert Decimal(one["bridge"]["residual"]) == 0


async def test_fault_59_rings_killed_at_any_step_over_the_wire_come_home_and_are_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    data_dir, draws = tmp_path / "data", random.Random(os.environ.get("CRYPTO_PIPE_WIRE_SEED", "5"))
    async with exchanges("--seed", "3", "--set", "simulator.crosses=true") as told:
        lend(monkeypatch, told)
        for _ in range(KILLS):
            await killed_run(data_dir, draws.randint(4, 26), [*RINGS, at(told)])
            assert_whole(data_dir)
        adopted = [body for _, _, key, body in records(data_dir, "event") if key == "adopted"]
        left = [chain for chain, state in states(data_dir).items() if state not in OVER]
        assert left or any(body["pairs"] for body in adopted), "some start found a chain"
        leaving = (*(word for word in RINGS if "min_net_edge" not in word), "arbitrage.min_net_edge_bps=100000")
        async with bot(data_dir, *leaving, at(told)) as last:
            await last.says("routes over")
            await last.until(lambda: all_over(data_dir))
            assert await last.end(signal.SIGINT) == 130
        assert all(any(f"adopted chain {chain}" in line for line in last.said) for chain in left), last.said[-30:]
        assert not any("HALTED" in line for line in last.said), last.said[-30:]
        await assert_accounts_agree(told, data_dir)


async def allow(told: dict[str, str], path: Path) -> None:
    """Write the list of both venues' own deposit addresses of bitcoin."""
    settings = pointed_at(Settings(), running_simulator(told["url"].removeprefix("http://")))
    key = ApiKeys(key=SecretStr(told["api_key"]), secret=SecretStr(told["api_secret"]))
    keys, entries = dict.fromkeys(("binance", "bybit"), key), []
    async with account_operations(tuple(keys), settings, keys, SystemClock()) as operations:
        for venue, account in operations.items():
            network = next(one for one in await account.networks("BTC") if one.chain == "bitcoin")
            address, _ = await account.deposit_address(network)
            entries.append({"name": venue, "asset": "BTC", "network": "bitcoin", "address": address, "venue": venue})
    path.write_text(yaml.safe_dump(entries))


async def test_fault_59_a_chain_killed_between_two_venues_is_followed_and_comes_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    data_dir, allowed = tmp_path / "data", tmp_path / "allowed.yaml"
    sending = (
        *(word for word in RINGS if not word.startswith(("arbitrage.kinds", "fees", "instruments", "simulator"))),
        "arbitrage.kinds=[transfer]", "arbitrage.transfer_risk_sd=0", "arbitrage.min_net_edge_bps=-1000",
        "instruments.binance.spot=[BTC/USDT]", "instruments.bybit.spot=[BTC/USDT]", "risk.max_plausible_edge_bps=10000",
        # Selling at bybit is said to be worth more than the network's fee: only that way round is gone all the way.
        "fees.binance.spot.taker_bps=0", "fees.bybit.spot.taker_bps=-250",
        "transfers.enabled=true", f"transfers.allow_list={allowed}", "transfers.delay_h=0", "transfers.poll_s=0.5",
        "transfers.daily_cap={BTC: 1}", "transfers.max_per_transfer={BTC: 0.5}",
    )  # fmt: skip
    async with exchanges("--seed", "3", "--set", "simulator.time_scale=200") as told:
        lend(monkeypatch, told)
        await allow(told, allowed)
        async with bot(data_dir, *sending, at(told)) as first:
            await first.says("routes over")
            await first.until(lambda: any(body["state"] == "in_transit" for *_, body in records(data_dir, "transfer")))
            await first.end(signal.SIGKILL)
        (chain,) = (chain for chain, state in states(data_dir).items() if state == "in_flight")
        leaving = (*(word for word in sending if "min_net_edge" not in word), "arbitrage.min_net_edge_bps=100000")
        async with bot(data_dir, *leaving, at(told)) as second:
            await second.says(f"adopted chain {chain}, which was in_flight")
            await second.until(lambda: all_over(data_dir))
            assert await second.end(signal.SIGINT) == 130
        assert states(data_dir)[chain] == "closed"
        assert not any("HALTED" in line for line in second.said), second.said[-30:]
        await assert_accounts_agree(told, data_dir)
    told_intents = [key for _, _, key, body in records(data_dir, "transfer") if body["state"] == "intent"]
    assert len(told_intents) == len(set(told_intents)), "nothing was sent a second time"
    code, stdout, stderr = await run("--mode", "post-mortem", "--json", "--data-dir", str(data_dir))
    assert code == 0, stderr
    report = json.loads(stdout)
    assert Decimal(report["residual"]) == 0
    (done,) = (one for one in report["markets"][0]["pairs"] if one["pair"] == chain)
    assert Decimal(done["bridge"]["transfers"]) > 10, "0.0002 BTC, in USDT"
