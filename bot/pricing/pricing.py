"""What a route costs, in one place: strategy, gate, executor and post-mortem all price here.

A route's costs change slowly (fees, funding, the usual price difference between its two sides); its prices change
with every quote. So the costs are summed once into a `CostSheet`, and a quote only needs `gross_edge_bps` and one
subtraction. Every figure is in bps of the buy notional; a positive cost is bad.

    net edge = gross edge − (fees to open + fees to close + exit basis + funding)

The **exit basis** is what closing is expected to cost: buying back what was sold at its ask, selling what was bought
at its bid. Two markets that usually differ by 4 bps will differ by 4 bps again when the pair is closed; a bot that
expects them to meet calls a standing difference a profit.
"""

from dataclasses import dataclass
from decimal import Decimal

from bot.domain.route import Cost, Opportunity, Route
from bot.ports import InstrumentView, Statistics

EXIT_BASIS = "exit basis"


@dataclass(frozen=True, slots=True)
class CostSheet:
    """Every cost of a route by name, and their sum in bps.

    It is made anew every second for every route, and its costs are read only where one is taken or looked at.
    """

    entries: tuple[tuple[str, float, bool], ...]
    """Name, bps, and whether it is assumed."""
    total_bps: float

    @property
    def costs(self) -> tuple[Cost, ...]:
        """The entries as values."""
        return tuple(Cost(name=name, bps=bps, assumed=assumed) for name, bps, assumed in self.entries)

    @property
    def exit_basis_bps(self) -> float:
        """What closing is expected to cost beside fees; 0 for a route that holds nothing."""
        return next((bps for name, bps, _ in self.entries if name == EXIT_BASIS), 0.0)

    @property
    def assumed(self) -> bool:
        """Whether a cost is a setting and not what the venue said."""
        return any(assumed for _, _, assumed in self.entries)


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Why a route has no price: a limit, what was observed and what it asks for. Never a default of zero."""

    limit: str
    observed: float
    allowed: float
    unit: str
    least_bps: float | None = None
    """What is known to be needed already: the fees; None where not even they are known."""


def gross_edge_bps(buy_price: float, sell_price: float) -> float:
    """Sell price over buy price, in bps.

    Example:
        >>> round(gross_edge_bps(100.0, 100.21), 6)
        21.0
    """
    return (sell_price / buy_price - 1.0) * 1e4


def cost_sheet(
    route: Route, buy: InstrumentView, sell: InstrumentView, *, exit_basis: str, warmup_s: float
) -> CostSheet | Unpriced:
    """Sum what the route costs beside its two opening prices.

    Args:
        route: Its opening buys `buy.instrument` and sells `sell.instrument`.
        buy: Fees, funding and rolling statistics of the bought side.
        sell: The same of the sold side.
        exit_basis: `rolling_mean`: the two mids will differ at the exit as they did on average lately;
            `converged`: they will be equal.
        warmup_s: Seconds of statistics that the exit basis must rest on.

    Returns:
        The costs, or the one input that is missing.
    """
    if buy.fees is None or sell.fees is None:
        return Unpriced("fee_schedule", 0.0, 1.0, "known")
    covered_s = min(buy.statistics.covered_s, sell.statistics.covered_s)
    exit_basis_bps = _exit_basis_bps(buy.statistics, sell.statistics, converged=exit_basis == "converged")
    buy_fee, sell_fee = float(buy.fees.taker_bps), float(sell.fees.taker_bps)
    costs = [(name, buy_fee if is_buy else sell_fee, False) for name, is_buy in route.fee_legs]
    if covered_s < warmup_s or exit_basis_bps is None:
        return Unpriced("warm_up", covered_s, warmup_s, "s", sum(bps for _, bps, _ in costs))
    if route.closing:
        costs.append((EXIT_BASIS, exit_basis_bps, False))
    if route.hold_s:
        for view, sign in ((buy, 1), (sell, -1)):
            if view.instrument.is_perpetual:
                bps_per_h = view.funding_bps_per_h
                if bps_per_h is None:
                    return Unpriced("funding_rate", 0.0, 1.0, "known")
                # Pro rata over the holding time: a long pays a positive rate, a short earns it.
                funding_bps = sign * bps_per_h * route.hold_s / 3600
                costs.append((f"funding {view.instrument.feed}", funding_bps, view.funding_assumed))
    return CostSheet(tuple(costs), sum(bps for _, bps, _ in costs))


def _exit_basis_bps(buy: Statistics, sell: Statistics, *, converged: bool) -> float | None:
    """Expected (ask of the sold side − bid of the bought side) at the exit; None while nothing tells."""
    if buy.mean_mid is None or sell.mean_mid is None or buy.mean_spread_bps is None or sell.mean_spread_bps is None:
        return None
    half_spreads = (buy.mean_spread_bps + sell.mean_spread_bps) / 2
    return half_spreads if converged else gross_edge_bps(buy.mean_mid, sell.mean_mid) + half_spreads


def opportunity(
    route: Route, sheet: CostSheet, *, ts_ns: int, quantity: Decimal, buy_price: float, sell_price: float
) -> Opportunity:
    """The route priced at these two prices for this quantity; every cost by name."""
    gross = gross_edge_bps(buy_price, sell_price)
    return Opportunity(
        route=route,
        ts_ns=ts_ns,
        quantity=quantity,
        buy_price=buy_price,
        sell_price=sell_price,
        gross_edge_bps=gross,
        costs=sheet.costs,
        net_edge_bps=gross - sheet.total_bps,
    )
