"""The program takes transfer routes on simulated exchanges: bought here, carried over, sold there, explained."""

import asyncio
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr

from bot.clock import SystemClock
from bot.errors import ExitCode
from bot.ports import RecordKind
from bot.settings import Settings
from bot.storage.queries import JournalReader
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.keys.names import PARTS, variable
from exchanges.transfers import account_operations
from tests.integration.live_rig import REPO, Exchanges, exchanges

WAIT_S = 240
# Selling at Bybit is said to earn 60 bps: carrying there is worth more than the withdrawal's fee. It costs 10.
EAGER = (
    "arbitrage.kinds=[transfer]", "arbitrage.warmup_s=1", "arbitrage.min_net_edge_bps=-300",
    "arbitrage.transfer_risk_sd=0", "instruments.binance.spot=[BTC/USDT]", "instruments.bybit.spot=[BTC/USDT]",
    "fees.binance.spot.taker_bps=-10", "fees.bybit.spot.taker_bps=-60", "risk.max_daily_loss=10000",
    "risk.max_in_flight_notional=100000", "risk.max_order_notional=30000", "risk.max_net_exposure_notional=20000",
    "quote_gate.max_age_ms=20000", "quote_gate.max_event_age_ms=20000", "quote_gate.max_skew_ms=20000",
    "execution.order_timeout_ms=60000", "execution.unhedged_alarm_s=50", "execution.unhedged_act_s=60",
    "execution.unhedged_halt_s=90", "execution.reconcile_every_s=0.5", "transfers.enabled=true", "transfers.delay_h=0",
    "transfers.poll_s=0.1", 'transfers.daily_cap={"BTC": 20}', 'transfers.max_per_transfer={"BTC": 2}',
)  # fmt: skip


async def allowed(there: Exchanges) -> list[dict[str, str]]:
    """Where each exchange takes BTC, as an allow-list has it."""
    endpoint = {"rest_url": there.url, "stream_url": there.ws_url}
    keys = ApiKeys(key=SecretStr(there.key), secret=SecretStr(there.secret))
    venues = ("binance", "bybit")
    told = Settings.model_validate({"venues": {venue: {"spot": endpoint, "linear": endpoint} for venue in venues}})
    entries = []
    async with account_operations(venues, told, dict.fromkeys(venues, keys), SystemClock()) as operations:
        for venue in venues:
            network = next(one for one in await operations[venue].networks("BTC") if one.chain == "bitcoin")
            address, _ = await operations[venue].deposit_address(network)
            entries.append({"name": venue, "asset": "BTC", "network": "bitcoin", "address": address, "venue": venue})
    return entries


def ran(there: Exchanges, *words: str) -> subprocess.CompletedProcess[str]:
    signed = dict(zip((variable("simulated", part) for part in PARTS), (there.key, there.secret), strict=True))
    return subprocess.run(
        [sys.executable, "main.py", "--strategy", "arbitrage", *words, "--json"], cwd=REPO,
        env={**there.environment(), **signed}, capture_output=True, text=True, timeout=WAIT_S, check=False,
    )  # fmt: skip


def transfers(data_dir: Path) -> dict[str, list[Any]]:
    """Every record of a transfer, by its id."""
    found: dict[str, list[Any]] = {}
    with JournalReader.open(data_dir) as reader:
        for run in reader.runs():
            for one in reader.records(run.run_id, RecordKind.TRANSFER):
                found.setdefault(one.key, []).append(one.body)
    return found


def test_transfer_routes_are_run_over_the_wire_and_every_cent_is_explained(tmp_path: Path) -> None:
    with exchanges((), "--set", "simulator.time_scale=20000") as there:
        (tmp_path / "allowed.yaml").write_text(yaml.safe_dump(asyncio.run(allowed(there))))
        here = (f"transfers.allow_list={tmp_path / 'allowed.yaml'}", f"simulator.address={there.url[7:]}")
        words = [word for setting in (*EAGER, *here) for word in ("--set", setting)]
        for seconds in (12, 120):  # a busy machine may have no time for one in the first
            data = ("--data-dir", str(tmp_path / str(seconds)))
            done = ran(there, "--mode", "action", "--market", "simulated", "--for", f"{seconds}s", *data, *words)
            # Routes back are not worth going on with, and five of those in a row end the run.
            assert done.returncode in (ExitCode.OK, ExitCode.RISK_HALT), done.stderr
            moved = transfers(tmp_path / str(seconds))
            if any(bodies[-1]["state"] == "done" for bodies in moved.values() if bodies[0]["kind"] == "withdrawal"):
                break
        report = json.loads(ran(there, "--mode", "post-mortem", *data).stdout)
    sent = [bodies for bodies in moved.values() if bodies[0]["kind"] == "withdrawal"]
    assert [body["state"] for body in sent[0]] == ["intent", "in_transit", "done"]
    assert Decimal(sent[0][-1]["amount"]) - Decimal(sent[0][-1]["received"]) == Decimal("0.0002")
    assert "cash:" not in done.stderr, "what a transfer took and brought is no missing money"
    assert Decimal(report["residual"]) == 0
    (market,) = report["markets"]
    (told,) = market["runs"]
    assert told["differs_from_run"] == {}
    whole = [one for one in market["pairs"] if one["state"] == "closed"]
    assert whole
    assert all(one["route"].startswith("transfer:binance:BTC/USDT>bybit:BTC/USDT") for one in whole)
    assert all(Decimal(one["bridge"]["residual"]) == 0 for one in whole)
    assert all(abs(Decimal(amount)) < Decimal("1e-6") for amount in (told["unexplained"] or {}).values()), told
