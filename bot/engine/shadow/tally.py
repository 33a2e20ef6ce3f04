"""What a run's twins came to so far: every comparison is written down, and the newest are counted."""

from collections import Counter, deque

from bot.clock import Clock
from bot.domain.shadow import ShadowFigures, ShadowFill, by_group, figures
from bot.ports import Journal, RecordKind

KEPT = 1_000
"""Comparisons that a run's own figures are made of: the newest. The journal has all."""

Told = tuple[ShadowFigures, dict[str, ShadowFigures], dict[str, ShadowFigures]]
"""Of all, by venue, by route."""


class ShadowTally:
    """Counts and writes down."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        """Write to `journal`, of the paper run; dated by `clock`."""
        self._journal = journal
        self._clock = clock
        self.shadowed = 0
        self.not_shadowed: Counter[str] = Counter()
        self.rows: deque[ShadowFill] = deque(maxlen=KEPT)
        self._compared = 0
        self._told: tuple[int, Told] | None = None

    def pass_by(self, pair_id: str | None, route_id: str, why: str) -> None:
        """A paper pair, or a chain, has no twin."""
        self.not_shadowed[why] += 1
        body = {"what": "not_shadowed", "pair": pair_id, "route": route_id, "why": why}
        self._journal.record(RecordKind.SHADOW, pair_id or route_id, self._clock.now_ns(), body)

    def add(self, row: ShadowFill) -> None:
        """Two orders have been compared."""
        self.rows.append(row)
        self._compared += 1
        body = {"what": "fill", **row.model_dump(mode="json"), "bps": _bps(row)}
        self._journal.record(RecordKind.SHADOW, row.paper_order or row.real_order or row.pair, row.ts_ns, body)

    def told(self) -> Told:
        """What it comes to: computed when a new comparison is there, and not at every look at the run."""
        if self._told is None or self._told[0] != self._compared:
            rows = list(self.rows)
            by_venue, by_route = by_group(rows, lambda row: row.venue), by_group(rows, lambda row: row.route)
            self._told = (self._compared, (figures(rows), by_venue, by_route))
        return self._told[1]


def _bps(row: ShadowFill) -> dict[str, float | str | None]:
    """The differences, for readers who do not compute them."""
    return {
        "outcome": row.outcome,
        "price": row.price_bps,
        "model": row.model_bps,
        "size": row.size_bps,
        "fee": row.fee_bps,
        "too_good": row.too_good_bps,
    }
