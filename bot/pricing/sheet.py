"""Every cost of a route by name, summed once: what a quote is compared with.

A cost is charged on the money of the first trade, or on that of the last: their ratio is what a quote tells. So with
`r` = 1 + gross/10⁴ the price ratio of last to first trade, a cost of `fixed` and `scaled` bps is `fixed + scaled · r`
bps of the first trade's money, exactly, at any price. The sums stand still between two refreshes, and

    edge if filled   N = gross − Σ fixed − Σ scaled · r
    net edge         P · N − (1 − P) · w

where P is the probability that the post-only legs are filled at all (1 for takers) and w what waiting in vain costs.
Both are linear in the gross edge: where the route is worth taking is found by one division, once a refresh.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from bot.domain.route import Cost

NOT_FILLED = "not filled"


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Why a route has no price: a limit, what was observed and what it asks for. Never a default of zero."""

    limit: str
    observed: float
    allowed: float
    unit: str
    least_bps: float | None = None
    """What is known to be needed already: the fees; None where not even they are known."""


def not_known(limit: str) -> Unpriced:
    """An input that nobody has told, or that is not a number."""
    return Unpriced(limit, 0.0, 1.0, "known")


class CostLine(NamedTuple):
    """One cost: bps of the first trade's money, and bps of the last trade's."""

    name: str
    fixed_bps: float
    scaled_bps: float
    assumed: bool

    def bps(self, ratio: float) -> float:
        """In bps of the first trade's money, where the last brings `ratio` times as much."""
        return self.fixed_bps + self.scaled_bps * ratio


class CostLines:
    """Costs as they are found; those of one name are added up."""

    def __init__(self, before: "CostLines | None" = None) -> None:
        self._lines: dict[str, CostLine] = {} if before is None else before._lines.copy()

    def add(self, name: str, bps: float, *, on_last: bool = False, assumed: bool = False) -> None:
        """Charge `bps` of the first trade's money, or of the last trade's."""
        before = self._lines.get(name)
        if before is None:
            self._lines[name] = CostLine(name, 0.0 if on_last else bps, bps if on_last else 0.0, assumed)
            return
        fixed, scaled = (0.0, bps) if on_last else (bps, 0.0)
        self._lines[name] = CostLine(name, before[1] + fixed, before[2] + scaled, assumed or before[3])

    def bps_of(self, name: str) -> float:
        """Of the first trade's money; 0 where there is no such cost."""
        line = self._lines.get(name)
        return 0.0 if line is None else line.fixed_bps

    def as_tuple(self) -> tuple[CostLine, ...]:
        """In the order in which they were found."""
        return tuple(self._lines.values())


def even_bps(lines: Sequence[CostLine]) -> float:
    """Their sum where the last trade brings what the first cost."""
    return sum(line.bps(1.0) for line in lines)


@dataclass(frozen=True, slots=True)
class CostSheet:
    """Every cost of a route, and their sums. It is made anew every second for every route."""

    lines: tuple[CostLine, ...]
    fixed_bps: float
    scaled_bps: float
    """Below 10⁴: what is charged on the last trade's money leaves something of it."""
    exit_basis_bps: float = 0.0
    """What closing is expected to cost beside fees; 0 for a route that holds nothing."""
    fill_probability: float = 1.0
    waiting_bps: float = 0.0
    time_out_s: float = 0.0
    """How long the money is out, mean."""

    @property
    def needed_bps(self) -> float:
        """The gross edge at which it breaks even."""
        return self.take_at(0.0)

    @property
    def assumed(self) -> bool:
        """Whether a cost is a setting and not what the venue said."""
        return self.fill_probability < 1.0 or any(line.assumed for line in self.lines)

    def take_at(self, min_net_bps: float) -> float:
        """The gross edge whose net edge is `min_net_bps`."""
        chance = self.fill_probability
        if chance <= 0.0 or self.scaled_bps >= 1e4:
            return inf
        filled_bps = (min_net_bps + (1.0 - chance) * self.waiting_bps) / chance
        return (filled_bps + self.fixed_bps + self.scaled_bps) / (1.0 - self.scaled_bps / 1e4)

    def linear_bps(self, gross_bps: float) -> float:
        """What each unit costs where that is offered: sizing adds units while they bring more."""
        return self.fixed_bps + self.scaled_bps * (1.0 + gross_bps / 1e4)

    def net_bps(self, gross_bps: float) -> float:
        """The net edge of an offer at the top of the books."""
        filled_bps = gross_bps - self.linear_bps(gross_bps)
        return self.fill_probability * filled_bps - (1.0 - self.fill_probability) * self.waiting_bps

    def costs(self, gross_bps: float, depth: Sequence[Cost] = ()) -> tuple[Cost, ...]:
        """Every cost of an offer by name; what a size takes beyond the top of the books (`depth`) comes last."""
        filled_gross = gross_bps - sum(cost.bps for cost in depth)
        ratio = 1.0 + filled_gross / 1e4
        named = [Cost(name=line.name, bps=line.bps(ratio), assumed=line.assumed) for line in self.lines]
        named += depth
        if self.fill_probability < 1.0:
            filled_bps = gross_bps - sum(cost.bps for cost in named)
            lost = (1.0 - self.fill_probability) * (filled_bps + self.waiting_bps)
            named.append(Cost(name=NOT_FILLED, bps=lost, assumed=True))
        return tuple(named)


def add_up(
    lines: CostLines,
    *,
    exit_basis_bps: float,
    fill_probability: float,
    waiting_bps: float,
    time_out_s: float,
) -> CostSheet:
    """The sheet of these costs."""
    found = lines.as_tuple()
    return CostSheet(
        lines=found,
        fixed_bps=sum(line.fixed_bps for line in found),
        scaled_bps=sum(line.scaled_bps for line in found),
        exit_basis_bps=exit_basis_bps,
        fill_probability=fill_probability,
        waiting_bps=waiting_bps,
        time_out_s=time_out_s,
    )
