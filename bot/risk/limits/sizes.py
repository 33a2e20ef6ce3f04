"""How much may be held: per order, instrument, venue and asset, and unhedged. Notionals in quote units."""

from dataclasses import dataclass
from math import inf

from bot.risk.limits.base import Refused, at_most, is_within, unknown
from bot.risk.limits.inputs import Portfolio
from bot.risk.proposed import Proposal

_LEAST_WORTH, _MOST_WORTH = 0.5, 2.0
"""Of a currency that caps may be counted in: euros and pounds are near enough to dollars, coins are not."""


def _with(held: float | None, added: float) -> float | None:
    return None if held is None or held < 0.0 else held + added


@dataclass(frozen=True, slots=True)
class NotionalUnit:
    """Every cap is a number of quote units: of a currency that is worth thousands of dollars none would hold.

    What a chain loses is counted in what it begins with: of a coin no loss would reach its limit.
    """

    pegged: tuple[str, ...]
    """Each is worth about what the caps are meant in."""

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """What the first trade's currency is worth, and what it spends of a chain."""
        route = proposal.route
        refused = self._of(route.buy.quote, portfolio)
        return self._of(route.priced[0].spends, portfolio) if refused is None and route.chain else refused

    def _of(self, currency: str, portfolio: Portfolio) -> Refused | None:
        """In the first of the pegged that a watched market prices it in."""
        if currency in self.pegged:
            return None
        rates = (portfolio.currency_rate(currency, other) for other in self.pegged)
        rate = next((found for found in rates if found is not None), None)
        limit = f"notional_unit {currency}"
        if rate is None or not _LEAST_WORTH <= rate < inf:
            return unknown(limit)
        return at_most(limit, rate, _MOST_WORTH, f"dollars a {currency}")


@dataclass(frozen=True, slots=True)
class MaxOrderNotional:
    """How large one leg may be."""

    allowed: float

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """The larger leg's notional."""
        return at_most("order_notional", proposal.notional, self.allowed, proposal.route.buy.quote)


@dataclass(frozen=True, slots=True)
class MaxPositionNotional:
    """How much of one instrument may be held."""

    allowed: float

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Each leg's instrument with this order added; a chain is all in one of them at a time."""
        notional = proposal.notional
        for leg in proposal.route.committed:
            held = _with(portfolio.position_notional(leg.instrument), notional)
            if not is_within(held, self.allowed):
                return at_most("position_notional", held, self.allowed, leg.instrument.quote)
        return None


@dataclass(frozen=True, slots=True)
class MaxVenueNotional:
    """How much may be held at one venue: it may stop paying out, or go."""

    allowed: float

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Every leg at the venue, with the proposal's legs there."""
        legs, notional = proposal.route.committed, proposal.notional
        for leg in legs:
            venue = leg.instrument.venue
            there = 0
            for other in legs:
                there += other.instrument.venue == venue
            there = 1 if proposal.route.chain else there  # one amount, wherever it is
            held = _with(portfolio.venue_notional(venue), notional * there)
            if not is_within(held, self.allowed):
                return at_most(f"venue_notional {venue}", held, self.allowed, leg.instrument.quote)
        return None


@dataclass(frozen=True, slots=True)
class MaxAssetNotional:
    """How much may be held in one asset, both sides of every pair: a fork or a halt hits all of it."""

    allowed: float

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Every leg in the asset, with the proposal's."""
        route = proposal.route
        legs = 1 if route.chain else len(route.opening)
        for asset in route.passed or (route.buy.base,):
            held = _with(portfolio.asset_notional(asset), proposal.notional * legs)
            if not is_within(held, self.allowed):
                return at_most(f"asset_notional {asset}", held, self.allowed, route.buy.quote)
        return None


@dataclass(frozen=True, slots=True)
class MaxNetExposure:
    """How much of an asset may stand unhedged if this pair's first leg is filled and its second is not.

    A chain's amount is unhedged in every asset that it passes.
    """

    allowed: float
    price_cap_bps: float = 0.0

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """What may stand unhedged already, and one whole leg at the worst price that it may take."""
        alone = proposal.notional * (1.0 + self.price_cap_bps / 1e4)
        for asset in proposal.route.passed or (proposal.route.buy.base,):
            exposure = _with(portfolio.net_exposure_notional(asset), alone)
            if not is_within(exposure, self.allowed):
                return at_most("net_exposure", exposure, self.allowed, proposal.route.buy.quote)
        return None
