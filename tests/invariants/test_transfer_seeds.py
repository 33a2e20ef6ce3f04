"""Amounts that travel between venues, with accidents and kills: `transfer_story.py`, seed by seed."""

import os
from pathlib import Path

import pytest

from bot.risk.gate import TradingState
from tests.invariants.soak import CHAIN_STEPS as STEPS_OF_A_SOAK
from tests.invariants.transfer_story import Transfers, play

SEEDS = int(os.environ.get("CRYPTO_PIPE_TRANSFER_SEEDS", "5"))
STEPS = int(os.environ.get("CRYPTO_PIPE_TRANSFER_STEPS", "100"))


FOUND = {30037: "an amount that its venue told of only after the deadline was late no more"}
"""Seeds of stories that a soak found an invariant broken in."""


@pytest.mark.parametrize("seed", FOUND, ids=str)
def test_what_a_soak_has_found_in_a_transfer_stays_mended(seed: int, tmp_path: Path) -> None:
    play(seed, tmp_path, STEPS_OF_A_SOAK)


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_what_travels_comes_home_with_every_invariant_kept(seed: int, tmp_path: Path) -> None:
    assert play(seed, tmp_path, STEPS).money.taken


def test_halted_without_a_flag_while_venues_are_asked_nothing_leaves_and_it_goes_home(tmp_path: Path) -> None:
    story = Transfers(tmp_path, 1)
    try:
        gate = story.house.process.desk.gate
        story.money.moods["binance"].on_asked = lambda: gate.halt("another bot has the account", lasting=False)
        story.off = [0.0, 300.0]
        story.pass_time(20.0)
        assert gate.state is TradingState.HALTED
        assert not story.money.taken
        assert [body["state"] for _, body in story.file_bodies("transfer")] == ["intent", "refused"]
        story.end()
    finally:
        story.close()
