"""Chains: how much may be on its way, and whether it may travel between venues at all."""

from dataclasses import dataclass

from bot.domain.legs import TransferLeg
from bot.risk.limits.base import Refused, at_most, is_within
from bot.risk.limits.inputs import Portfolio
from bot.risk.proposed import Proposal


@dataclass(frozen=True, slots=True)
class MaxInFlight:
    """How much may be on its way through chains at once: nothing hedges it until it is home."""

    allowed: float

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Every chain that is not home, with this one."""
        if not proposal.route.chain:
            return None
        held = portfolio.in_flight_notional()
        total = None if held is None or held < 0.0 else held + proposal.notional
        return at_most("in_flight_notional", total, self.allowed, proposal.route.buy.quote)


class OneTransfer:
    """Two venues between which something travels are sent nothing more: a network that is late is late for all."""

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Transfers without an end between the two venues of each of the chain's, in either direction."""
        for leg in proposal.route.sent:
            under_way = portfolio.transfers_under_way(leg.from_venue, leg.to_venue)
            if not is_within(under_way, 0):
                limit = f"transfer_under_way {leg.from_venue} {leg.to_venue}"
                return at_most(limit, under_way, 0, "transfers")
        return None


class TransferAllowed:
    """Only what this run may send leaves: by a carrier, to an address of the allow-list, over an open network."""

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Each of the chain's transfers."""
        for leg, amount in zip(proposal.route.sent, proposal.amounts, strict=True):
            why = portfolio.transfer_refused(leg, amount)
            if why is not None:
                return Refused(transfer_limit(leg), 0.0, 1.0, why)
        return None


def transfer_limit(leg: TransferLeg) -> str:
    """What the limit on one transfer is called: `transfer BTC binance to bybit`."""
    return f"transfer {leg.asset} {leg.from_venue} to {leg.to_venue}"
