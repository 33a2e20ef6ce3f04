"""One small class a limit. A limit answers with None, or with what it saw and what it allows.

Every comparison is written so that NaN refuses: a limit whose own input is broken must not pass anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.domain.instrument import Instrument
from bot.domain.order import Side
from bot.domain.route import Route
from bot.settings import RiskSettings


@dataclass(frozen=True, slots=True)
class Refused:
    """A limit said no."""

    limit: str
    observed: float
    allowed: float
    unit: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the strategy would like to open."""

    route: Route
    ts_ns: int
    quantity: float
    """Base units."""
    buy_price: float
    sell_price: float
    gross_edge_bps: float

    @property
    def notional(self) -> float:
        """Of the larger leg, quote units."""
        return self.quantity * max(self.buy_price, self.sell_price)


class Portfolio(Protocol):
    """What is held now, for the limits; notionals in quote units."""

    def open_pairs(self) -> int:
        """Pairs that are not flat."""

    def busy(self, route: Route) -> bool:
        """Whether a pair on the route's two instruments, in either direction, is not flat."""

    def in_flight(self, instrument: Instrument) -> int:
        """Pairs that are being opened or closed on it: what they will take of its quote is not known yet."""

    def position_notional(self, instrument: Instrument) -> float:
        """Of what open pairs hold of it, absolute."""

    def net_exposure_notional(self, base: str) -> float:
        """Unhedged amount of one asset over all venues, absolute."""

    def realised_today(self, now_ns: int) -> float:
        """Profit since midnight UTC, in quote units; negative is a loss."""

    def orders_last_minute(self, now_ns: int) -> int:
        """Orders sent in the last 60 s."""

    def affordable_notional(self, instrument: Instrument, side: Side, price: float) -> float:
        """What the wallet still covers on this side."""


class Limit(Protocol):
    """Refuses, or lets pass."""

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """None when the proposal is within the limit."""


def _at_most(limit: str, observed: float, allowed: float, unit: str) -> Refused | None:
    return None if observed <= allowed else Refused(limit, observed, allowed, unit)


@dataclass(frozen=True, slots=True)
class MaxPlausibleEdge:
    """An edge too good to be true is a fault of the data."""

    allowed_bps: float

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """The gross edge against the most that is believed."""
        return _at_most("plausible_edge", proposal.gross_edge_bps, self.allowed_bps, "bps")


@dataclass(frozen=True, slots=True)
class OnePairPerRoute:
    """No new pair while one on the same two instruments is unresolved; the mirrored one would trade against it."""

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Pairs of this route, or its mirror, that are not flat."""
        return _at_most("pair_on_route", float(portfolio.busy(proposal.route)), 0.0, "pairs")


@dataclass(frozen=True, slots=True)
class NothingInFlight:
    """No new orders on an instrument where a pair is being opened or closed: one quote is not for two pairs."""

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Pairs in transition on each leg's instrument."""
        pairs = max(portfolio.in_flight(leg.instrument) for leg in proposal.route.opening)
        return _at_most("in_flight", float(pairs), 0.0, "pairs")


@dataclass(frozen=True, slots=True)
class MaxOpenPairs:
    """How many pairs may be open at once."""

    allowed: int

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Open pairs with this one."""
        return _at_most("open_pairs", portfolio.open_pairs() + 1, self.allowed, "pairs")


@dataclass(frozen=True, slots=True)
class MaxOrderNotional:
    """How large one leg may be."""

    allowed: float

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """The larger leg's notional."""
        return _at_most("order_notional", proposal.notional, self.allowed, proposal.route.buy.quote)


@dataclass(frozen=True, slots=True)
class MaxPositionNotional:
    """How much of one instrument may be held."""

    allowed: float

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Each leg's instrument with this order added."""
        for leg in proposal.route.opening:
            held = portfolio.position_notional(leg.instrument)
            refused = _at_most("position_notional", held + proposal.notional, self.allowed, leg.instrument.quote)
            if refused is not None:
                return refused
        return None


@dataclass(frozen=True, slots=True)
class MaxNetExposure:
    """How much of an asset may stand unhedged before anything new is opened."""

    allowed: float

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Unhedged notional of the route's asset."""
        exposure = portfolio.net_exposure_notional(proposal.route.buy.base)
        return _at_most("net_exposure", exposure, self.allowed, proposal.route.buy.quote)


@dataclass(frozen=True, slots=True)
class MaxOrdersPerMinute:
    """A runaway strategy meets this first."""

    allowed: int

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Orders of the last minute with this pair's."""
        orders = portfolio.orders_last_minute(proposal.ts_ns) + len(proposal.route.opening)
        return _at_most("orders_per_minute", orders, self.allowed, "orders")


@dataclass(frozen=True, slots=True)
class CoveredByBalance:
    """Both wallets must cover their leg before the first order is written, at the worst price that it may take."""

    price_cap_bps: float = 0.0

    def check(self, proposal: Proposal, portfolio: Portfolio) -> Refused | None:
        """Each leg's notional against what its wallet covers."""
        for leg in proposal.route.opening:
            price = proposal.buy_price if leg.side is Side.BUY else proposal.sell_price
            covered = portfolio.affordable_notional(leg.instrument, leg.side, price)
            # What a wallet pays in base, to sell spot, does not depend on the price.
            pays_base = leg.side is Side.SELL and not leg.instrument.is_perpetual
            needed = proposal.quantity * price * (1.0 if pays_base else 1.0 + self.price_cap_bps / 1e4)
            refused = _at_most(f"balance {leg.instrument.feed}", needed, covered, leg.instrument.quote)
            if refused is not None:
                return refused
        return None


def all_limits(settings: RiskSettings, price_cap_bps: float = 0.0) -> Sequence[Limit]:
    """Every limit, cheapest and most telling first; orders may be `price_cap_bps` worse than decided."""
    return (
        MaxPlausibleEdge(settings.max_plausible_edge_bps),
        OnePairPerRoute(),
        NothingInFlight(),
        MaxOpenPairs(settings.max_open_pairs),
        MaxOrderNotional(settings.max_order_notional),
        MaxPositionNotional(settings.max_position_notional),
        MaxNetExposure(settings.max_net_exposure_notional),
        MaxOrdersPerMinute(settings.max_orders_per_minute),
        CoveredByBalance(price_cap_bps),
    )
