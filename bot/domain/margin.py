"""What a venue says of margin: of a position, of a whole wallet, and of the tiers by which it counts."""

from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from math import isfinite
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

AnyDecimal = Annotated[Decimal, Field(allow_inf_nan=True)]
"""NaN stands for a figure that the venue should have told, and did not, or in no way that is a number."""


class MarginSource(StrEnum):
    """What a margin figure rests on; the last word says that it is a setting of ours."""

    VENUE = "venue"
    """The venue's own figure."""
    TIERS = "tiers"
    """The venue's table of maintenance margin by notional."""
    ASSUMED = "ASSUMED"


class PositionMargin(BaseModel):
    """A venue's own figures of one open position."""

    model_config = ConfigDict(frozen=True)

    maintenance: AnyDecimal
    """Settle asset; above 0 of every open position."""
    mark_price: AnyDecimal
    """What it was counted at, quote units."""
    liquidation_price: AnyDecimal | None
    """Quote units; None where the venue says that no price liquidates it."""

    @property
    def is_usable(self) -> bool:
        """Whether every figure is one that an open position can have."""
        liquidation = self.liquidation_price
        return (
            _is_above_zero(self.maintenance)
            and _is_above_zero(self.mark_price)
            and (liquidation is None or _is_above_zero(liquidation))
        )


class WalletMargin(BaseModel):
    """A venue's own figures of all that one asset, or one account, carries: positions of other programs too."""

    model_config = ConfigDict(frozen=True)

    wallet: str
    asset: str | None
    """Which asset of the wallet it is of; None: of all its dollar coins together, in USD."""
    equity: AnyDecimal
    """Balance and unrealised profit, as far as the venue counts them as collateral."""
    maintenance: AnyDecimal

    @property
    def is_usable(self) -> bool:
        """Whether both are numbers, and the maintenance margin is not negative."""
        return self.equity.is_finite() and self.maintenance.is_finite() and self.maintenance >= 0


class MarginTiers:
    """A venue's maintenance margin of one instrument by the position's notional.

    maintenance = notional × ratio of its tier − deduction, which makes it continuous from tier to tier.
    """

    __slots__ = ("_deductions", "_floors", "_ratios")

    def __init__(self, rows: Sequence[tuple[float, float, float]]) -> None:
        """Take `(floor, ratio, deduction)` of every tier, in any order.

        Raises:
            ValueError: If they are no tiers: none, no floor of 0, floors twice, a ratio outside of 0 to 1, a negative
                or too large deduction, or a higher tier that asks for less.
        """
        ordered = sorted(rows)
        self._floors = [floor for floor, _, _ in ordered]
        self._ratios = [ratio for _, ratio, _ in ordered]
        self._deductions = [deduction for _, _, deduction in ordered]
        figures = [figure for row in ordered for figure in row]
        if not ordered or self._floors[0] != 0 or not all(map(isfinite, figures)):
            raise ValueError("no tier begins at 0, or one is not a number")
        if len(set(self._floors)) < len(self._floors) or self._ratios != sorted(self._ratios):
            raise ValueError("two tiers begin at the same notional, or a higher one asks for less")
        if not all(0 < ratio <= 1 for ratio in self._ratios):
            raise ValueError("a ratio is not above 0 and at most 1")
        if not all(0 <= away <= floor * ratio for floor, ratio, away in ordered):
            raise ValueError("a deduction is negative, or more than the tier asks for")

    def maintenance(self, notional: float) -> float:
        """Of a position worth `notional`, settle asset; NaN for NaN."""
        size = abs(notional)
        at = max(0, bisect_right(self._floors, size) - 1)
        return size * self._ratios[at] - self._deductions[at]


def _is_above_zero(figure: Decimal) -> bool:
    return figure.is_finite() and figure > 0
