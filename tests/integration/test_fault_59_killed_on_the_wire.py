"""Fault 59 over the wire: `kill -9` at the steps of pairs, time and again, and what the next start makes of each.

The simulated exchanges outlive the bot. At the end the account is flat, the journal has each of the venues' trades
once, and no order was sent that was not written down, or twice.
"""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.integration.fault_rig import IN_AND_OUT, ROOT, STAYING, assert_whole, bot, records
from tests.integration.standing_exchanges import at, exchanges, lend, what_venues_know

KILLS = int(os.environ.get("CRYPTO_PIPE_WIRE_KILLS", "3"))
OVER = {"closed", "missed", "failed"}
NOTHING_NEW = "arbitrage.min_net_edge_bps=100000"
LEAVING = (*(word for word in IN_AND_OUT if "min_net_edge" not in word), NOTHING_NEW)


def states(data_dir: Path) -> dict[str, str]:
    return {key: str(body["state"]) for _, _, key, body in records(data_dir, "pair")}


def all_over(data_dir: Path) -> bool:
    return set(states(data_dir).values()) <= OVER


async def killed_run(data_dir: Path, step: int, settings: list[str]) -> None:
    words = [word for setting in settings for word in ("--set", setting)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.wire_killer", str(step), "--headless"),
        *("--data-dir", str(data_dir), *words), cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, words_said = await asyncio.wait_for(process.communicate(), 180)
    assert process.returncode == -signal.SIGKILL, words_said.decode()[-2000:]


async def assert_accounts_agree(told: dict[str, str], data_dir: Path) -> None:
    """Flat at the venues; every trade there is in the journal once, and of an order that was written down first."""
    fills = records(data_dir, "fill")
    first_ns = min((body["ts_event_ns"] for *_, body in fills), default=0)
    known = await what_venues_know(told, data_dir, first_ns - 60 * 10**9 if first_ns else 0) if fills else {}
    traded = Counter(
        (fill.instrument.id, fill.fill_id, fill.client_order_id) for one in known.values() for fill in one.trades
    )
    journalled = Counter(
        (f"{body['instrument']['venue']}:{body['instrument']['symbol']}", body["fill_id"], body["client_order_id"])
        for *_, body in fills
    )
    assert traded == journalled
    assert all(not one.positions and not one.open_orders for one in known.values())
    orders = records(data_dir, "order")
    intents = Counter(key for _, _, key, body in orders if body["status"] == "intent")
    sent = Counter(key for _, _, key, body in orders if body["status"] == "sent")
    assert set(intents.values()) <= {1}
    assert set(sent.values()) <= {1}
    assert {order_id for _, _, order_id in traded} <= set(intents)


async def test_fault_59_pairs_killed_at_any_step_over_the_wire_end_flat_and_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    data_dir, draws = tmp_path / "data", random.Random(os.environ.get("CRYPTO_PIPE_WIRE_SEED", "5"))
    async with exchanges("--seed", "3") as told:
        lend(monkeypatch, told)
        for _ in range(KILLS):
            await killed_run(data_dir, draws.randint(2, 24), [*IN_AND_OUT, at(told)])
            assert_whole(data_dir)
        adopted = [body for _, _, key, body in records(data_dir, "event") if key == "adopted"]
        assert any(body["pairs"] for body in adopted), "some start found a pair"
        left = [pair for pair, state in states(data_dir).items() if state not in OVER]
        async with bot(data_dir, *LEAVING, at(told)) as last:
            await last.says("routes over")
            await last.until(lambda: all_over(data_dir))
            assert await last.end(signal.SIGINT) == 130
        assert all(any(f"adopted pair {pair}" in line for line in last.said) for pair in left), last.said[-30:]
        assert not any("HALTED" in line for line in last.said), last.said[-30:]
        await assert_accounts_agree(told, data_dir)


async def test_fault_59_an_open_pair_is_adopted_and_held_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    data_dir = tmp_path / "data"
    async with exchanges("--seed", "3") as told:
        lend(monkeypatch, told)
        async with bot(data_dir, *STAYING, at(told)) as first:
            await first.says("taken")  # and so the journal has its table
            await first.until(lambda: "open" in states(data_dir).values())
            await first.end(signal.SIGKILL)
        pair = next(pair for pair, state in states(data_dir).items() if state == "open")
        held = next(body["held"] for _, _, key, body in reversed(records(data_dir, "pair")) if key == pair)
        staying = (*(word for word in STAYING if "min_net_edge" not in word), NOTHING_NEW)
        async with bot(data_dir, *staying, at(told)) as second:
            await second.says(f"adopted pair {pair}, which was open, and holds +{held['buy']}")
            await second.says("routes over")
            assert states(data_dir)[pair] == "open"
            assert await second.end(signal.SIGINT) == 130
        async with bot(data_dir, *LEAVING, at(told)) as third:
            await third.says(f"adopted pair {pair}")
            await third.until(lambda: states(data_dir)[pair] == "closed")
            assert await third.end(signal.SIGINT) == 130
        await assert_accounts_agree(told, data_dir)
        async with bot(data_dir, *LEAVING, at(told)) as fourth:
            await fourth.says("routes over")
            assert await fourth.end(signal.SIGINT) == 130
        assert not any("adopted" in line or "left a pair open" in line for line in fourth.said)
