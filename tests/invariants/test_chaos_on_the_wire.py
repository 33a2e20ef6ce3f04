"""Chaos over real sockets: a bot on simulated exchanges that lose, delay, repeat and refuse, killed with -9 and started
again, and at last left in peace. The exchanges' own words and the journal file are compared.

`CRYPTO_PIPE_WIRE_KILLS=50` kills it that often, `CRYPTO_PIPE_WIRE_SEED=7` draws another story.
"""

import os
from pathlib import Path

import pytest

from tests.invariants.wire_chaos import chaos
from tests.invariants.wire_schedule import lives

KILLS = int(os.environ.get("CRYPTO_PIPE_WIRE_KILLS", "4"))
SEED = os.environ.get("CRYPTO_PIPE_WIRE_SEED", "11")


async def test_chaos_over_the_wire_ends_flat_and_counted_once_or_halted_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with chaos(tmp_path, monkeypatch, f"seed {SEED}, {KILLS} kills") as one:
        before = await one.truth.balances()
        for life in lives(SEED, KILLS):
            await one.live(life)
        is_running = await one.end()
        await one.check_the_end(before, is_running=is_running)
