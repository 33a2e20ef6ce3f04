"""Fault 59 with `--shadow`: `kill -9` while twins are open, on exchanges that outlive the bot; nothing real is left."""

import asyncio
import os
import random
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from bot.engine.shadow.run import SUFFIX
from tests.integration.fault_rig import IN_AND_OUT, STAYING, assert_whole, bot, records
from tests.integration.killed_runs import KILLS, LEAVING, OVER, killed_run, states
from tests.integration.standing_exchanges import at, exchanges, lend, what_venues_know


def is_real(order_or_pair: str) -> bool:
    return f"{SUFFIX}-" in order_or_pair


def twins(data_dir: Path) -> dict[str, str]:
    """State of every real pair."""
    return {key: str(body["state"]) for _, _, key, body in records(data_dir, "pair") if is_real(key)}


async def assert_nothing_is_left(told: dict[str, str], data_dir: Path) -> None:
    """Flat at the venues, and every trade there is a fill of a twin, journalled once; of paper they know nothing."""
    fills = [body for *_, body in records(data_dir, "fill") if is_real(body["client_order_id"])]
    assert fills
    since_ns = min(body["ts_event_ns"] for body in fills) - 60 * 10**9
    known = await what_venues_know(told, data_dir, since_ns)
    traded = Counter((fill.instrument.id, fill.fill_id) for one in known.values() for fill in one.trades)
    journalled = Counter(
        (f"{body['instrument']['venue']}:{body['instrument']['symbol']}", body["fill_id"]) for body in fills
    )
    assert traded == journalled
    assert all(not one.positions and not one.open_orders for one in known.values())


def runs(data_dir: Path) -> list[str]:
    with closing(sqlite3.connect(data_dir / "journal.db")) as connection:
        return [name for (name,) in connection.execute("SELECT run_id FROM records GROUP BY run_id ORDER BY min(seq)")]


async def test_fault_59_an_open_twin_is_adopted_and_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    data_dir = tmp_path / "data"
    async with exchanges("--seed", "3") as told:
        lend(monkeypatch, told)
        async with bot(data_dir, *STAYING, at(told), said=("--shadow",)) as first:
            await first.says("taken")
            await first.until(lambda: "open" in twins(data_dir).values())
            await first.end(signal.SIGKILL)
        twin = next(pair for pair, state in twins(data_dir).items() if state == "open")
        async with bot(data_dir, *LEAVING, at(told), said=("--shadow",)) as second:
            await second.says(f"shadow: adopted twin {twin}")
            await second.until(lambda: set(twins(data_dir).values()) <= OVER)
            assert await second.end(signal.SIGINT) == 130
        assert not any("HALTED" in line for line in second.said), second.said[-30:]
        await assert_nothing_is_left(told, data_dir)
    assert [is_real(f"{name}-") for name in runs(data_dir)] == [True, False, True, False]


async def test_fault_59_killed_at_any_step_a_shadow_leaves_nothing_real(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    data_dir, draws = tmp_path / "data", random.Random(os.environ.get("CRYPTO_PIPE_WIRE_SEED", "5"))
    async with exchanges("--seed", "3") as told:
        lend(monkeypatch, told)
        for _ in range(KILLS):
            await killed_run(data_dir, draws.randint(20, 60), [*IN_AND_OUT, at(told)], "--shadow")
            assert_whole(data_dir)
        # Without --shadow too: what twins left is found as what any real run left.
        async with bot(data_dir, *LEAVING, at(told)) as last:
            await last.says("routes over")
            await last.until(lambda: set(twins(data_dir).values()) <= OVER)
            assert await last.end(signal.SIGINT) == 130
        assert not any("HALTED" in line for line in last.said), last.said[-30:]
        await assert_nothing_is_left(told, data_dir)


async def test_a_pair_of_a_run_without_shadow_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    data_dir = tmp_path / "data"
    async with exchanges("--seed", "3") as told:
        lend(monkeypatch, told)
        async with bot(data_dir, *STAYING, at(told)) as first:
            await first.says("taken")
            await first.until(lambda: "open" in states(data_dir).values())
            await first.end(signal.SIGKILL)
        async with bot(data_dir, *LEAVING, at(told), said=("--shadow",)) as second:
            async with asyncio.timeout(120):
                assert await second.process.wait() == 3
        assert any("is of a run without --shadow: close it first" in line for line in second.said), second.said
        assert not twins(data_dir)
