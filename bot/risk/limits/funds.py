"""Whether the wallets bear it: what an order needs, and what is left until a liquidation."""

from dataclasses import dataclass
from math import inf

from bot.domain.margin import MarginSource
from bot.domain.order import Side
from bot.domain.route import TradeLeg
from bot.risk.limits.base import Refused, at_least, at_most, is_within, unknown
from bot.risk.limits.inputs import Portfolio
from bot.risk.margin import MarginAfter
from bot.risk.proposed import Proposal

FAR_BPS = 10_000.0
"""A margin that only doubling the price eats is not asked how long it lasts."""


@dataclass(frozen=True, slots=True)
class CoveredByBalance:
    """Both wallets must cover their leg before the first order is written, at the worst price that it may take.

    Two legs that are paid from one asset in one wallet have it once: spot and perpetual of one unified account. Through
    a chain the same amount goes on: only its first trade spends what is there already.
    """

    price_cap_bps: float = 0.0

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """What each leg spends from stock against what its wallet covers beyond what pairs have reserved."""
        route = proposal.route
        legs = route.opening[:1] if route.chain else route.opening
        taken: list[tuple[TradeLeg, float]] = []
        for leg in legs:
            price = proposal.price(leg)
            covered = portfolio.affordable_notional(leg.instrument, leg.side, price)
            # What a wallet pays in base, to sell spot, does not depend on the price.
            pays_base = leg.side is Side.SELL and not leg.instrument.is_perpetual
            needed = proposal.quantity * price * (1.0 if pays_base else 1.0 + self.price_cap_bps / 1e4)
            if covered is None:
                return unknown(f"balance {leg.instrument.feed}")
            for other, part in taken:
                if other.instrument.venue == leg.instrument.venue and portfolio.is_one_purse(other, leg):
                    covered *= 1.0 - part
            if not is_within(needed, covered):
                return at_most(f"balance {leg.instrument.feed}", needed, covered, leg.instrument.quote)
            taken.append((leg, needed / covered if covered else 1.0))
        return None


@dataclass(frozen=True, slots=True)
class MaxMarginRatio:
    """How much of a wallet's equity may be needed to keep its positions; at 1 the venue liquidates."""

    allowed: float

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Maintenance margin over equity, of each wallet, with the proposal filled."""
        wallets = portfolio.margin_after(proposal)
        if wallets is None:
            return unknown("margin_ratio")
        for after in wallets:
            if not is_within(after.ratio, self.allowed):
                return at_most(f"margin_ratio {after.wallet}", after.ratio, self.allowed, f"of equity{_mark(after)}")
        return None


@dataclass(frozen=True, slots=True)
class LiquidationDistance:
    """How far prices must be from a liquidation: a hedged pair dies on the side that has to pay."""

    needed_bps: float

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """The adverse move that liquidates each wallet, with the proposal filled."""
        wallets = portfolio.margin_after(proposal)
        if wallets is None:
            return unknown("liquidation_distance")
        for after in wallets:
            if not after.distance_bps >= self.needed_bps:
                limit = f"liquidation_distance {after.wallet}"
                return at_least(limit, after.distance_bps, self.needed_bps, f"bps{_mark(after)}")
        return None


@dataclass(frozen=True, slots=True)
class TimeToMarginCall:
    """Margin must last longer than fresh margin takes to arrive: the profit lies on the other venue."""

    top_up_s: float
    """Where nothing tells how long transfers take."""

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """The time in which one path in twenty eats each wallet's margin, against a transfer's."""
        wallets = portfolio.margin_after(proposal)
        if wallets is None:
            return unknown("margin_call")
        for after in wallets:
            if after.distance_bps >= FAR_BPS:
                continue
            told_s = portfolio.top_up_s(after.venue)
            needed_s = self.top_up_s if told_s is None else told_s
            lasts_s = after.lasts_s()
            if needed_s == inf and lasts_s is not None and lasts_s < inf:
                why = "s, and margin cannot arrive: every network is closed"
                return Refused(f"margin_call {after.wallet}", lasts_s, self.top_up_s, why)
            if not needed_s >= 0.0:
                return unknown(f"margin_call {after.wallet}")
            refused = at_least(f"margin_call {after.wallet}", lasts_s, needed_s, f"s{_mark(after)}")
            if refused is not None:
                return refused
        return None


def _mark(after: MarginAfter) -> str:
    """What a person has to know of a figure that rests on a setting."""
    return " (maintenance margin ASSUMED)" if after.source is MarginSource.ASSUMED else ""
