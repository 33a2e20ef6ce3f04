"""How many pairs there may be, and where."""

from dataclasses import dataclass

from bot.risk.limits.base import Refused, at_most
from bot.risk.limits.inputs import Portfolio
from bot.risk.proposed import Proposal


@dataclass(frozen=True, slots=True)
class OnePairPerRoute:
    """No new pair while one on the same two instruments is unresolved; the mirrored one would trade against it."""

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Pairs of this route, or its mirror, that are not flat."""
        return at_most("pair_on_route", float(portfolio.busy(proposal.route)), 0.0, "pairs")


@dataclass(frozen=True, slots=True)
class NothingInFlight:
    """No new orders on an instrument where a pair is being opened or closed: one quote is not for two pairs."""

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Pairs in transition on each leg's instrument."""
        for leg in proposal.route.committed:
            refused = at_most("in_flight", portfolio.in_flight(leg.instrument), 0.0, "pairs")
            if refused is not None:
                return refused
        return None


@dataclass(frozen=True, slots=True)
class MaxOpenPairs:
    """How many pairs may be open at once."""

    allowed: int

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Open pairs with this one."""
        return at_most("open_pairs", portfolio.open_pairs() + 1, self.allowed, "pairs")
