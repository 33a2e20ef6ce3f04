"""Times to flat and losses as distributions: of each fault, and of all."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.invariants.checks import JournalFile

_PARTS = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("worst", 1.0))


def distribution(values: Sequence[float]) -> dict[str, float]:
    """How many there are, and quantiles by name; without values only that there are none."""
    ranked = sorted(values)
    parts = {name: round(ranked[min(len(ranked) - 1, int(len(ranked) * part))], 3) for name, part in _PARTS if ranked}
    return {"n": len(ranked), **parts}


@dataclass(slots=True)
class Tally:
    """The times in which pairs were uneven, by what had struck when they came to their end."""

    _told: set[tuple[str, int]] = field(default_factory=set)
    """Pair, and the number of its episode."""
    _seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _losses: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def take(self, fault: str, data_dir: Path) -> None:
        """Count what the journal tells since the last look; a bot that was killed begins to count anew."""
        file = JournalFile(data_dir)
        try:
            newest: Mapping[str, Mapping[str, Any]] = dict(file.bodies("pair"))
        finally:
            file.close()
        for pair, body in newest.items():
            for number, episode in enumerate(body.get("unhedged", ())):
                if (pair, number) not in self._told and episode["seconds"] is not None:
                    self._told.add((pair, number))
                    self._seconds[fault].append(episode["seconds"])
                    if episode["loss_bps"] is not None:
                        self._losses[fault].append(episode["loss_bps"])

    def lines(self) -> list[str]:
        """One for each fault, and one for all of them."""
        every = [value for values in self._seconds.values() for value in values]
        lost = [value for values in self._losses.values() for value in values]
        rows = [(fault, self._seconds[fault], self._losses[fault]) for fault in sorted(self._seconds)]
        return [
            f"{name}: uneven s {distribution(seconds)}, loss bps {distribution(losses)}"
            for name, seconds, losses in (*rows, ("all", every, lost))
        ]
