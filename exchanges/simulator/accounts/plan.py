"""What an order would take of a book, before it takes it."""

from dataclasses import dataclass

from exchanges.simulator.core.ports import Market
from exchanges.simulator.core.values import Levels

_DEPTHS = (4, 50, 1_000_000)
"""Most orders end in the first levels; asking for all of a deep book for each would be slow."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Levels that an order would take, best first."""

    taken: Levels

    @property
    def lots(self) -> int:
        """How many in all."""
        return sum(lots for _, lots in self.taken)

    @property
    def tick_lots(self) -> int:
        """Ticks × lots in all: the cost in units of tick size × lot size."""
        return sum(ticks * lots for ticks, lots in self.taken)

    @property
    def worst_ticks(self) -> int | None:
        """The last price that is reached."""
        return self.taken[-1][0] if self.taken else None


def plan_take(
    market: Market,
    listing: int,
    *,
    buys: bool,
    limit_ticks: int,
    own: dict[int, int],
    lots: int | None = None,
    budget: int | None = None,
) -> Plan:
    """What is there up to `limit_ticks`, at most `lots`, or what `budget` (tick × lot units) pays for.

    `own` (ticks -> lots) rests there for the account itself and is passed over: nobody trades with himself.
    """
    for depth in _DEPTHS:
        side = market.levels(listing, depth)[1 if buys else 0]
        plan, hungry = _walk(side, buys, limit_ticks, own, lots, budget)
        if not hungry or len(side) < depth:
            break
    return plan


def _walk(
    side: Levels, buys: bool, limit_ticks: int, own: dict[int, int], lots: int | None, budget: int | None
) -> tuple[Plan, bool]:
    taken: list[tuple[int, int]] = []
    for ticks, shown in side:
        if ticks > limit_ticks if buys else ticks < limit_ticks:
            return Plan(tuple(taken)), False
        there = shown - own.get(ticks, 0)
        part = min(there, *(most for most in (lots, None if budget is None else budget // ticks) if most is not None))
        if part > 0:
            taken.append((ticks, part))
            lots = None if lots is None else lots - part
            budget = None if budget is None else budget - part * ticks
        if part < there:
            return Plan(tuple(taken)), False
    return Plan(tuple(taken)), lots is None or lots > 0
