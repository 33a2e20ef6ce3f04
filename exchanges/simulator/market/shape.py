"""How much stands at which price: the sizes and distances that fill a book."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from bot.domain.instrument import Instrument
from exchanges.simulator.market.draws import Draws
from exchanges.simulator.market.listings import Habits
from exchanges.simulator.market.scenarios import Scenario

_TOP_KEEP = 0.85
"""How much of the size at a best price a change leaves, in logarithms."""
_TOP_SPREAD = 0.95
_DEEP_SHARE = 0.13
_DEEP_GROWS_IN = 160.0
_DEEP_SPREAD = 1.2
_FRESH_LOG = -3.5
_TRADE_SPREAD = 2.2


@dataclass(frozen=True, slots=True)
class Grid:
    """What a listing's numbers mean in ticks and lots."""

    tick: float
    lot: float
    bps_ticks: float
    """Ticks in one bp of the first price."""
    top_lots: float
    trade_lots: float
    """Medians."""
    gap_ticks: float
    """Mean distance of two prices that hold something."""

    @classmethod
    def of(cls, instrument: Instrument, habits: Habits, scenario: Scenario, price: float) -> "Grid":
        """At the asset's first price."""
        tick, lot = float(instrument.tick_size), float(instrument.lot_size)
        lot_value = instrument.to_base(lot, price) * price
        return cls(
            tick=tick,
            lot=lot,
            bps_ticks=price / 1e4 / tick,
            top_lots=max(2.0, habits.top_notional / lot_value * scenario.depth),
            trade_lots=max(1.0, habits.trade_notional / lot_value),
            gap_ticks=max(1.0, price / 1e4 / tick / habits.levels_a_bp),
        )


class Shape:
    """Draws sizes and distances of one book."""

    def __init__(self, draws: Draws, grid: Grid) -> None:
        self._normal: Callable[[], float] = draws.normal
        self._exponential: Callable[[], float] = draws.exponential
        self._top = grid.top_lots
        self._top_shock = _TOP_SPREAD * math.sqrt(1 - _TOP_KEEP**2)
        self._trade = grid.trade_lots
        self._gap = grid.gap_ticks

    def resized(self, lots: int) -> int:
        """Another size for a best price that shows `lots`: near it, drawn towards the median, never the same."""
        size = math.log(max(1, lots) / self._top) * _TOP_KEEP + self._top_shock * self._normal()
        new = max(1, int(self._top * math.exp(size)))
        return new if new != lots else lots + 1

    def fresh(self) -> int:
        """At a price where the market has only just arrived."""
        return max(1, int(self._top * math.exp(_FRESH_LOG + self._normal())))

    def deep(self, place: int) -> int:
        """At the `place`-th price behind the best."""
        median = self._top * _DEEP_SHARE * (1 + place / _DEEP_GROWS_IN)
        return max(1, int(median * math.exp(_DEEP_SPREAD * self._normal())))

    def traded(self) -> int:
        """What a public trade asks for."""
        return max(1, int(self._trade * math.exp(_TRADE_SPREAD * self._normal())))

    def gap(self) -> int:
        """Ticks from one price to the next one behind it."""
        return 1 + int(self._exponential() * (self._gap - 0.5))

    def place_at(self, ticks: int) -> int:
        """About how many prices lie within a distance from the best."""
        return int(ticks / self._gap)
