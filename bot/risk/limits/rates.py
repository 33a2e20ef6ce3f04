"""How fast orders may leave: what a runaway strategy meets first."""

from dataclasses import dataclass

from bot.risk.limits.base import Refused, at_most
from bot.risk.limits.inputs import Portfolio
from bot.risk.proposed import Proposal


def _with(sent: int | None, proposal: Proposal) -> int | None:
    return None if sent is None or sent < 0 else sent + len(proposal.route.committed)


@dataclass(frozen=True, slots=True)
class MaxOrdersPerSecond:
    """Over all venues."""

    allowed: int

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Orders of the last second with this pair's."""
        orders = _with(portfolio.orders_last_second(proposal.ts_ns), proposal)
        return at_most("orders_per_second", orders, self.allowed, "orders")


@dataclass(frozen=True, slots=True)
class MaxOrdersPerMinute:
    """Over all venues."""

    allowed: int

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Orders of the last minute with this pair's."""
        orders = _with(portfolio.orders_last_minute(proposal.ts_ns), proposal)
        return at_most("orders_per_minute", orders, self.allowed, "orders")
