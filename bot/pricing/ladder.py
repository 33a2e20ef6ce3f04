"""What one side of a market offers, level by level, in base units; and walks over several of them at once.

A top of book is a ladder of one level. Prices are quote units per base unit, quantities base units, whatever the
venue counts in: ladders of two venues can be laid side by side.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, nextafter

from bot.domain.instrument import Instrument, Segment

Level = tuple[float, float]
"""Price and quantity."""
_ROUNDING = 1e-12
"""Part of a depth that two ways of adding it up may differ by."""


class Ladder:
    """Levels of one side, best first: prices that only get worse, quantities above zero."""

    __slots__ = ("levels",)

    def __init__(self, levels: Sequence[Level]) -> None:
        self.levels = levels

    @property
    def best_price(self) -> float:
        """Of the first level; there must be one."""
        return self.levels[0][0]

    @property
    def depth(self) -> float:
        """Base units on offer; 0 where there are none."""
        return sum(quantity for _, quantity in self.levels)

    def notional(self, quantity: float) -> float:
        """Quote units that `quantity` costs or brings, taken from the best level on.

        Raises:
            ValueError: If the ladder does not offer so much.
        """
        left, total = quantity, 0.0
        for price, offered in self.levels:
            if left <= offered:
                return total + left * price
            total += offered * price
            left -= offered
        if not self.levels or left > quantity * _ROUNDING:
            raise ValueError(f"{quantity} base units were asked of a ladder that offers {self.depth}")
        return total + left * self.levels[-1][0]

    def average_price(self, quantity: float) -> float:
        """The price of `quantity`, above zero, on average: the first level's own where that one suffices.

        Raises:
            ValueError: If the ladder does not offer so much.
        """
        price, offered = self.levels[0] if self.levels else (0.0, 0.0)
        return price if quantity <= offered else self.notional(quantity) / quantity

    def quantity_for(self, notional: float) -> float:
        """The largest quantity whose notional is at most this; `inf` where the whole ladder is less.

        A float more or less at its end is on the side that is less.
        """
        taken = spent = 0.0
        for price, offered in self.levels:
            part = (notional - spent) / price
            if part < offered:
                quantity = taken + max(part, 0.0)
                while quantity > 0.0 and self.notional(quantity) > notional:
                    quantity = nextafter(quantity, 0.0)
                return quantity
            taken += offered
            spent += offered * price
        return inf


def ladder(instrument: Instrument, levels: Sequence[Level], *, worst_price: float | None = None) -> Ladder:
    """The ladder of these levels (price and quantity in the venue's units), none beyond `worst_price`.

    Beyond is higher where prices rise, lower where they fall: what an order with that limit would meet.
    """
    if instrument.contract_multiplier != 1 or instrument.segment is Segment.INVERSE:
        levels = [(price, instrument.to_base(quantity, price)) for price, quantity in levels]
    if worst_price is None or len(levels) < 2:
        return Ladder(levels)
    sign = 1.0 if levels[0][0] < levels[1][0] else -1.0
    last = sign * worst_price
    return Ladder([level for level in levels if sign * level[0] <= last])


@dataclass(frozen=True, slots=True)
class ChainLeg:
    """One conversion of a chain: what comes out of one is put into the next."""

    ladder: Ladder
    buys: bool
    """Whether it takes quote and brings base; otherwise the other way round."""
    keeps: float = 1.0
    """Part of what it brings that arrives: 1 − the fee, where the fee is taken from that asset."""


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a chain's depth over which no price changes."""

    quantity: float
    """Base units of the first leg."""
    ratio: float
    """Sell prices over buy prices: what comes out for one put in, before fees."""


def steps(legs: Sequence[ChainLeg]) -> Iterator[Step]:
    """Walk all ladders of a chain together, from the best levels on, until one of them ends.

    The ratio only falls. Two legs, a buy and a sell, are a two-sided route; three that end in the asset they began
    with are a triangle.
    """
    at = [0] * len(legs)
    left = [leg.ladder.levels[0][1] if leg.ladder.levels else 0.0 for leg in legs]
    while all(at[i] < len(leg.ladder.levels) for i, leg in enumerate(legs)):
        prices = [leg.ladder.levels[at[i]][0] for i, leg in enumerate(legs)]
        shares = _shares(legs, prices)
        offered = [left[i] / share for i, share in enumerate(shares)]
        quantity = min(offered)
        yield Step(quantity, _ratio(legs, prices))
        for i, leg in enumerate(legs):
            left[i] -= quantity * shares[i]
            if offered[i] == quantity or left[i] <= 0.0:
                at[i] += 1
                left[i] = leg.ladder.levels[at[i]][1] if at[i] < len(leg.ladder.levels) else 0.0


def _shares(legs: Sequence[ChainLeg], prices: Sequence[float]) -> list[float]:
    """Base units that each leg trades for one base unit of the first leg."""
    shares, amount = [1.0], 1.0 if legs[0].buys else prices[0]
    amount *= legs[0].keeps
    for leg, price in zip(legs[1:], prices[1:], strict=True):
        base = amount / price if leg.buys else amount
        shares.append(base)
        amount = (base if leg.buys else base * price) * leg.keeps
    return shares


def _ratio(legs: Sequence[ChainLeg], prices: Sequence[float]) -> float:
    sold = bought = 1.0
    for leg, price in zip(legs, prices, strict=True):
        if leg.buys:
            bought *= price
        else:
            sold *= price
    return sold / bought
