"""When a route is left, and routes whose edge more than two prices make; pricing stands in `bot.pricing.watch`."""

from collections.abc import Mapping
from math import inf

from bot.domain.route import Route
from bot.ports import ExitBounds, Holding, InstrumentView, RouteTerms
from bot.pricing.inputs import PricingRules
from bot.pricing.sheet import CostSheet
from bot.pricing.watch import NO_QUOTE, PriceWatch
from strategies.arbitrage.settings import ArbitrageSettings

_ROUNDING_BPS = 1e-6
"""Far more than rounding, far less than a price step."""


class ArbitrageWatch(PriceWatch):
    """A route whose edge is one price over another."""

    __slots__ = ("_settings",)

    def __init__(
        self, route: Route, views: Mapping[str, InstrumentView], terms: RouteTerms, settings: ArbitrageSettings
    ) -> None:
        super().__init__(
            route,
            views,
            terms,
            min_net_bps=settings.min_net_edge_bps,
            rules=pricing_rules(settings),
            fill_probability=settings.maker_fill_probability,
        )
        self._settings = settings

    def exit_bounds(self, holding: Holding) -> ExitBounds:
        """Where `close_reason` may answer; a little wider than that, so that rounding decides nothing."""
        settings = self._settings
        is_priced = isinstance(self.sheet, CostSheet)
        low_bps = self._exit_basis_bps + settings.exit_edge_bps + _ROUNDING_BPS if is_priced else -inf
        high_bps = holding.entry_gross_bps - holding.fees_bps + settings.loss_stop_bps - _ROUNDING_BPS
        return ExitBounds(low_bps, high_bps, holding.opened_ns + int(settings.max_holding_s * 1e9))

    def close_reason(self, holding: Holding, now_ns: int) -> str | None:
        """Why an open pair should be closed now: `edge_gone`, `loss_stop`, `max_holding`; None to keep it."""
        if now_ns - holding.opened_ns >= self._settings.max_holding_s * 1e9:
            return "max_holding"
        exit_bps = self.left_bps()
        if exit_bps is None:
            return None
        # What closing now would pay, beyond what closing is expected to pay.
        is_priced = isinstance(self.sheet, CostSheet)  # without a price the basis is an old one; a loss is a loss
        if is_priced and exit_bps - self._exit_basis_bps <= self._settings.exit_edge_bps:
            return "edge_gone"
        if holding.entry_gross_bps - exit_bps - holding.fees_bps <= -self._settings.loss_stop_bps:
            return "loss_stop"
        return None


class ChainWatch(ArbitrageWatch):
    """A route whose edge is made of more than two prices."""

    __slots__ = ()

    @property
    def take_ratio(self) -> float | None:
        """Two prices do not make it."""
        return None

    def assess(self) -> str | None:
        """None when the route's net edge reaches the minimum at the newest quotes, else the limit in the way."""
        ratio = self._rate
        for view, at_ask, sells in self._priced:
            quote = view.quote
            if quote is None:
                self.gross_bps = None
                return NO_QUOTE
            price = quote.ask_price if at_ask else quote.bid_price
            ratio = ratio * price if sells else ratio / price
        return self._offered((ratio - 1.0) * 1e4)


def pricing_rules(settings: ArbitrageSettings) -> PricingRules:
    """What the settings choose about costs."""
    return PricingRules(
        converged=settings.exit_basis == "converged",
        warmup_s=settings.warmup_s,
        adverse_moves=settings.adverse_moves,
        transfer_risk_sd=settings.transfer_risk_sd,
        rebalance_notional=settings.rebalance_notional,
        assumed_rebalancing_bps=settings.assumed_rebalancing_bps,
        waiting_bps=settings.maker_waiting_bps,
        reference_notional=settings.reference_notional,
    )
