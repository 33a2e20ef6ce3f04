"""One round trip: when its order is placed, at which prices, and when it is let go. Implements `RoundTripWatch`.

The gross edge is the mean spread: what is earned if both orders are filled. That they are is not certain, and that
the one that is filled first was the wrong one is what market makers lose by (adverse selection): it is bounded by
`loss_stop_bps` and `max_holding_s`, and held against what was expected by the gate's drift limit.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from math import inf

from bot.domain.route import Opportunity, Route
from bot.ports import ExitBounds, Holding, InstrumentView, Statistics
from bot.pricing.inputs import PricingInputs, PricingRules, instrument_input
from bot.pricing.pricing import cost_sheet, gross_edge_bps, opportunity
from bot.pricing.sheet import CostSheet, Unpriced
from strategies.spread_reversion.settings import SpreadReversionSettings

NO_QUOTE = "no_quote"
WARM_UP = "warm_up"
NET_EDGE = "net_edge"
EXECUTION = "execution"
SPREAD = "spread"
"""It is not wide."""
SIDE = "side"
"""It widened on the other side."""
WARM = 0.9
"""Part of the span that must be covered: a refused quote leaves a gap, and should not stop everything."""


class SpreadWatch:
    """Watches one side of one instrument."""

    __slots__ = (
        "_inputs",
        "_rules",
        "_settings",
        "_sheet",
        "_side",
        "_silent",
        "_view",
        "best_gross_bps",
        "gross_bps",
        "order_notional",
        "rest_s",
        "route",
        "take_at_bps",
    )

    def __init__(self, route: Route, view: InstrumentView, settings: SpreadReversionSettings) -> None:
        self.route = route
        self._view = view
        self._settings = settings
        self._side = route.opening[0].side
        self._silent = not view.takes_orders
        # Adverse moves are charged to takers; here both legs wait.
        self._rules = PricingRules(warmup_s=WARM * settings.span_s, adverse_moves=False)
        self._inputs = PricingInputs({})
        self._sheet: CostSheet | Unpriced = Unpriced(WARM_UP, 0.0, self._rules.warmup_s, "s")
        self.rest_s = settings.requote_s
        self.order_notional = settings.order_notional
        self.take_at_bps = inf
        self.gross_bps: float | None = None
        self.best_gross_bps: float | None = None
        self._spread()  # from the first quote on

    def refresh(self, now_ns: int) -> None:
        """Sum the costs anew: fees, funding or statistics have changed."""
        mean = self._spread()
        known = instrument_input(self._view, now_ns, fill_probability=1.0)
        known = replace(known, mean_mid=mean.mean_mid, mean_spread_bps=mean.mean_spread_bps, covered_s=mean.covered_s)
        self._inputs = PricingInputs(instruments={known.instrument.id: known}, rules=self._rules)
        self._sheet = cost_sheet(self.route, self._inputs)
        least = self._settings.min_net_edge_bps
        self.take_at_bps = inf if isinstance(self._sheet, Unpriced) else self._sheet.take_at(least)

    def _spread(self) -> Statistics:
        return self._view.statistics_over(self._settings.span_s)

    @property
    def needed_bps(self) -> float | None:
        """The mean spread at which a round trip breaks even; None while a cost is unknown."""
        return self._sheet.needed_bps if isinstance(self._sheet, CostSheet) else None

    @property
    def least_needed_bps(self) -> float | None:
        """The fees while the rest warms up; None where not even they are known."""
        return self._sheet.needed_bps if isinstance(self._sheet, CostSheet) else self._sheet.least_bps

    @property
    def net_bps(self) -> float | None:
        """What a round trip would earn after every cost; None while that is unknown."""
        if self.gross_bps is None or isinstance(self._sheet, Unpriced):
            return None
        return self._sheet.net_bps(self.gross_bps)

    @property
    def assumed(self) -> bool:
        """Whether a cost is a setting and not what the venue said."""
        return isinstance(self._sheet, CostSheet) and self._sheet.assumed

    @property
    def take_ratio(self) -> float | None:
        """Two prices do not decide: the averages do as well."""
        return None

    @property
    def rate(self) -> float:
        """One currency."""
        return 1.0

    def exit_bounds(self, holding: Holding) -> ExitBounds | None:
        """Not known: every quote may be the one."""
        return None

    def assess(self) -> str | None:
        """None while an order should rest, else the one limit in the way; what moves slowly is named first."""
        quote, mean = self._view.quote, self._spread()
        mean_bps, mean_mid = mean.mean_spread_bps, mean.mean_mid
        if quote is None or mean_bps is None or mean_mid is None:
            self.gross_bps = None
            return NO_QUOTE if quote is None else WARM_UP
        half = mean_bps / 2e4
        self.gross_bps = gross = gross_edge_bps(1.0 - half, 1.0 + half)
        if self.best_gross_bps is None or gross > self.best_gross_bps:
            self.best_gross_bps = gross
        if gross < self.take_at_bps:
            return self._sheet.limit if isinstance(self._sheet, Unpriced) else NET_EDGE
        if self._silent:
            return EXECUTION
        if self._side.sign * (quote.mid - mean_mid) > 0.0:
            return SIDE
        return SPREAD if quote.spread_bps < self._settings.entry_ratio * mean_bps else None

    def figures(self, limit: str) -> tuple[float, float, str]:
        """What the limit that `assess` named saw and allows, and the unit."""
        quote, mean, sheet = self._view.quote, self._spread(), self._sheet
        if quote is None or limit == NO_QUOTE:
            return (0.0, 1.0, "quotes")
        if limit == SPREAD:
            return (quote.spread_bps, self._settings.entry_ratio * (mean.mean_spread_bps or 0.0), "bps wide")
        if limit == SIDE:
            away_bps = gross_edge_bps(mean.mean_mid or quote.mid, quote.mid)
            return (self._side.sign * away_bps, 0.0, "bps from the mean mid")
        if limit == EXECUTION:
            return (1.0, 0.0, "venues without orders")
        if isinstance(sheet, Unpriced):
            return (sheet.observed, sheet.allowed, sheet.unit)
        net = self.net_bps
        return (0.0 if net is None else net, self._settings.min_net_edge_bps, "bps")

    def limits(self) -> tuple[float, float]:
        """Where the mean spread around the mid of now has its bid and its ask."""
        quote, mean_bps = self._view.quote, self._spread().mean_spread_bps
        assert quote is not None, "asked after `assess` said yes"
        half = (mean_bps or 0.0) / 2e4
        return quote.mid * (1.0 - half), quote.mid * (1.0 + half)

    def opportunity(self, ts_ns: int, quantity: Decimal, averages: Sequence[float] | None = None) -> Opportunity:
        """The round trip at its two limits, every cost by name; only after `assess` said yes."""
        assert isinstance(self._sheet, CostSheet)
        prices = self.limits()
        return opportunity(self.route, self._sheet, self._inputs, ts_ns=ts_ns, quantity=quantity, tops=prices)

    def close_reason(self, holding: Holding, now_ns: int) -> str | None:
        """Why what is held should go at once: `max_holding`, `loss_stop`; None to wait for the exit."""
        if now_ns - holding.opened_ns >= self._settings.max_holding_s * 1e9:
            return "max_holding"
        quote, entry = self._view.quote, holding.entry_price
        if quote is None or entry is None:
            return None
        # By the mid: the bid of a spread that has widened again says nothing about what is held.
        earned_bps = self._side.sign * (quote.mid / entry - 1.0) * 1e4 - holding.fees_bps
        return "loss_stop" if earned_bps <= -self._settings.loss_stop_bps else None
