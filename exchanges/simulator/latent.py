"""A price that does not exist, for markets that this project makes: seeded, on a grid of time.

Shapes after a measured window of BTC perpetuals (busy, some six minutes): volatility near 50 % a year that comes in
clusters; between two books a mean-reverting basis of two components, half-lives about 0.7 s and 15 s, standard
deviation about 0.6 bps.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

STEP_S = 0.02
_SECONDS_A_YEAR = 365 * 86_400
_YEARLY_VOLATILITY = 0.5
_VOLATILITY_HALF_LIFE_S = 20.0
_VOLATILITY_SPREAD = 0.6
"""Standard deviation of the logarithm of volatility."""


class Gaussian(Protocol):
    """Draws normal numbers, as `random.Random` does."""

    def gauss(self, mu: float, sigma: float, /) -> float:
        """A number of this mean and standard deviation."""


class MeanReverting:
    """An Ornstein-Uhlenbeck value around 0, advanced by one step of the grid at a time."""

    def __init__(self, random: Gaussian, deviation: float, half_life_s: float) -> None:
        self._random = random
        self._keep = math.pow(0.5, STEP_S / half_life_s)
        self._shock = deviation * math.sqrt(1 - self._keep**2)
        self.value = random.gauss(0.0, deviation)

    def step(self) -> float:
        """The value one step later, in the unit of `deviation`."""
        self.value = self.value * self._keep + self._random.gauss(0.0, self._shock)
        return self.value


@dataclass(frozen=True, slots=True)
class Dislocation:
    """One book leaves the other for a while: a fast onset, then an exponential way back."""

    start_s: float
    peak_bps: float
    """Positive: the book trades above its fair price."""
    onset_s: float
    half_life_s: float

    def bps_at(self, time_s: float) -> float:
        """How far it is away, in bps of price."""
        since_s = time_s - self.start_s
        if since_s <= 0:
            return 0.0
        if since_s < self.onset_s:
            return self.peak_bps * since_s / self.onset_s
        return self.peak_bps * math.pow(0.5, (since_s - self.onset_s) / self.half_life_s)


def latent_path(random: Random, first_price: float, steps: int) -> tuple[list[float], list[float]]:
    """Prices on the grid, and how excited the market is at each step (1 on average: the volatility's multiple)."""
    per_step = _YEARLY_VOLATILITY * math.sqrt(STEP_S / _SECONDS_A_YEAR)
    heat = MeanReverting(random, _VOLATILITY_SPREAD, _VOLATILITY_HALF_LIFE_S)
    price, prices, heats = first_price, [], []
    for _ in range(steps):
        multiple = math.exp(heat.step() - _VOLATILITY_SPREAD**2 / 2)
        price *= 1.0 + random.gauss(0.0, per_step * multiple)
        prices.append(price)
        heats.append(multiple)
    return prices, heats


def fair_path(
    random: Random, latent: Sequence[float], lag_s: float, dislocations: Sequence[Dislocation]
) -> list[float]:
    """One book's own fair price on the grid: the latent price, late, with a basis, and dislocated now and then."""
    fast = MeanReverting(random, deviation=0.3, half_life_s=0.7)
    slow = MeanReverting(random, deviation=0.3, half_life_s=15.0)
    lag = round(lag_s / STEP_S)
    fair = []
    for step in range(len(latent)):
        away_bps = fast.step() + slow.step()
        away_bps += sum(dislocation.bps_at(step * STEP_S) for dislocation in dislocations)
        fair.append(latent[max(0, step - lag)] * (1.0 + away_bps / 1e4))
    return fair
