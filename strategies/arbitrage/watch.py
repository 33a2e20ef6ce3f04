"""One route's costs and its edge now: when to take it and when to leave it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from math import inf

from bot.domain.legs import TradeLeg, TransferLeg
from bot.domain.order import Side
from bot.domain.route import Opportunity, Route
from bot.ports import ExitBounds, Holding, InstrumentView, RouteTerms
from bot.pricing.conversion import conversion
from bot.pricing.costs import needs_conversion
from bot.pricing.inputs import PricingInputs, PricingRules, instrument_input
from bot.pricing.pricing import cost_sheet, gross_edge_bps, opportunity
from bot.pricing.sheet import CostSheet, Unpriced
from strategies.arbitrage.settings import ArbitrageSettings

NO_QUOTE = "no_quote"
NET_EDGE = "net_edge"
EXECUTION = "execution"
_ROUNDING_BPS = 1e-6
"""Far more than rounding, far less than a price step."""


class ArbitrageWatch:
    """A route whose edge is one price over another. `assess` is on the path from bytes to decision: no allocation."""

    __slots__ = (
        "_buy",
        "_buy_at_bid",
        "_exit_basis_bps",
        "_inputs",
        "_limit",
        "_not_executable",
        "_priced",
        "_rate",
        "_rules",
        "_sell",
        "_sell_at_ask",
        "_settings",
        "_terms",
        "_views",
        "best_gross_bps",
        "gross_bps",
        "route",
        "sheet",
        "take_at_bps",
    )

    def __init__(
        self, route: Route, views: Mapping[str, InstrumentView], terms: RouteTerms, settings: ArbitrageSettings
    ) -> None:
        self.route = route
        self._views = views
        self._terms = terms
        self._settings = settings
        self._rules = pricing_rules(settings)
        self._buy, self._sell = views[route.buy.id], views[route.sell.id]
        self._priced = tuple((views[leg.instrument.id], _at_ask(leg), leg.side is Side.SELL) for leg in route.priced)
        self._buy_at_bid, self._sell_at_ask = route.priced[0].is_maker, route.priced[-1].is_maker
        self._not_executable = _not_executable(route, views)
        self._rate = 1.0
        self._inputs = PricingInputs({})
        self.sheet: CostSheet | Unpriced = Unpriced("warm_up", 0.0, settings.warmup_s, "s")
        self.take_at_bps = inf
        """The gross edge at which it is taken; infinite while a cost is unknown."""
        self._limit = "warm_up"
        self._exit_basis_bps = 0.0
        self.gross_bps: float | None = None
        self.best_gross_bps: float | None = None

    def refresh(self, now_ns: int) -> None:
        """Sum the costs anew: fees, funding or statistics have changed."""
        self._inputs = self._gather(now_ns)
        self._rate = 1.0 if self._inputs.conversion is None else self._inputs.conversion.rate
        self.sheet = cost_sheet(self.route, self._inputs)
        if isinstance(self.sheet, Unpriced):
            self.take_at_bps = inf
            self._limit = self.sheet.limit
            return
        self.take_at_bps = self.sheet.take_at(self._settings.min_net_edge_bps)
        self._limit = NET_EDGE
        self._exit_basis_bps = self.sheet.exit_basis_bps

    def _gather(self, now_ns: int) -> PricingInputs:
        route, views = self.route, self._views
        chance = self._settings.maker_fill_probability
        found = ((leg, self._terms.transfer(leg)) for leg in route.transfers)
        turned = None
        if needs_conversion(route):
            turned = conversion(route.sell.quote, route.buy.quote, views.values())
        return PricingInputs(
            instruments={one.id: instrument_input(views[one.id], now_ns, chance) for one in route.instruments},
            transfers={leg: estimate for leg, estimate in found if estimate is not None},
            conversion=turned,
            rules=self._rules,
        )

    @property
    def needed_bps(self) -> float | None:
        """The gross edge at which the route breaks even; None while a cost is unknown."""
        return self.sheet.needed_bps if isinstance(self.sheet, CostSheet) else None

    @property
    def least_needed_bps(self) -> float | None:
        """What is known to be needed already: the sum of all costs, or of the fees while the rest warms up."""
        return self.sheet.needed_bps if isinstance(self.sheet, CostSheet) else self.sheet.least_bps

    @property
    def net_bps(self) -> float | None:
        """What is offered less every cost, at those prices; None while either is unknown."""
        if self.gross_bps is None or isinstance(self.sheet, Unpriced):
            return None
        return self.sheet.net_bps(self.gross_bps)

    @property
    def assumed(self) -> bool:
        """Whether a cost is a setting and not what the venue said."""
        return isinstance(self.sheet, CostSheet) and self.sheet.assumed

    @property
    def inputs(self) -> PricingInputs:
        """What its costs were summed from last; no instruments before the first time."""
        return self._inputs

    @property
    def min_net_bps(self) -> float:
        """The net edge from which it is taken."""
        return self._settings.min_net_edge_bps

    @property
    def not_executable(self) -> tuple[float, float, str] | None:
        """What nobody can do of it today: observed, allowed and the unit; None where it can be done."""
        return self._not_executable

    @property
    def take_ratio(self) -> float | None:
        """Sell price over buy price, each in its own currency, from which the net edge reaches the minimum."""
        return (1.0 + self.take_at_bps / 1e4) / self._rate

    @property
    def rate(self) -> float:
        """Of the sold side's currency in the bought side's."""
        return self._rate

    def assess(self) -> str | None:
        """None when the route's net edge reaches the minimum at the newest quotes, else the limit in the way."""
        buy = self._buy.quote
        sell = self._sell.quote
        if buy is None or sell is None:
            self.gross_bps = None
            return NO_QUOTE
        buy_price = buy.bid_price if self._buy_at_bid else buy.ask_price
        sell_price = sell.ask_price if self._sell_at_ask else sell.bid_price
        return self._offered((sell_price * self._rate / buy_price - 1.0) * 1e4)

    def _offered(self, gross: float) -> str | None:
        self.gross_bps = gross
        if self.best_gross_bps is None or gross > self.best_gross_bps:
            self.best_gross_bps = gross
        if gross < self.take_at_bps:
            return self._limit
        return None if self._not_executable is None else EXECUTION

    def figures(self, limit: str) -> tuple[float, float, str]:
        """What the limit that `assess` named saw and allows, and the unit."""
        sheet = self.sheet
        if limit == NO_QUOTE or self.gross_bps is None:
            quoted = sum(self._views[one.id].quote is not None for one in self.route.instruments)
            return (float(quoted), float(len(self.route.instruments)), "quotes")
        if isinstance(sheet, Unpriced):
            return (sheet.observed, sheet.allowed, sheet.unit)
        if limit == EXECUTION and self._not_executable is not None:
            return self._not_executable
        return (sheet.net_bps(self.gross_bps), self._settings.min_net_edge_bps, "bps")

    def opportunity(self, ts_ns: int, quantity: Decimal, averages: Sequence[float] | None = None) -> Opportunity:
        """The route at the newest quotes, every cost by name; only after `assess` said yes."""
        sheet, inputs = self.sheet, self._inputs
        if any(isinstance(leg, TransferLeg) for leg in self.route.chain):
            inputs = replace(inputs, quantity=float(quantity))  # a fixed fee weighs more on a small amount
            sheet = cost_sheet(self.route, inputs)
        assert isinstance(sheet, CostSheet)
        quotes = [(view.quote, at_ask) for view, at_ask, _ in self._priced]
        tops = [quote.ask_price if at_ask else quote.bid_price for quote, at_ask in quotes if quote is not None]
        return opportunity(self.route, sheet, inputs, ts_ns=ts_ns, quantity=quantity, tops=tops, averages=averages)

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
        buy, sell = self._buy.quote, self._sell.quote
        if buy is None or sell is None:
            return None
        # What is left: the difference that closing now would pay, beyond what closing is expected to pay.
        exit_bps = gross_edge_bps(buy.bid_price, sell.ask_price)
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


def _at_ask(leg: TradeLeg) -> bool:
    """Which side of the top of the book a trade meets: a taker the other one, a post-only order its own."""
    return (leg.side is Side.BUY) is not leg.is_maker


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


def _not_executable(route: Route, views: Mapping[str, InstrumentView]) -> tuple[float, float, str] | None:
    silent = {one.venue for one in route.instruments if not views[one.id].takes_orders}
    return (float(len(silent)), 0.0, "venues without orders") if silent else route.not_executable
