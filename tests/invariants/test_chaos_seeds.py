"""Twenty seeds of accidents: no invariant is broken, each story ends flat. A failure prints its seed and its story."""

import os
import random
from pathlib import Path

import pytest

from tests.invariants.story import Story, random_step, told

SEEDS = int(os.environ.get("CRYPTO_PIPE_CHAOS_SEEDS", "20"))
STEPS = int(os.environ.get("CRYPTO_PIPE_CHAOS_STEPS", "250"))


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_chaos_ends_flat_with_every_invariant_kept(seed: int, tmp_path: Path) -> None:
    story = Story(tmp_path, seed)
    rng = random.Random(seed)
    try:
        for _ in range(STEPS):
            random_step(story, rng)
        story.end()
        assert story.house.world.fills, "a story in which nothing was traded proves nothing"
    except AssertionError as error:
        raise AssertionError(told(story, error)) from error
    finally:
        story.close()
