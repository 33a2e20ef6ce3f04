"""How much stands at which price: the sizes and distances that fill a book."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from bot.domain.instrument import Instrument
from exchanges.simulator.market.draws import Draws
from exchanges.simulator.market.listings import Habits
from exchanges.simulator.market.scenarios import Scenario

_SPAN_BPS = 15.0
"""How far the levels of a fresh book reach."""
LEVELS = 250
_TOP_KEEP = 0.9
"""How much of the size at a best price a change leaves, in logarithms."""
_TOP_SPREAD = 1.1
_DEEP_SHARE = 0.05
_DEEP_GROWS_IN = 25.0
_DEEP_SPREAD = 1.2
_FRESH_LOG = -3.0
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
        )


class Shape:
    """Draws sizes and distances of one book."""

    def __init__(self, draws: Draws, grid: Grid) -> None:
        self._normal: Callable[[], float] = draws.normal
        self._exponential: Callable[[], float] = draws.exponential
        self._top = grid.top_lots
        self._top_shock = _TOP_SPREAD * math.sqrt(1 - _TOP_KEEP**2)
        self._trade = grid.trade_lots
        self._mean_gap = max(1.0, _SPAN_BPS * grid.bps_ticks / LEVELS)

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

    def gap(self, place: int) -> int:
        """Ticks from the `place`-th price to the next one behind it."""
        widening = 0.3 + 1.4 * min(1.0, place / LEVELS)
        return 1 + int(self._exponential() * (self._mean_gap - 1) * widening)
