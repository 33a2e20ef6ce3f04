"""Fault 55: an order or a position on the account that is not the bot's. It never trades on it, and says so."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bot.clock import SystemClock
from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Fill, Order, OrderType, Side, TimeInForce
from bot.settings import Settings
from exchanges.bybit.actions import BybitActions
from exchanges.common.account.account_setup import AccountSetup
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.simulator.process import pointed_at, running_simulator
from tests.integration.fault_rig import IN_AND_OUT, STAYING, bot, records
from tests.integration.standing_exchanges import at, exchanges, lend

D = Decimal
PERP = Instrument(
    venue="bybit", symbol="BTC/USDT:USDT", segment=Segment.LINEAR, base="BTC", quote="USDT", settle="USDT",
    tick_size=D("0.1"), lot_size=D("0.001"),
)  # fmt: skip


class Hand:
    """A person at the same account, through another program."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    def on_order(self, order: Order) -> None:
        self.over.set()

    def on_fill(self, fill: Fill) -> None:
        pass


@asynccontextmanager
async def by_hand(told: dict[str, str]) -> AsyncIterator[Any]:
    settings = pointed_at(Settings(), running_simulator(told["url"].removeprefix("http://")))
    keys = ApiKeys(key=SecretStr(told["api_key"]), secret=SecretStr(told["api_secret"]))
    by_feed = {PERP.feed: {"BTCUSDT": PERP}}
    actions = BybitActions(
        AccountSetup(by_feed, keys, settings, SystemClock(), random.Random(1), {}, lambda *_: None, Hand())
    )
    await actions.start()
    try:
        yield actions
    finally:
        await actions.stop()


async def buy(told: dict[str, str], quantity: str) -> None:
    async with by_hand(told) as actions:
        actions.submit(
            Order(
                client_order_id="web-1", instrument=PERP, side=Side.BUY, type=OrderType.MARKET, quantity=D(quantity),
                time_in_force=TimeInForce.IOC, ts_decision_ns=1,
            )
        )  # fmt: skip
        await asyncio.wait_for(actions.listener.over.wait(), 60)


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


async def test_fault_55_a_start_beside_a_strange_position_is_refused_or_its_instrument_quarantined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with exchanges("--seed", "3") as told:
        lend(monkeypatch, told)
        await buy(told, "0.01")
        async with bot(tmp_path, *IN_AND_OUT, at(told)) as refused:
            assert await asyncio.wait_for(refused.process.wait(), 120) == 3
            await asyncio.gather(*refused._reading)
        (line,) = [line for line in refused.said if line.startswith("crypto-pipe: ")]
        assert "bybit:BTC/USDT:USDT: position +0.010, and the journal's pairs hold +0" in line
        assert "reconciliation.foreign=quarantine" in line
        asked_for = "reconciliation.foreign=quarantine"
        async with bot(tmp_path, *IN_AND_OUT, at(told), asked_for, "execution.reconcile_every_s=0.5") as beside:
            await beside.says("QUARANTINE bybit:BTC/USDT:USDT: position +0.010")
            await beside.says("quarantine bybit:BTC/USDT:USDT")  # a decision that it refused
            assert await beside.end(signal.SIGINT) == 130
        assert records(tmp_path, "order") == [], "never traded on"
        assert not any("REDUCING" in line or "HALTED" in line for line in beside.said)


async def test_fault_55_a_trade_by_hand_while_the_bot_runs_quarantines_the_instrument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with exchanges("--seed", "3") as told:
        lend(monkeypatch, told)
        async with bot(tmp_path, *STAYING, at(told), "execution.reconcile_every_s=0.5") as running:
            await running.says("taken")
            await buy(told, "0.01")
            await running.says("QUARANTINE bybit:BTC/USDT:USDT: trade ")
            assert await running.end(signal.SIGINT) == 130
        assert not any("explained by nothing" in line for line in running.said)
