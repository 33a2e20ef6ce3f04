"""What a start makes of what it finds, over the wire: a route that is gone, a pair that a person closed, orders of
others, a fill that comes during the start, an exchange that cannot be asked, and a round trip that was held.
"""

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.domain.order import Order, OrderType, Side, TimeInForce
from tests.integration.fault_rig import PATIENCE_S, ROOT, STAYING, Bot, bot, records
from tests.integration.killed_runs import (
    NOTHING_NEW,
    assert_accounts_agree,
    states,
)
from tests.integration.standing_exchanges import at, exchanges, lend
from tests.integration.test_fault_55_foreign import PERP, by_hand
from tests.invariants.venue_truth import VenueTruth

D = Decimal
HOLDING = tuple(word for word in STAYING if "min_net_edge" not in word)
"""Held on, and nothing new."""


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


async def killed_with_an_open_pair(told: dict[str, str], data_dir: Path, *settings: str) -> str:
    """A bot that held one pair when it was killed; which."""
    async with bot(data_dir, *STAYING, at(told), *settings) as first:
        await first.says("taken")
        await first.until(lambda: "open" in states(data_dir).values())
        await first.end(signal.SIGKILL)
    return next(pair for pair, state in states(data_dir).items() if state == "open")


async def refused(told: dict[str, str], data_dir: Path, *settings: str, code: int = 3) -> str:
    """A start that ends with this code; its one line."""
    async with bot(data_dir, *HOLDING, NOTHING_NEW, at(told), *settings) as one:
        assert await asyncio.wait_for(one.process.wait(), PATIENCE_S) == code, one.said[-20:]
        await asyncio.gather(*one._reading)
    (line,) = [line for line in one.said if line.startswith("crypto-pipe: ")]
    return line


async def ends_in_order(one: Bot) -> None:
    assert await one.end(signal.SIGINT) == 130
    assert not any("HALTED" in line for line in one.said), one.said[-30:]


async def main(*words: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "main.py"), *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    return process.returncode or 0, out.decode()


async def test_a_pair_whose_route_is_gone_from_the_settings_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with exchanges("--seed", "3") as told:
        lend(monkeypatch, told)
        pair = await killed_with_an_open_pair(told, tmp_path / "data")
        without = (
            "instruments={binance.linear: [BTC/USDT:USDT], bybit.linear: [BTC/USDT:USDT], binance.spot: [BTC/USDT]}",
            "arbitrage.kinds=[cash_and_carry]",
        )
        async with bot(tmp_path / "data", *HOLDING, NOTHING_NEW, at(told), *without) as second:
            await second.says(f"adopted pair {pair}, which was open")
            await second.until(lambda: states(tmp_path / "data")[pair] == "closed")
            await ends_in_order(second)
        newest = [body for _, _, key, body in records(tmp_path / "data", "pair") if key == pair][-1]
        assert newest["close_reason"] == "route_gone"
        await assert_accounts_agree(told, tmp_path / "data")


async def test_a_pair_that_a_person_has_closed_is_refused_until_it_is_abandoned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir = tmp_path / "data"
    async with exchanges("--seed", "3") as told:
        lend(monkeypatch, told)
        pair = await killed_with_an_open_pair(told, data_dir)
        code, words = await main("--mode", "kill", "--flatten", "--data-dir", str(data_dir))
        assert code == 0, words
        assert (await main("--mode", "resume", "--halt", "--data-dir", str(data_dir)))[0] == 0
        line = await refused(told, data_dir)
        assert "BTC/USDT:USDT: position +0, and the journal's pairs hold " in line
        assert "others traded " in line
        assert "reconciliation.pairs=abandon" in line
        async with bot(data_dir, *HOLDING, NOTHING_NEW, at(told), "reconciliation.pairs=abandon") as third:
            await third.says(f"pair {pair} of an earlier run is abandoned")
            await third.says("routes over")
            await ends_in_order(third)
        assert states(data_dir)[pair] == "failed"
        async with bot(data_dir, *HOLDING, NOTHING_NEW, at(told)) as fourth:
            await fourth.says("routes over")  # nothing is left to be adopted, or to be refused
            await ends_in_order(fourth)
        assert not any(pair in line for line in fourth.said)
    code, words = await main("--mode", "post-mortem", "--json", "--data-dir", str(data_dir))
    assert code == 0, words
    (market,) = json.loads(words)["markets"]
    (told_of,) = market["abandoned"]
    assert (told_of["pair"], told_of["was"], market["open_pairs"]) == (pair, "open", [])
    assert "BTC on bybit:BTC/USDT:USDT" in told_of["held"]
    assert [run["differs_from_run"] for run in market["runs"][-2:]] == [{}, {}]


async def test_fault_55_a_strange_order_in_the_book_refuses_the_start_or_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with exchanges("--seed", "3") as told, resting_by_hand(told):
        lend(monkeypatch, told)
        line = await refused(told, tmp_path)
        assert "bybit:BTC/USDT:USDT: open order web-1" in line
        assert "reconciliation.foreign=quarantine" in line
        beside = ("reconciliation.foreign=quarantine", "execution.reconcile_every_s=0.5")
        async with bot(tmp_path, *STAYING, at(told), *beside) as second:
            await second.says("QUARANTINE bybit:BTC/USDT:USDT: open order web-1")
            await second.says("quarantine bybit:BTC/USDT:USDT")  # a decision that it refused
            await ends_in_order(second)
        assert records(tmp_path, "order") == [], "never traded beside it"


@asynccontextmanager
async def resting_by_hand(told: dict[str, str]) -> AsyncIterator[None]:
    """An order of a person that rests far below the market."""
    async with by_hand(told) as actions:
        actions.submit(
            Order(
                client_order_id="web-1", instrument=PERP, side=Side.BUY, type=OrderType.LIMIT, quantity=D("0.01"),
                price=D("20000"), time_in_force=TimeInForce.GTC, ts_decision_ns=1,
            )
        )  # fmt: skip
        async with asyncio.timeout(PATIENCE_S):
            while not await actions.questions.open_orders():
                await asyncio.sleep(0.1)
        yield


QUOTING = (
    "strategy=spread-reversion", "spread_reversion.span_s=2",
    "spread_reversion.min_net_edge_bps=0", "spread_reversion.entry_ratio=1.01", "spread_reversion.requote_s=600",
    "spread_reversion.max_holding_s=3600", "spread_reversion.loss_stop_bps=5000", "risk.max_loop_lag_ms=60000",
    "quote_gate.max_age_ms=20000", "quote_gate.max_event_age_ms=20000", "execution.order_timeout_ms=60000",
    "execution.unhedged_alarm_s=60", "execution.unhedged_act_s=60", "execution.unhedged_halt_s=60",
    "spread_reversion.instruments=[binance:BTC/USDT:USDT]",
)  # fmt: skip
"""Entries and exits rest until somebody comes."""
NOTHING_NEW_QUOTED = "spread_reversion.min_net_edge_bps=100000"


def resting(data_dir: Path, leg: str) -> dict[str, str]:
    """Orders of this leg that were sent and have not ended, with their pairs."""
    newest = {key: body for _, _, key, body in records(data_dir, "order")}
    sent = {key: body for key, body in newest.items() if body["status"] == "sent"}
    return {key: str(body["pair"]) for key, body in sent.items() if body["leg"].startswith(leg)}


async def killed_while_its_entry_rests(told: dict[str, str], truth: VenueTruth, data_dir: Path) -> tuple[str, str]:
    """A bot that was killed while an entry waited at the exchange; that order, and its pair."""
    async with bot(data_dir, *QUOTING, at(told)) as one:
        await one.says("routes over")
        async with asyncio.timeout(PATIENCE_S):
            waiting: set[str] = set()
            while not waiting:
                await asyncio.sleep(0.02)
                if resting(data_dir, "open"):
                    waiting = await truth.open_at_binance() & resting(data_dir, "open").keys()
        await one.end(signal.SIGKILL)
    (entry,) = waiting
    return entry, resting(data_dir, "open")[entry]


async def test_fault_43_a_round_trip_is_filled_while_a_start_takes_it_back_and_is_held_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while its entry rests, and again while its exit does; in the end its route is no route of the run."""
    day = ("--scenario", "crash", "--seed", "3", "--set", "simulator.fee_tier=supreme")
    async with exchanges(*day) as told, aiohttp.ClientSession() as session:
        lend(monkeypatch, told)
        truth = VenueTruth(told, session)
        entry, pair = await killed_while_its_entry_rests(told, truth, tmp_path)
        on_cancel = {"fault": "fill-on-cancel", "venue": "binance", "at_s": 0, "for_s": 600, "count": 1}
        await truth.order_faults([on_cancel])
        async with bot(tmp_path, *QUOTING, NOTHING_NEW_QUOTED, at(told)) as second:
            await second.says(f"order {entry} of an earlier run: filled")
            await second.says(f"adopted pair {pair}, which was opening")
            await second.until(lambda: any(body["pair"] == pair for body in closing(tmp_path)))
            await second.end(signal.SIGKILL)
        assert any(body["client_order_id"] == entry for *_, body in records(tmp_path, "fill"))
        async with bot(tmp_path, *HOLDING, NOTHING_NEW, at(told)) as third:
            await third.says("routes over")
            await third.until(lambda: states(tmp_path)[pair] == "closed")
            await ends_in_order(third)
        why = [body["close_reason"] for _, _, key, body in records(tmp_path, "pair") if key == pair][-1]
        assert why in ("route_gone", "reverted"), "reverted where somebody came for its exit meanwhile"
        await truth.look()
        assert await truth.positions() == {}
        fills = Counter(body["fill_id"] for *_, body in records(tmp_path, "fill"))
        assert Counter(one.trade_id for one in truth.trades.values()) == fills


def closing(data_dir: Path) -> list[dict[str, Any]]:
    """Orders that were to leave, as they were written down."""
    return [body for *_, body in records(data_dir, "order") if body["leg"].startswith("close")]


async def test_an_exchange_that_cannot_be_asked_by_the_deadline_ends_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with exchanges("--seed", "3") as told, aiohttp.ClientSession() as session:
        lend(monkeypatch, told)
        truth = VenueTruth(told, session)
        away = {"fault": "http-503", "venue": "bybit", "for_s": 600, "at_s": 0, "match": "/v5/order/realtime"}
        await truth.order_faults([away])
        line = await refused(told, tmp_path, "reconciliation.deadline_s=3", "start.wait_s=3", code=5)
        assert "bybit: the account could not be compared with the journal within 3 s: bybit: " in line
        assert records(tmp_path, "order") == []
        await truth.peace()
        async with bot(tmp_path, *HOLDING, NOTHING_NEW, at(told)) as second:
            await second.says("routes over")
            await ends_in_order(second)
