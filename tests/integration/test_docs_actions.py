"""The ten lines of docs/actions.md, as they stand there, against the simulated exchanges."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr

from bot.clock import SystemClock
from bot.ports import RecordKind
from bot.settings import Settings
from bot.storage.queries import JournalReader
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.keys.names import PARTS, variable
from exchanges.transfers import account_operations
from tests.integration.live_rig import REPO, Exchanges, exchanges

WAIT_S = 240


def example() -> str:
    (found,) = re.findall(r"```python\n(.*?)```", (REPO / "docs" / "actions.md").read_text(), re.DOTALL)
    return str(found)


async def deposit_address(there: Exchanges, settings: Mapping[str, Any]) -> str:
    """Where the simulated Bybit takes USDT on tron."""
    keys = ApiKeys(key=SecretStr(there.key), secret=SecretStr(there.secret))
    told = Settings.model_validate({"venues": settings})
    async with account_operations(["bybit"], told, {"bybit": keys}, SystemClock()) as operations:
        networks = await operations["bybit"].networks("USDT")
        address, _ = await operations["bybit"].deposit_address(next(one for one in networks if one.chain == "tron"))
    return address


def test_the_example_moves_money_and_trades(tmp_path: Path) -> None:
    with exchanges((), "--set", "simulator.time_scale=2000") as there:
        endpoint = {"rest_url": there.url, "stream_url": there.ws_url}
        address = asyncio.run(deposit_address(there, {"bybit": {"spot": endpoint, "linear": endpoint}}))
        entry = {"name": "bybit-tron", "asset": "USDT", "network": "tron", "address": address, "venue": "bybit"}
        (tmp_path / "allowed.yaml").write_text(yaml.safe_dump([entry]))
        perpetual = {"linear": ["BTC/USDT:USDT"]}
        settings = {
            "market": "simulated", "data_dir": str(tmp_path / "data"),
            "instruments": {"binance": perpetual, "bybit": perpetual},
            "simulator": {"address": there.url.removeprefix("http://")},
            "transfers": {"enabled": True, "allow_list": str(tmp_path / "allowed.yaml"), "delay_h": 0, "poll_s": 0.1,
                          "daily_cap": {"USDT": 100}, "max_per_transfer": {"USDT": 100}},
        }  # fmt: skip
        (tmp_path / "settings.yaml").write_text(json.dumps(settings))
        (tmp_path / "example.py").write_text(example())
        signed = dict(zip((variable("simulated", part) for part in PARTS), (there.key, there.secret), strict=True))
        done, again = (
            subprocess.run(
                [sys.executable, "example.py"], cwd=tmp_path, env={**there.environment(), **signed},
                capture_output=True, text=True, timeout=WAIT_S, check=False,
            )
            for _ in range(2)
        )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    assert "Arrived(state=<MoveState.DONE: 'done'>, amount=Decimal('99')" in done.stdout
    assert "transfers.daily_cap: 200 USDT, 100 are allowed" in again.stderr, "what the first run sent counts"
    with JournalReader.open(tmp_path / "data") as reader:
        run, _ = reader.runs()
        records = list(reader.records(run.run_id))
    moved = [one.body["state"] for one in records if one.kind is RecordKind.TRANSFER]
    assert moved == ["intent", "done", "intent", "in_transit", "done", "intent", "done"], "Bybit: on to where it trades"
    filled = {(one.body["instrument"]["venue"], one.body["side"]) for one in records if one.kind is RecordKind.FILL}
    assert filled == {("binance", "sell"), ("bybit", "buy")}
    traded = sum(Decimal(one.body["quantity"]) for one in records if one.kind is RecordKind.FILL)
    assert traded == Decimal("0.004")
    assert there.secret not in json.dumps([dict(one.body) for one in records]) + done.stdout + done.stderr


def test_it_is_ten_lines() -> None:
    lines = [line for line in example().splitlines() if line.strip()]
    assert len(lines) == 10
