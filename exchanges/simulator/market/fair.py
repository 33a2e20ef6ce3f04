"""Where a price belongs: one price per asset, and each book's own fair price after it, on a grid of `STEP_S`."""

import math
from collections import deque
from typing import Protocol

from exchanges.simulator.latent import STEP_S, Dislocation, MeanReverting
from exchanges.simulator.market.draws import Draws
from exchanges.simulator.market.listings import Habits
from exchanges.simulator.market.scenarios import Scenario, Stall, Stray

STEP_NS = round(STEP_S * 1e9)
_SECONDS_A_YEAR = 365 * 86_400
_HEAT_SPREAD = 0.6
_HEAT_HALF_LIFE_S = 20.0
_LONGEST_LAG_S = 8.0
_FAST_BPS, _FAST_HALF_LIFE_S = 0.2, 0.7
_SLOW_BPS, _SLOW_HALF_LIFE_S = 0.15, 15.0
_LEVEL_BPS, _LEVEL_HALF_LIFE_S = 0.4, 900.0
_PRESSURE_HALF_LIFE_S = 10.0
_OVER_BPS = 0.02
"""A dislocation below this is over."""


class AssetPrice:
    """The price that every book of one asset follows: clusters of volatility, jumps, a weak pull to where it began."""

    def __init__(self, draws: Draws, scenario: Scenario, first_price: float) -> None:
        self._draws = draws
        self._scenario = scenario
        self._first = first_price
        self._heat = MeanReverting(draws, _HEAT_SPREAD, _HEAT_HALF_LIFE_S)
        self._a_step = scenario.yearly_volatility * math.sqrt(STEP_S / _SECONDS_A_YEAR)
        self._jump_chance = scenario.jumps_an_hour * STEP_S / 3_600
        self._pull = math.log(2) * STEP_S / scenario.pull_half_life_s
        self.heat = 1.0
        """How excited the market is: the volatility's multiple, 1 on average."""
        self.history = deque([first_price], maxlen=round(_LONGEST_LAG_S / STEP_S))
        """Prices of the last steps, newest last."""

    def step(self) -> None:
        """Move to the next step of the grid."""
        self.heat = math.exp(self._heat.step() - _HEAT_SPREAD**2 / 2)
        price = self.history[-1]
        move = self._a_step * self.heat * self._draws.normal()
        move += self._pull * (self._first - price) / price
        if self._draws.uniform() < self._jump_chance:
            move += self._jump()
        self.history.append(price * (1.0 + move))

    def _jump(self) -> float:
        down = self._draws.uniform() < self._scenario.down_share
        size = abs(self._draws.normal()) * self._scenario.jump_bps / 1e4
        return -size if down else size


class CrossPrice:
    """One asset's price in another: what both are worth in the same currency, and nothing of its own."""

    def __init__(self, base: "AssetPrice", quote: "AssetPrice") -> None:
        self._base = base
        self._quote = quote
        self.heat = 1.0
        """The mean of both."""
        self.history = deque([base.history[-1] / quote.history[-1]], maxlen=base.history.maxlen)
        """Prices of the last steps, newest last."""

    def step(self) -> None:
        """Follow both, which have stepped already."""
        self.heat = (self._base.heat + self._quote.heat) / 2
        self.history.append(self._base.history[-1] / self._quote.history[-1])


class FollowedPrice(Protocol):
    """What a book follows."""

    heat: float
    history: deque[float]

    def step(self) -> None:
        """Move to the next step of the grid."""


class FairPrice:
    """One book's own: the asset's price, late, with a basis of two components, its level, and what pushes it away."""

    def __init__(self, draws: Draws, asset: FollowedPrice, habits: Habits, stall: Stall | None) -> None:
        self._asset = asset
        self._fast = MeanReverting(draws, _FAST_BPS, _FAST_HALF_LIFE_S)
        self._slow = MeanReverting(draws, _SLOW_BPS, _SLOW_HALF_LIFE_S)
        self._level = MeanReverting(draws, _LEVEL_BPS if habits.level_bps else 0.0, _LEVEL_HALF_LIFE_S)
        self._level_bps = habits.level_bps
        self._usual_lag = round(habits.lag_s / STEP_S)
        self._lag = self._usual_lag
        self._stall = stall
        self._keep_pressure = math.pow(0.5, STEP_S / _PRESSURE_HALF_LIFE_S)
        self._pressure_bps = 0.0
        self._strays: list[Dislocation] = []
        self._seconds = 0.0
        self.price = asset.history[-1] * (1 + self._level_bps / 1e4)

    def push(self, bps: float) -> None:
        """Somebody traded through the book; it takes a while to come back."""
        self._pressure_bps += bps

    def stray(self, dislocation: Dislocation) -> None:
        """Leave the fair price for a while."""
        self._strays.append(dislocation)

    def step(self) -> None:
        """Follow the asset to its newest step."""
        self._seconds += STEP_S
        if self._stall is not None:
            self._lag = self._stalled_lag(self._stall)
        self._pressure_bps *= self._keep_pressure
        away_bps = self._level_bps + self._level.step() + self._fast.step() + self._slow.step() + self._pressure_bps
        if self._strays:
            away_bps += self._strayed_bps()
        history = self._asset.history
        lag = min(self._lag, len(history) - 1)
        self.price = history[-1 - lag] * (1.0 + away_bps / 1e4)

    def _stalled_lag(self, stall: Stall) -> int:
        into_s = self._seconds % stall.every_s
        if stall.every_s - into_s <= stall.lasts_s:
            return min(self._lag + 1, round(stall.most_s / STEP_S))
        # It catches up ten times as fast as it fell behind.
        return max(self._lag - 10, self._usual_lag)

    def _strayed_bps(self) -> float:
        now = self._seconds
        away_bps = [one.bps_at(now) for one in self._strays]
        self._strays = [
            one
            for one, bps in zip(self._strays, away_bps, strict=True)
            if abs(bps) > _OVER_BPS or now < one.start_s + one.onset_s
        ]
        return sum(away_bps)


class StrayPlan:
    """When and where an asset's perpetuals, or a cross, are dislocated."""

    def __init__(self, draws: Draws, stray: Stray, books: list[FairPrice]) -> None:
        self._draws = draws
        self._stray = stray
        self._books = books
        self._cell = -1

    def step(self, seconds: float) -> None:
        """Plan the dislocation of each span of time when it begins."""
        cell = int(seconds / self._stray.every_s)
        if cell == self._cell or not self._books:
            return
        self._cell = cell
        draws = self._draws
        start_s = (cell + draws.between(0.05, 0.85)) * self._stray.every_s
        peak_bps = draws.between(*self._stray.peak_bps) * (-1 if draws.uniform() < 0.5 else 1)
        half_life_s = draws.between(*self._stray.half_life_s)
        book = self._books[int(draws.uniform() * len(self._books))]
        book.stray(Dislocation(start_s, peak_bps, draws.between(0.1, 0.3), half_life_s))
