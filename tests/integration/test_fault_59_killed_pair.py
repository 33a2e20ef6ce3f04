"""Fault 59: `kill -9` at every journal step of a pair. What was promised is there; the next run says what is open."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bot.engine.accounts.left_open import left_open
from bot.execution.pair import PairState
from bot.storage.journal import SqliteJournal
from tests.integration.fault_rig import ROOT, STAYING, assert_whole, bot, records

SEEDS = int(os.environ.get("CRYPTO_PIPE_KILL_SEEDS", "1"))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_fault_59_killed_at_every_step_of_a_pair_nothing_promised_is_lost(tmp_path: Path, seed: int) -> None:
    command = [sys.executable, "-m", "tests.integration.pair_killer", str(tmp_path), str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    runs = int(done.stdout)
    assert runs > 20, "opening, both legs out and back, closing"
    states = set()
    for step in range(1, runs + 1):
        data_dir = tmp_path / str(step)
        SqliteJournal(data_dir, "next").close()  # the lock is gone, and the file goes on
        assert_whole(data_dir)
        kept = records(data_dir)
        seen = [line.split() for line in (tmp_path / f"{step}.seen").read_text().splitlines()]
        assert len(kept) >= max((int(number) for word, number in seen if word == "durable"), default=0)
        intents = {key for _, kind, key, body in kept if kind == "order" and body["status"] == "intent"}
        assert {name for word, name in seen if word == "sent"} <= intents, "written down before it was sent"
        states.add(assert_told(data_dir, kept))
    assert states >= {PairState.OPENING, PairState.OPEN, PairState.CLOSING}


def assert_told(data_dir: Path, kept: list[tuple[int, str, str, dict[str, object]]]) -> str | None:
    """The pair that was open is named, with its state and what it held; nothing is where none was. Its state."""
    states = [(key, str(body["state"])) for _, kind, key, body in kept if kind == "pair"]
    told = left_open(data_dir)
    if not states:
        assert told == []
        return None
    ((pair, state),) = states[-1:]
    if PairState(state).is_over:
        assert told == []
        return state
    (line,) = told
    assert f"was killed, and left a pair open: {pair} was {state}, and held " in line
    fills = [body for _, kind, _, body in kept if kind == "fill"]
    final = {key: body["status"] for _, kind, key, body in kept if kind == "order"}
    unknown = [key for key, status in final.items() if status in {"intent", "sent", "unknown"}]
    assert ("orders without a known end" in line) is bool(unknown)
    assert all(key in line for key in unknown)
    if not fills:
        assert "held nothing" in line
    return state


async def test_fault_59_the_next_run_says_what_the_killed_one_left_open(tmp_path: Path) -> None:
    async with bot(tmp_path, *STAYING) as running:
        await running.says("taken")  # and so the journal has its table
        await running.until(lambda: any(body["state"] == "open" for *_, body in records(tmp_path, "pair")))
        await running.end(signal.SIGKILL)
    run_id = records(tmp_path, "run")[0][2]
    async with bot(tmp_path) as running:
        await running.says(
            f"run {run_id} on the simulated market was killed, and left a pair open: {run_id}-1 was open"
        )
        assert await running.end(signal.SIGINT) == 130
    told = [body["text"] for *_, body in records(tmp_path, "event") if "left a pair open" in body["text"]]
    assert ["held +" in text or "held -" in text for text in told] == [True], told
