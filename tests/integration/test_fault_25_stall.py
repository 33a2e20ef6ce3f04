"""Fault 25: a real engine's loop stands still: the process is stopped for a while, and goes on."""

import asyncio
import signal
from pathlib import Path

from tests.integration.fault_rig import bot, records

STALL_S = 1.6


async def test_fault_25_a_stopped_process_opens_nothing_until_it_has_been_calm(tmp_path: Path) -> None:
    async with bot(tmp_path, "risk.loop_calm_s=1") as running:
        await running.says("binance.linear: live")
        at = len(running.said)
        running.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(STALL_S)  # the stall itself
        running.process.send_signal(signal.SIGCONT)
        at = await running.says("REDUCING: the loop stood still for ", at)
        await running.says("ACTIVE: loop and clock are steady again", at)
        assert await running.end(signal.SIGINT) == 130
    told = [body["text"] for _, _, _, body in records(tmp_path, "event")]
    assert any(text.startswith("REDUCING: the loop stood still") for text in told)
