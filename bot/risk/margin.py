"""How a margin wallet stands: its equity against what its positions need, and how far prices are from a liquidation.

For one wallet and one settle asset, everything in units of that asset:

    equity        E = cash + Σ unrealised profit
    maintenance   M = Σ over instruments of what the venue wants for the notional (`bot.risk.maintenance`)
    margin ratio  M / E; the venue liquidates at 1
    exposure      A = Σ over assets |Σ signed notional|: what moves against the wallet if everything does at once
    distance      x with E − A x = M (1 + x), so x = (E − M) / (A + M)

Sources: Binance, "How to Calculate Liquidation Price of USDⓈ-M Futures Contracts" (cross margin: wallet balance +
unrealised profit = maintenance margin), and Bybit, "Liquidation Price Calculation under UTA". The distance takes the
maintenance ratio as it is now, a higher tier on the way left out; it is that of a short, whose
maintenance grows on the way; a long's is a little longer. For an inverse contract a falling price makes each unit of
it cost more of the asset that the wallet holds: E − A x / (1 − x) = M / (1 − x), so x = (E − M) / (E + A).
"""

from collections.abc import Callable, Sequence
from math import inf
from typing import NamedTuple

from bot.domain.margin import MarginSource

TOUCH_Z = 1.96
"""A driftless price touches a level d within t with probability 2 (1 − Φ(d / σ√t)), by the reflection principle
(Karatzas and Shreve, Brownian Motion and Stochastic Calculus, 2.6): 5 % at d = 1.96 σ√t."""


_NAN = float("nan")


class MarginPosition(NamedTuple):
    """One derivative position of a wallet, or what a proposal adds to it; in units of the settle asset."""

    instrument: str
    base: str
    notional: float
    """Signed, + is long, at the price now."""
    unrealised: float
    is_inverse: bool = False


class MarginAfter(NamedTuple):
    """A wallet with a proposal filled."""

    wallet: str
    venue: str
    ratio: float
    """Maintenance margin over equity; NaN where there is no equity."""
    distance_bps: float
    """Adverse move of all prices that liquidates it; infinite where nothing moves against it."""
    volatility_bps_per_sqrt_s: float | None
    """Of what the proposal trades there."""
    source: MarginSource = MarginSource.VENUE
    """What the maintenance margin rests on: the least sure of its parts."""

    def lasts_s(self) -> float | None:
        """How long the margin lasts in all but one path of twenty; None while the volatility is not known."""
        sigma = self.volatility_bps_per_sqrt_s
        if sigma is None or not 0.0 <= sigma < inf:
            return None
        if sigma == 0.0 or self.distance_bps <= 0.0:
            return 0.0 if self.distance_bps <= 0.0 else inf
        return (self.distance_bps / (TOUCH_Z * sigma)) ** 2


def margin_figures(
    cash: float, positions: Sequence[MarginPosition], needed: Callable[[str, float], float], beside: float = 0.0
) -> tuple[float, float]:
    """Margin ratio, and distance to liquidation in bps, of one wallet.

    Args:
        cash: Of the settle asset, without unrealised profit.
        positions: All that the wallet carries; those of one instrument are added up, as venues do in one-way mode.
        needed: What must stay covered, of an instrument's id and its notional.
        beside: The same of positions that are not among them.

    Returns:
        NaN twice where a figure is no number; an infinite ratio and a distance of 0 where nothing is left to cover
        the positions with.
    """
    if len(positions) == 1:  # by far the most; sums of one need no tables
        ((instrument, _, notional, unrealised, is_inverse),) = positions
        maintenance = needed(instrument, notional) + beside
        return _figures(cash + unrealised, maintenance, abs(notional), is_inverse=is_inverse)
    equity = cash
    by_instrument: dict[str, float] = {}
    by_base: dict[str, float] = {}
    is_inverse = False
    for instrument, base, notional, unrealised, inverse in positions:
        equity += unrealised
        by_instrument[instrument] = by_instrument.get(instrument, 0.0) + notional
        by_base[base] = by_base.get(base, 0.0) + notional
        is_inverse = is_inverse or inverse
    maintenance = beside + sum(needed(instrument, notional) for instrument, notional in by_instrument.items())
    return _figures(equity, maintenance, sum(map(abs, by_base.values())), is_inverse=is_inverse)


def _figures(equity: float, maintenance: float, exposure: float, *, is_inverse: bool) -> tuple[float, float]:
    if not maintenance > 0.0:
        return (0.0, inf) if maintenance == 0.0 and -inf < equity < inf else (_NAN, _NAN)
    if not equity > 0.0:
        return (inf, 0.0) if equity <= 0.0 else (_NAN, _NAN)
    beyond = equity if is_inverse else maintenance
    return maintenance / equity, max(0.0, (equity - maintenance) / (exposure + beyond)) * 1e4
