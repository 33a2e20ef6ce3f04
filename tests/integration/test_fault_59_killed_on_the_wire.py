"""Fault 59 over the wire: `kill -9` at the steps of pairs, time and again, and what the next start makes of each.

The simulated exchanges outlive the bot. At the end the account is flat, the journal has each of the venues' trades
once, and no order was sent that was not written down, or twice.
"""

import os
import random
import signal
from pathlib import Path

import pytest

from tests.integration.fault_rig import IN_AND_OUT, STAYING, assert_whole, bot, records
from tests.integration.killed_runs import (
    KILLS,
    LEAVING,
    NOTHING_NEW,
    OVER,
    all_over,
    assert_accounts_agree,
    killed_run,
    states,
)
from tests.integration.standing_exchanges import at, exchanges, lend


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
