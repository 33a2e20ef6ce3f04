"""Accidents for as long as asked: `make soak HOURS=24`.

Prints how many virtual hours ran, at what multiple of real time; then, as distributions, for how long pairs were uneven
and what getting even cost, over all of it and fault by fault. Every few seeds rings and transfers are played too, and
counted apart. A broken invariant ends it with 1, its seed and story.
"""

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.clock import SystemClock
from tests.invariants.distribution import distribution
from tests.invariants.story import Story, random_step, told, virtual_s
from tests.invariants.test_rings_seeds import play as ring_story
from tests.invariants.transfer_story import play as transfer_story
from tests.invariants.wire import PLACING
from tests.invariants.world import START_NS

STEPS = 300
"""Of one seed."""
CHAINS_EVERY = 4
"""Seeds from one story of rings and one of transfers to the next."""
CHAIN_STEPS = 100
OF_A_FAULT = 20
"""Stories with one fault in each."""


@dataclass(slots=True)
class Tally:
    """What stories came to."""

    played_s: float = 0.0
    seeds: int = 0
    fills: int = 0
    halted: int = 0
    uneven_s: list[float] = field(default_factory=list)
    loss_bps: list[float] = field(default_factory=list)

    def add(self, story: Story) -> None:
        """Count one that has ended."""
        self.played_s += virtual_s(story)
        self.seeds += 1
        self.fills += len(story.house.world.fills)
        self.halted += story.house.process.desk.gate.state == "HALTED"
        newest = dict(story.file.bodies("pair"))
        episodes = [one for body in newest.values() for one in body.get("unhedged", ())]
        self.uneven_s += [one["seconds"] for one in episodes if one["seconds"] is not None]
        self.loss_bps += [one["loss_bps"] for one in episodes if one["loss_bps"] is not None]

    def figures(self) -> dict[str, Any]:
        """As plain data."""
        counts = {"seeds": self.seeds, "virtual_h": round(self.played_s / 3600, 3), "fills": self.fills}
        spread = {"uneven_s": distribution(self.uneven_s), "loss_bps": distribution(self.loss_bps)}
        return counts | {"halted": self.halted, "episodes": len(self.uneven_s)} | spread


@dataclass(slots=True)
class ChainTally:
    """What stories of rings and transfers came to."""

    seeds: int = 0
    played_s: float = 0.0
    fills: int = 0
    sent: int = 0
    """Amounts that left a venue."""

    def play(self, seed: int) -> None:
        """One of rings and one of transfers, and count them."""
        with tempfile.TemporaryDirectory(prefix="invariants-") as place:
            rings = ring_story(seed, _folder(place, "rings"), CHAIN_STEPS)
            transfers = transfer_story(seed, _folder(place, "transfers"), CHAIN_STEPS)
        self.seeds += 1
        for house in (rings.house, transfers.house):
            self.played_s += (house.clock.now_ns() - START_NS) / 1e9
            self.fills += len(house.world.fills)
        self.sent += len(transfers.money.taken)

    def figures(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "seeds": self.seeds,
            "virtual_h": round(self.played_s / 3600, 3),
            "fills": self.fills,
            "sent": self.sent,
        }


def _folder(place: str, name: str) -> Path:
    found = Path(place) / name
    found.mkdir()
    return found


@contextmanager
def a_story(seed: int, tally: Tally) -> Iterator[Story]:
    """One story, ended and counted afterwards."""
    with tempfile.TemporaryDirectory(prefix="invariants-") as place:
        story = Story(Path(place), seed)
        try:
            yield story
            story.end()
            tally.add(story)
        except AssertionError as error:
            raise AssertionError(told(story, error)) from error
        finally:
            story.close()


def any_accident(seed: int, tally: Tally) -> None:
    """A story in which anything may happen."""
    rng = random.Random(seed)
    with a_story(seed, tally) as story:
        for _ in range(STEPS):
            random_step(story, rng)


def one_fault(seed: int, fault: str, tally: Tally) -> None:
    """A pair is wanted, and one of its legs meets one fault."""
    rng = random.Random(seed)
    with a_story(seed, tally) as story:
        venue = rng.choice(("binance", "bybit"))
        if fault == "silent_stream":
            story.stream(venue, 1.0, 0.0, 5)
        else:
            story.placing(venue, fault)
        slot, far = rng.randrange(3), rng.choice((5.0, 15.0))
        mids = [1_000.0 + far if at == slot else 1_000.0 for at in range(3)]
        story.books(tuple(mids), 5.0)
        story.wait(rng.randint(1, 1_500))
        story.make_peace()
        for _ in range(15):
            story.books(tuple(mids), 5.0)
            story.wait(1_000)


def main() -> int:
    """Run seed after seed until so many virtual hours are through; 1 where an invariant was broken."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--hours", type=float, default=1.0, help="virtual hours (default: 1)")
    asked.add_argument("--seed", type=int, default=1, help="the first one (default: 1)")
    asked.add_argument("--json", type=Path, help="where to write the figures")
    wanted = asked.parse_args()
    try:
        figures = _soak(wanted.hours, wanted.seed, lambda line: print(line, file=sys.stderr, flush=True))
    except AssertionError as broken:
        print(broken)
        return 1
    print(json.dumps(figures, indent=2))
    if wanted.json is not None:
        wanted.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def _soak(hours: float, first: int, say: Callable[[str], None]) -> dict[str, Any]:
    clock = SystemClock()
    every, chains, real_s = Tally(), ChainTally(), 0.0
    while every.played_s < hours * 3600:
        if every.seeds % CHAINS_EVERY == 0:
            chains.play(first + every.seeds)
        begun_ns = clock.monotonic_ns()
        any_accident(first + every.seeds, every)
        real_s += (clock.monotonic_ns() - begun_ns) / 1e9
        say(
            f"{every.seeds} seeds, {every.played_s / 3600:.2f} virtual hours, {every.played_s / real_s:.0f} x real time"
        )
    by_fault = {}
    for fault in (*PLACING[1:], "silent_stream"):
        tally = Tally()
        for seed in range(first, first + OF_A_FAULT):
            one_fault(seed, fault, tally)
        by_fault[fault] = tally.figures()
        say(f"{fault}: {tally.figures()}")
    return every.figures() | {"chains": chains.figures(), "by_fault": by_fault}


if __name__ == "__main__":
    raise SystemExit(main())
