"""A restart beside the HALT flag, over the wire: nothing new is opened, and what was left open is not left unseen."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from bot.clock import SystemClock
from bot.errors import ExitCode
from bot.risk.halt_flag import FLAG, raise_flag, read_flag
from tests.integration.fault_rig import IN_AND_OUT, ROOT, STAYING, Bot, bot, records, sent_to_open
from tests.integration.standing_exchanges import at, exchanges, lend

OVER = {"closed", "missed", "failed"}


def states(data_dir: Path) -> dict[str, str]:
    return {key: str(body["state"]) for _, _, key, body in records(data_dir, "pair")}


def sent(data_dir: Path) -> int:
    return sum(body["status"] == "sent" for *_, body in records(data_dir, "order"))


async def main(data_dir: Path, *words: str) -> tuple[int, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "main.py"), "--data-dir", str(data_dir), "--json", *words),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, error = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(out) if out else error.decode()


async def ended(running: Bot) -> int:
    async with asyncio.timeout(180):  # a machine that has no time takes one for a start alone
        return await running.process.wait()


async def left_open(data_dir: Path, *words: str) -> str:
    """Kill a bot that holds a pair; its id."""
    async with bot(data_dir, *STAYING, *words) as first:
        await first.says("taken")
        await first.until(lambda: "open" in states(data_dir).values())
        await first.end(signal.SIGKILL)
    return next(pair for pair, state in states(data_dir).items() if state == "open")


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "data"


async def test_a_pair_is_shown_beside_a_kill_and_closed_when_a_person_says_flatten(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with exchanges("--seed", "3") as told:
        lend(monkeypatch, told)
        pair = await left_open(data_dir, at(told))
        raise_flag(data_dir, "prices look wrong", "uid 7", SystemClock().now_ns())
        orders = sent(data_dir)
        async with bot(data_dir, *IN_AND_OUT, at(told)) as second:
            await second.says("HALTED: before this run: HALTED since")
            await second.says(f"ALARM: left alone until a person says --mode flatten: {pair}")
            await second.says(f"adopted pair {pair}, which was open")
            await second.says("routes over")
            code, status = await main(data_dir, "--mode", "status")
            assert (code, status["state"]) == (ExitCode.OK, "HALTED")
            assert [row["pair"] for row in status["pairs"] if row["state"] == "open"].count(pair) == 1
            assert sent(data_dir) == orders
            opened = sent_to_open(data_dir)
            await main(data_dir, "--mode", "flatten")
            await second.until(lambda: states(data_dir)[pair] == "closed")
            assert sent_to_open(data_dir) == opened
            assert await second.end(signal.SIGINT) == ExitCode.INTERRUPTED
        async with bot(data_dir, *IN_AND_OUT, at(told)) as third:
            assert await ended(third) == ExitCode.RISK_HALT
        assert any("prices look wrong" in line and "--mode resume --halt" in line for line in third.said), third.said


async def test_what_the_bot_halted_itself_for_holds_after_a_restart_until_a_person_says_resume(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with exchanges("--seed", "3") as told:
        lend(monkeypatch, told)
        async with bot(data_dir, *IN_AND_OUT, "risk.max_cumulative_loss=0.01", at(told)) as first:
            await first.says("HALTED: the run's realised loss")
            await first.says("the halt holds after a restart, too")
            await first.end(signal.SIGKILL)
        flag = read_flag(data_dir)
        assert flag is not None
        assert flag.is_bots
        assert "the run's realised loss" in flag.why
        # A pair that is open by then is closed, and no other one is opened; then there is nothing to look after.
        opened = sent_to_open(data_dir)
        while True:
            async with bot(data_dir, *IN_AND_OUT, at(told)) as next_one:
                if set(states(data_dir).values()) <= OVER:
                    assert await ended(next_one) == ExitCode.RISK_HALT
                    break
                await next_one.until(lambda: set(states(data_dir).values()) <= OVER)
                assert await next_one.end(signal.SIGINT) == ExitCode.INTERRUPTED
        assert sent_to_open(data_dir) == opened
        assert any("by the bot itself" in line and "realised loss" in line for line in next_one.said), next_one.said
        code, lifted = await main(data_dir, "--mode", "resume", "--halt")
        assert (code, lifted["halt"]["is_bots"]) == (ExitCode.OK, True)
        async with bot(data_dir, *IN_AND_OUT, at(told)) as trading:
            await trading.says("taken")
            assert await trading.end(signal.SIGINT) == ExitCode.INTERRUPTED


async def test_an_open_pair_beside_the_bots_own_flag_is_closed_and_nothing_is_opened(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with exchanges("--seed", "3") as told:
        lend(monkeypatch, told)
        pair = await left_open(data_dir, at(told))
        raise_flag(data_dir, "a loss", "the bot itself", SystemClock().now_ns(), is_bots=True)
        opened = sent_to_open(data_dir)
        async with bot(data_dir, *IN_AND_OUT, at(told)) as second:
            await second.says("pairs that are left are evened and closed; nothing is opened")
            await second.until(lambda: states(data_dir)[pair] == "closed")
            assert await second.end(signal.SIGINT) == ExitCode.INTERRUPTED
        assert sent_to_open(data_dir) == opened


async def test_exchanges_that_end_with_the_run_leave_no_flag(data_dir: Path) -> None:
    async with bot(data_dir, *IN_AND_OUT, "risk.max_cumulative_loss=0.01") as only:
        await only.says("HALTED: the run's realised loss")
        await only.end(signal.SIGINT)
    assert not (data_dir / FLAG).exists()
    assert not any("the halt holds" in line for line in only.said)
