"""What a venue wants covered of one instrument: by its own figures where told, else by its tiers, else assumed.

A position's own figure becomes a ratio of its notional at the price that the venue counted it at, and grows with the
notional. Where the tiers are known too, the larger counts: a larger position may lie in a higher one, and venues add to
a position's figure what closing it will cost.
"""

from typing import NamedTuple

from bot.domain.margin import MarginSource, MarginTiers


class Maintenance(NamedTuple):
    """Of one instrument in one wallet."""

    assumed_ratio: float
    """Where the venue tells nothing: part of a notional."""
    tiers: MarginTiers | None = None
    told_ratio: float | None = None
    """The venue's figure of the position that is held, over its notional; above 0."""
    held_notional: float = 0.0
    """What it was told of, absolute, settle asset."""

    def needed(self, notional: float) -> float:
        """Maintenance margin of `notional` in all, settle asset; NaN for NaN."""
        size = abs(notional)
        if self.tiers is not None:
            by_tiers = self.tiers.maintenance(size)
            return by_tiers if self.told_ratio is None else max(by_tiers, size * self.told_ratio)
        if self.told_ratio is None:
            return size * self.assumed_ratio
        added = max(0.0, size - self.held_notional)
        return size * self.told_ratio + added * max(0.0, self.assumed_ratio - self.told_ratio)

    def source(self, notional: float) -> MarginSource:
        """What `needed` rests on."""
        if self.told_ratio is not None and abs(notional) <= self.held_notional * (1.0 + 1e-9):
            return MarginSource.VENUE
        return MarginSource.ASSUMED if self.tiers is None else MarginSource.TIERS
