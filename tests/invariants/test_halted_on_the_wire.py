"""A venue that refuses everything for longer than a pair may be uneven: the bot ends HALTED, with exit 4, and says why;
and what it left is evened by the next start, once a person has taken the halt away.
"""

import asyncio
from pathlib import Path

import pytest

from bot.control.client import attach
from bot.control.messages import Command
from bot.engine.run import SOCKET
from tests.integration.fault_rig import PATIENCE_S, Bot
from tests.invariants.checks import JournalFile
from tests.invariants.wire_chaos import STARTED, Chaos, chaos
from tests.invariants.wire_checks import OVER, why_halted
from tests.invariants.wire_run import has_said, is_halted, until

BUDGET = ("execution.unhedged_alarm_s=2", "execution.unhedged_act_s=3", "execution.unhedged_halt_s=10")
"""As they are shipped: the other stories here are patient with a busy machine."""


async def stopped(bot: Bot) -> int:
    """Asked to end in order, as the screen asks; the exit code."""
    engine = await attach(bot.data_dir / SOCKET)
    await engine.send(Command(command="stop"))
    await engine.close()
    async with asyncio.timeout(PATIENCE_S):
        return await bot.process.wait()


def holds_at_bybit(data_dir: Path) -> bool:
    """Whether a pair is open whose one leg is there."""
    file = JournalFile(data_dir)
    try:
        newest = dict(file.bodies("pair")).values()
        return any(body["state"] == "open" and "bybit" in body["buy"] + body["sell"] for body in newest)
    finally:
        file.close()


async def halted_by_a_venue(one: Chaos) -> None:
    """A pair is open when one of its venues begins to refuse: the other leg is closed, and that one is not."""
    async with one.bot(more=BUDGET) as bot:
        assert await until(bot, lambda: has_said(bot, STARTED))
        assert await until(bot, lambda: holds_at_bybit(one.data_dir))
        await one.truth.order_faults([{"fault": "http-503", "venue": "bybit", "at_s": 0, "for_s": 600}])
        one.tell("bybit refuses everything")
        assert await until(bot, lambda: is_halted(bot))
        one.tell("HALTED")
        code = await stopped(bot)
    assert code == 4, bot.said[-20:]
    assert any(line.startswith("error: HALTED: pair ") and " is uneven by " in line for line in bot.said), bot.said[
        -20:
    ]


async def test_a_venue_that_refuses_everything_halts_the_bot_which_says_why_and_the_next_start_evens_the_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with chaos(tmp_path, monkeypatch, "a venue refuses everything") as one:
        before = await one.truth.balances()
        await halted_by_a_venue(one)
        one.tell(f"struck: {await one.truth.peace()}")
        file = JournalFile(one.data_dir)
        assert " is uneven by " in why_halted(file)
        file.close()
        left = {pair: state for pair, state in one.states().items() if state not in OVER}
        assert left, "it ended with a pair that is not over"
        await one.check_what_arrived()
        code, words = await one.main("--mode", "resume", "--halt")
        assert code == 0, words
        one.tell(words)
        assert await one.end(), "in peace it is not halted again"
        assert {one.states()[pair] for pair in left} <= OVER
        await one.check_the_end(before, is_running=True)
