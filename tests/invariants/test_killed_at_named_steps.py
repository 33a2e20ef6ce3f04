"""`kill -9` over real sockets at each step of a pair's life, one life after another, and at last left in peace."""

import signal
from pathlib import Path

import pytest

from tests.integration.fault_rig import PATIENCE_S
from tests.integration.kill_steps import NAMED, UNEVEN
from tests.invariants.wire_chaos import Chaos, chaos
from tests.invariants.wire_run import until


async def killed_at(one: Chaos, step: str) -> None:
    """A life that comes to this step, and ends there; a start that is refused for want of requests is repeated."""
    deadline_ns = one.deadline_ns()
    if step in UNEVEN:  # of one venue's orders a part is filled: every pair has to be evened
        await one.truth.order_faults([{"fault": "partial-then-reject", "venue": "binance", "at_s": 0, "for_s": 600}])
    while True:
        async with one.bot(step) as bot:
            await until(bot, lambda: False, at_most_s=3 * PATIENCE_S)  # a start waits for its requests
        if bot.process.returncode == -signal.SIGKILL:
            break
        one.check_refused_start(bot, deadline_ns)
    one.tell(f"killed at {step}")
    await one.truth.peace()
    await one.check_what_arrived()
    one.tally.take(step, one.data_dir)


async def test_fault_59_killed_at_each_named_step_over_the_wire_it_ends_flat_and_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with chaos(tmp_path, monkeypatch, f"{len(NAMED)} steps") as one:
        before = await one.truth.balances()
        for step in NAMED:
            await killed_at(one, step)
        is_running = await one.end()
        assert is_running, "nothing here is a reason to halt"
        await one.check_the_end(before, is_running=True)
