"""What happens to a bot on the wire, drawn from a seed: accidents at the exchanges, and when it is killed."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.integration.kill_steps import NAMED, UNEVEN

VENUES = ("binance", "bybit")
_SURE: Sequence[Mapping[str, Any]] = (
    {"fault": "lost-answer", "count": 2},
    {"fault": "lost-order", "count": 1},
    {"fault": "partial-then-reject", "count": 3},
    {"fault": "late-fill", "count": 3, "amount": 1},
    {"fault": "duplicate-fill", "count": 4},
    {"fault": "missing-fill", "count": 2},
)
"""They strike whoever goes on trading, and wait for it."""
_KINDS: Sequence[Mapping[str, Any]] = (
    {"fault": "silence", "for_s": 4},
    {"fault": "cut"},
    {"fault": "gap", "for_s": 6},
    {"fault": "reorder", "for_s": 6},
    {"fault": "latency", "for_s": 5, "amount": 700},
    {"fault": "http-429", "for_s": 3, "amount": 2, "count": 3},
    {"fault": "http-503", "for_s": 3},
    {"fault": "maintenance", "for_s": 3},
    {"fault": "clock-drift", "for_s": 5, "amount": 600},
    *({**one, "for_s": 6} for one in _SURE),
)


@dataclass(frozen=True, slots=True)
class Life:
    """One process of the bot."""

    number: int
    dies_at: str
    """The step at which it kills itself (`kill_steps.NAMED`) once the first accident has struck; empty: it is killed
    from outside, so many records after that."""
    records: int
    """Of its journal."""
    before: Sequence[Mapping[str, Any]]
    """Accidents that are there when it starts; `at_s` from then."""
    later: Sequence[Mapping[str, Any]]
    """Accidents once it has begun to trade; the first of them strikes whoever trades, and is waited for."""

    @property
    def first(self) -> Mapping[str, Any]:
        """What is waited for."""
        return self.later[0]

    def __str__(self) -> str:
        def words(faults: Sequence[Mapping[str, Any]]) -> str:
            return ", ".join(f"{one['fault']} at {one['venue']} after {one['at_s']} s" for one in faults) or "nothing"

        what = f"at step {self.dies_at}" if self.dies_at else f"{self.records} records later"
        end = f"dies {what}, once {self.first['fault']} has struck"
        return f"life {self.number}: {end}; at its start {words(self.before)}; later {words(self.later)}"


def lives(seed: str, count: int) -> list[Life]:
    """The same for the same seed and count; every other one dies at a step, in the order of a pair's life."""
    draws = random.Random(seed)
    return [_life(draws, number) for number in range(1, count + 1)]


def _life(draws: random.Random, number: int) -> Life:
    before = [_fault(draws, _KINDS, 2)] if draws.random() < 0.5 else []
    first = {**_fault(draws, _SURE, 0), "for_s": 600}
    later = [first, *(_fault(draws, _KINDS, 5) for _ in range(draws.randint(1, 3)))]
    steps = [name for name in NAMED if name not in UNEVEN]  # these come to whom it happens
    dies_at = "" if number % 2 else steps[number // 2 % len(steps)]
    return Life(number, dies_at, draws.randint(0, 40), before, later)


def _fault(draws: random.Random, kinds: Sequence[Mapping[str, Any]], within_s: int) -> dict[str, Any]:
    return {**draws.choice(kinds), "venue": draws.choice(VENUES), "at_s": round(draws.uniform(0, within_s), 1)}
