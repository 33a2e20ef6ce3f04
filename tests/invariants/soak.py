"""Accidents for as long as asked: `make soak-invariants HOURS=24`. Prints how many virtual hours ran, at what multiple
of real time, how long pairs were uneven, and what each episode cost; a failure prints its seed and its story.
"""

import argparse
import json
import random
import tempfile
from pathlib import Path

from bot.clock import SystemClock
from tests.invariants.story import Story, random_step, told, virtual_s

STEPS = 300
"""Of one seed."""


def main() -> int:
    """Run seed after seed until so many virtual hours are through; 1 where an invariant was broken."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--hours", type=float, default=1.0, help="virtual hours")
    asked.add_argument("--seed", type=int, default=1, help="the first one")
    asked.add_argument("--json", type=Path, help="where to write the figures")
    wanted = asked.parse_args()
    clock = SystemClock()
    begun_ns, played_s, seed, uneven_s = clock.monotonic_ns(), 0.0, wanted.seed, list[float]()
    fills = halts = 0
    while played_s < wanted.hours * 3600:
        with tempfile.TemporaryDirectory(prefix="invariants-") as place:
            story = Story(Path(place), seed)
            rng = random.Random(seed)
            try:
                for _ in range(STEPS):
                    random_step(story, rng)
                story.end()
            except AssertionError as error:
                print(told(story, error))
                return 1
            finally:
                story.close()
            played_s += virtual_s(story)
            uneven_s += [ns / 1e9 for ns, _ in story.watch.episodes]
            fills += len(story.house.world.fills)
            halts += story.house.process.desk.gate.state == "HALTED"
            seed += 1
        real_s = (clock.monotonic_ns() - begun_ns) / 1e9
        print(
            f"{seed - wanted.seed} seeds, {played_s / 3600:.2f} virtual hours, {played_s / real_s:.0f} times real time"
        )
    figures = _figures(uneven_s) | {
        "seeds": seed - wanted.seed,
        "virtual_h": played_s / 3600,
        "fills": fills,
        "halted": halts,
    }
    print(json.dumps(figures))
    if wanted.json is not None:
        wanted.json.write_text(json.dumps(figures))
    return 0


def _figures(uneven_s: list[float]) -> dict[str, float | int]:
    ranked = sorted(uneven_s)
    at = {name: ranked[min(len(ranked) - 1, int(len(ranked) * part))] if ranked else 0.0 for name, part in _PARTS}
    return {"uneven_episodes": len(ranked)} | {f"uneven_s_{name}": round(value, 3) for name, value in at.items()}


_PARTS = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))


if __name__ == "__main__":
    raise SystemExit(main())
