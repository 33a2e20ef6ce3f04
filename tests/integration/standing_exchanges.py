"""Simulated exchanges in a process of their own, which outlive every bot that trades on them; and what they say."""

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bot.clock import SystemClock
from bot.domain.instrument import Feed, Instrument
from bot.domain.order import Fill
from bot.ports import AccountQuestions
from bot.settings import Settings
from exchanges.binance.actions import BinanceActions
from exchanges.bybit.actions import BybitActions
from exchanges.common.account.account_setup import AccountSetup
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.simulator.process import pointed_at, running_simulator
from tests.integration.fault_rig import ROOT, records


@asynccontextmanager
async def exchanges(*words: str) -> AsyncIterator[dict[str, str]]:
    """Simulated exchanges that outlive every bot; what `--mode simulate` prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "main.py"), "--mode", "simulate", "--port", "0", *words),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        told: dict[str, str] = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
        yield told
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def at(told: dict[str, str]) -> str:
    return f"simulator.address={told['url'].removeprefix('http://')}"


def lend(monkeypatch: pytest.MonkeyPatch, told: dict[str, str]) -> None:
    monkeypatch.setenv("CRYPTO_PIPE_SIMULATED_KEY", told["api_key"])
    monkeypatch.setenv("CRYPTO_PIPE_SIMULATED_SECRET", told["api_secret"])


@dataclass
class Known:
    """What one venue knows of the account."""

    trades: Sequence[Fill]
    positions: dict[str, Decimal]
    open_orders: list[str]


async def what_venues_know(told: dict[str, str], data_dir: Path, since_ns: int) -> dict[str, Known]:
    """Asked over the wire, on the instruments that the runs in `data_dir` traded."""
    settings = pointed_at(Settings(), running_simulator(told["url"].removeprefix("http://")))
    keys = ApiKeys(key=SecretStr(told["api_key"]), secret=SecretStr(told["api_secret"]))
    by_feed: dict[Feed, dict[str, Instrument]] = {}
    for *_, body in records(data_dir, "run"):
        for one in map(Instrument.model_validate, body.get("instruments", ())):
            by_feed.setdefault(one.feed, {})[f"{one.base}{one.quote}"] = one
    found = {}
    for venue, kind in (("binance", BinanceActions), ("bybit", BybitActions)):
        actions: Any = kind(AccountSetup(by_feed, keys, settings, SystemClock(), random.Random(1), {}, lambda *_: None))
        await actions.start()
        try:
            asked: AccountQuestions = actions.questions
            instruments = [one for feed, listed in by_feed.items() if feed.venue == venue for one in listed.values()]
            held = await asked.holdings()
            found[venue] = Known(
                await asked.trades(instruments, since_ns, lambda *_: False),
                {one.instrument.id: one.quantity for one in held.positions},
                [order.client_order_id for order in await asked.open_orders()],
            )
        finally:
            await actions.stop()
    return found
