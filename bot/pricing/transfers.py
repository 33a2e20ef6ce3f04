"""How long a transfer takes, as a distribution; what it costs; and what the price may do meanwhile.

A transfer's time T has three parts: the sending venue looks at the withdrawal, the chain confirms it, the receiving
venue credits it. By the **model**

    T  =  chain  +  processing
    chain       k confirmations of b seconds. Blocks of a proof of work come like the events of a Poisson process, so
                that k of them take a Gamma(k, b) = Erlang(k, 1/b) time; elsewhere they come by the clock: k·b.
    processing  of both venues, exponential with its mean

and what this account's own past transfers over the same network took replaces the model as they become many. With n of
them and a weight w of the model, the distribution is the mean of the Dirichlet process's posterior,

    F(t)  =  (w · F_model(t) + #{past ≤ t}) / (w + n)

Sources: Nakamoto (2008), "Bitcoin: A Peer-to-Peer Electronic Cash System", §11 (blocks as a Poisson process);
Ferguson (1973), "A Bayesian Analysis of Some Nonparametric Problems" (the posterior mean); Hautsch, Scheuch, Voigt
(2018), "Limits to Arbitrage in Markets with Stochastic Settlement Latency" (a random settlement time as the risk).
"""

from bisect import bisect_right
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from math import exp, isfinite, sqrt

from bot.domain.network import AssetNetwork, Chain

_STEPS = 800
"""Of Simpson's rule: even. The error is below a millionth."""
_LONGEST = 40.0
"""An exponential time is never longer than so many of its means: e⁻⁴⁰."""
_BISECTIONS = 60


@dataclass(frozen=True)
class TransferTime:
    """Distribution of one transfer's time, seconds, from the asking to the crediting."""

    confirmations: int
    block_s: float
    is_random: bool
    """Whether blocks come at random (proof of work)."""
    processing_s: float
    """Mean of what both venues take."""
    past: tuple[float, ...] = ()
    """What past transfers took, ascending."""
    model_weight: float = 5.0
    """How many past transfers the model is worth; above 0."""

    def __post_init__(self) -> None:
        """Refuse what is no distribution.

        Raises:
            ValueError: If a figure is not finite or out of its range.
        """
        figures = (self.block_s, self.processing_s, self.model_weight, *self.past)
        if not all(isfinite(one) and one >= 0 for one in figures) or self.confirmations < 0 or not self.model_weight:
            raise ValueError("a transfer's time is made of figures that are finite and not below zero")

    @cached_property
    def mean_s(self) -> float:
        """Expected time."""
        model = self.confirmations * self.block_s + self.processing_s
        return (self.model_weight * model + sum(self.past)) / (self.model_weight + len(self.past))

    @cached_property
    def p50_s(self) -> float:
        """Half of all transfers take no longer."""
        return self.quantile(0.5)

    @cached_property
    def p95_s(self) -> float:
        """19 of 20 transfers take no longer."""
        return self.quantile(0.95)

    def cdf(self, seconds: float) -> float:
        """Probability that a transfer is over after `seconds`."""
        over = bisect_right(self.past, seconds)
        return (self.model_weight * self._model(seconds) + over) / (self.model_weight + len(self.past))

    def quantile(self, part: float) -> float:
        """Seconds after which `part` of all transfers is over.

        Raises:
            ValueError: If `part` is not above 0 and below 1.
        """
        if not 0 < part < 1:
            raise ValueError("a quantile is asked for between 0 and 1")
        low, high = 0.0, max(1.0, self.mean_s)
        while self.cdf(high) < part:
            low, high = high, 2 * high
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.cdf(middle) < part else (low, middle)
        return high

    def _model(self, seconds: float) -> float:
        if seconds < 0:
            return 0.0
        if not self.is_random or not self.confirmations or not self.block_s:
            return _exponential(seconds - self.confirmations * self.block_s, self.processing_s)
        if not self.processing_s:
            return _erlang(seconds, self.confirmations, self.block_s)
        return _erlang_and_exponential(seconds, self.confirmations, self.block_s, self.processing_s)


def _exponential(seconds: float, mean: float) -> float:
    if seconds < 0:
        return 0.0
    return 1.0 - exp(-seconds / mean) if mean else 1.0


def _erlang(seconds: float, count: int, mean: float) -> float:
    """Probability that `count` events with `mean` seconds between them have happened: 1 − Σ exp(−x)·xⁱ/i!."""
    if seconds <= 0:
        return 0.0
    x = seconds / mean
    term = fewer = 1.0
    for i in range(1, count):
        term *= x / i
        fewer += term
    return max(0.0, 1.0 - exp(-x) * fewer) if x < 700 else 1.0


def _erlang_and_exponential(seconds: float, count: int, block_s: float, mean: float) -> float:
    """Probability that `count` blocks and then an exponential time have passed."""
    if 2 * block_s < mean:
        # ∫ by parts: the Erlang part, less what still waits; the factor is below 2 for every block.
        slower = block_s * mean / (mean - block_s)
        waits = exp(-seconds / mean) * (mean / (mean - block_s)) ** count * _erlang(seconds, count, slower)
        return max(0.0, _erlang(seconds, count, block_s) - waits)
    # Else by Simpson's rule over the exponential time, in units of its mean.
    most = min(seconds / mean, _LONGEST)
    width = most / _STEPS
    total = 0.0
    for step in range(_STEPS + 1):
        weight = 1 if step in (0, _STEPS) else 4 if step % 2 else 2
        total += weight * exp(-step * width) * _erlang(seconds - step * width * mean, count, block_s)
    return min(1.0, total * width / 3)


def transfer_time(
    chain: Chain,
    confirmations: int,
    processing_s: float,
    past: tuple[float, ...] = (),
    model_weight: float = 5.0,
) -> TransferTime:
    """The time of a transfer over `chain` that is credited after `confirmations` blocks.

    Args:
        chain: Tells the time between blocks, and whether it is random.
        confirmations: Of the receiving venue.
        processing_s: Mean of what both venues take beside the chain, seconds.
        past: What this account's transfers over this network took, seconds, in any order.
        model_weight: How many of them the model is worth.
    """
    return TransferTime(
        confirmations, chain.block_s, chain.is_proof_of_work, processing_s, tuple(sorted(past)), model_weight
    )


def price_sd_bps(volatility_bps_per_sqrt_s: float, mean_s: float) -> float:
    """Standard deviation of what an unhedged price does over a random time of that mean, bps.

    The log price X is a Brownian motion without drift and independent of the time T, so that Var[X_T] = σ²·E[T] by the
    law of total variance.

    Args:
        volatility_bps_per_sqrt_s: σ: standard deviation of the log return in one second, bps.
        mean_s: E[T], seconds.

    Raises:
        ValueError: If a figure is not finite or below zero.
    """
    if not all(isfinite(one) and one >= 0 for one in (volatility_bps_per_sqrt_s, mean_s)):
        raise ValueError("volatility and time are finite and not below zero")
    return volatility_bps_per_sqrt_s * sqrt(mean_s)


def sendable(source: AssetNetwork, target: AssetNetwork) -> tuple[Decimal, Decimal | None]:
    """The least and the most that can be sent at once over a network; None: no most. In units of the asset.

    An amount is what leaves the wallet with the fee in it. Venues differ in whether their minimum counts the fee; the
    stricter reading holds: what arrives is neither below it, nor below what the receiving venue credits.

    Args:
        source: The network at the sending venue, with withdrawals open.
        target: The same at the receiving venue.
    """
    assert source.withdraw_fee is not None, "a network that withdrawals are offered on tells its fee"
    arrives = max(source.min_withdraw or Decimal(0), target.min_deposit)
    # Of the least amount s itself: s − fee(s) arrives, and the fee's ratio is of s.
    return (arrives + source.withdraw_fee) / (1 - source.withdraw_fee_ratio), source.max_withdraw
