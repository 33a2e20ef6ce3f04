"""Whether the proposal itself makes sense: cheap, and first."""

from dataclasses import dataclass
from math import inf, nan

from bot.domain.order import Side
from bot.domain.route import Route
from bot.risk.limits.base import Refused, at_most, unknown
from bot.risk.limits.inputs import Portfolio
from bot.risk.proposed import Proposal

_LEGS = 2


@dataclass(frozen=True, slots=True)
class ExecutableRoute:
    """Only what the executor can do, and is allowed to, leaves: other routes are priced and looked at."""

    makers: bool = True
    """Whether routes with post-only legs are traded."""

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """What the executor cannot do of it."""
        route = proposal.route
        found = route.not_executable
        if found is None and not self.makers and not route.is_round_trip:
            waiting = sum(leg.is_maker for leg in route.trades)
            found = (float(waiting), 0.0, "maker trades") if waiting else None
        return None if found is None else Refused("execution", *found)


@dataclass(frozen=True, slots=True)
class OppositeSides:
    """One leg buys what the other sells, elsewhere: two legs on one side, or of two coins, are a bet."""

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """What does not fit together: sides, base assets, feeds."""
        opening = proposal.route.opening
        if proposal.route.chain:
            return self._around(proposal.route)
        if proposal.route.is_round_trip:
            return None  # it is a bet, for as long as it is held: what it may hold is the exposure caps' affair
        if len(opening) != _LEGS:
            return Refused("leg_sides", float(len(opening)), float(_LEGS), "trades that open")
        one, other = opening
        if one.side is other.side:
            return Refused("leg_sides", 1.0, 0.0, f"legs that {one.side} as the first does")
        if one.instrument.base != other.instrument.base:
            return Refused("leg_sides", 1.0, 0.0, "legs of another asset")
        if (one.instrument.venue, one.instrument.segment) == (other.instrument.venue, other.instrument.segment):
            return Refused("leg_sides", 1.0, 0.0, "legs on the feed of the first")
        return None

    @staticmethod
    def _around(route: Route) -> Refused | None:
        """A chain ends in the asset that it began with, and passes no trade twice."""
        first, last = route.priced[0], route.priced[-1]
        if first.spends != last.brings:
            return Refused("leg_sides", 1.0, 0.0, f"chains that end in another asset than {first.spends}")
        if len(route.instruments) != len(route.trades):
            return Refused("leg_sides", float(len(route.trades)), float(len(route.instruments)), "trades")
        return None


@dataclass(frozen=True, slots=True)
class UsableNumbers:
    """Quantity and prices must be numbers above zero: NaN passes every naive comparison."""

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """The first figure that is none."""
        if not 0.0 < proposal.quantity < inf:
            return unknown("quantity")
        if not (0.0 < proposal.buy_price < inf and 0.0 < proposal.sell_price < inf):
            return unknown("price")
        route = proposal.route
        if route.chain and not (
            len(proposal.prices) == len(route.priced) and all(0.0 < price < inf for price in proposal.prices)
        ):
            return unknown("price")
        if not (len(proposal.amounts) == len(route.sent) and all(0.0 < amount < inf for amount in proposal.amounts)):
            return unknown("amount")
        return None


@dataclass(frozen=True, slots=True)
class MaxPlausibleEdge:
    """An edge too good to be true is a fault of the data: a spike, another coin, a contract of another size."""

    allowed_bps: float

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """The gross edge, and what the two prices say, against the most that is believed; in either direction."""
        observed = abs(proposal.gross_edge_bps)
        route = proposal.route
        if route.chain:
            told = abs(_ratio(proposal) - 1.0) * 1e4
            observed = told if told > observed else observed
        elif route.buy.quote == route.sell.quote and proposal.buy_price:
            # Prices in one currency must agree whatever edge is claimed; max() would let a NaN claim pass.
            told = abs(proposal.sell_price / proposal.buy_price - 1.0) * 1e4
            observed = told if told > observed else observed
        return at_most("plausible_edge", observed, self.allowed_bps, "bps")


def _ratio(proposal: Proposal) -> float:
    """What the prices of a chain make of one unit that goes round, fees aside; NaN where one is none."""
    ratio = 1.0
    for leg in proposal.route.priced:
        price = proposal.price(leg)
        ratio = ratio * price if leg.side is Side.SELL else ratio / price if price else nan
    return ratio
