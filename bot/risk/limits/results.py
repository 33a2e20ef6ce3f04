"""Whether it goes as it should: losses, and what pairs earn against what was expected."""

from dataclasses import dataclass
from math import inf

from bot.risk.limits.base import Refused, at_most
from bot.risk.limits.inputs import Portfolio
from bot.risk.proposed import Proposal


def _loss(result: float | None) -> float | None:
    """A loss as a positive figure, a profit as no loss; NaN stays what it is."""
    return None if result is None else 0.0 if result > 0.0 else -result


@dataclass(frozen=True, slots=True)
class MaxDailyLoss:
    """Nothing new on a day that has lost enough; reaching it halts besides (`RiskGate.watch_loss`)."""

    allowed: float

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Realised loss since midnight UTC."""
        loss = _loss(portfolio.realised_today(proposal.ts_ns))
        return at_most("daily_loss", loss, self.allowed, proposal.route.buy.quote)


@dataclass(frozen=True, slots=True)
class MaxCumulativeLoss:
    """Nothing new in a run that has lost enough over all its days; reaching it halts besides."""

    allowed: float

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Realised loss of the run."""
        loss = _loss(portfolio.realised_total())
        return at_most("cumulative_loss", loss, self.allowed, proposal.route.buy.quote)


@dataclass(frozen=True, slots=True)
class MaxDrift:
    """A model that promises more than the fills keep is wrong, whatever it promises next."""

    allowed_bps: float
    pairs: int
    """So many pairs must have ended before their mean says anything."""

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Mean of expected less realised edge over the newest pairs; having earned more than expected is fine."""
        mean_bps, pairs = portfolio.drift()
        if 0 <= pairs < self.pairs:
            return None
        # Better than expected is no drift; −∞ is no figure, and falls through.
        return at_most("drift", 0.0 if -inf < mean_bps < 0.0 else mean_bps, self.allowed_bps, "bps")
