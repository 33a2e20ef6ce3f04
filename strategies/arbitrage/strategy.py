"""When to take a route and when to leave it."""

from collections.abc import Sequence
from decimal import Decimal

from bot.domain.instrument import Instrument
from bot.domain.route import Opportunity, Route
from bot.ports import Holding, InstrumentView
from bot.pricing.pricing import CostSheet, Unpriced, cost_sheet, gross_edge_bps, opportunity
from strategies.arbitrage.routes import list_routes
from strategies.arbitrage.settings import ArbitrageSettings

NO_QUOTE = "no_quote"
NET_EDGE = "net_edge"
_INFINITY = float("inf")


class ArbitrageStrategy:
    """Takes a route when its net edge reaches the minimum, leaves it when the difference is gone."""

    name = "arbitrage"

    def __init__(self, settings: ArbitrageSettings) -> None:
        self.settings = settings
        self.cooldown_s = settings.cooldown_s

    def routes(self, instruments: Sequence[Instrument]) -> list[Route]:
        """Every route that these instruments make."""
        return list_routes(instruments, self.settings.expected_holding_s)

    def watch(self, route: Route, buy: InstrumentView, sell: InstrumentView) -> "ArbitrageWatch":
        """An observer of one route, asked after every read batch that touched it."""
        return ArbitrageWatch(route, buy, sell, self.settings)


class ArbitrageWatch:
    """One route's costs and its edge now. `assess` is on the path from bytes to decision: no allocation."""

    __slots__ = (
        "_buy",
        "_exit_basis_bps",
        "_limit",
        "_sell",
        "_settings",
        "_take_at_bps",
        "best_gross_bps",
        "gross_bps",
        "route",
        "sheet",
    )

    def __init__(self, route: Route, buy: InstrumentView, sell: InstrumentView, settings: ArbitrageSettings) -> None:
        self.route = route
        self._buy = buy
        self._sell = sell
        self._settings = settings
        self.sheet: CostSheet | Unpriced = Unpriced("warm_up", 0.0, settings.warmup_s, "s")
        self._take_at_bps = _INFINITY
        self._limit = "warm_up"
        self._exit_basis_bps = 0.0
        self.gross_bps: float | None = None
        self.best_gross_bps: float | None = None

    def refresh(self) -> None:
        """Sum the costs anew: fees, funding or statistics have changed."""
        self.sheet = cost_sheet(
            self.route,
            self._buy,
            self._sell,
            exit_basis=self._settings.exit_basis,
            warmup_s=self._settings.warmup_s,
        )
        if isinstance(self.sheet, Unpriced):
            self._take_at_bps = _INFINITY
            self._limit = self.sheet.limit
            return
        self._take_at_bps = self.sheet.total_bps + self._settings.min_net_edge_bps
        self._limit = NET_EDGE
        self._exit_basis_bps = self.sheet.exit_basis_bps

    @property
    def needed_bps(self) -> float | None:
        """The gross edge at which the route breaks even; None while a cost is unknown."""
        return self.sheet.total_bps if isinstance(self.sheet, CostSheet) else None

    @property
    def take_at_bps(self) -> float:
        """The gross edge at which it would be taken; infinite while it has no price."""
        return self._take_at_bps

    @property
    def least_needed_bps(self) -> float | None:
        """What is known to be needed already: the sum of all costs, or of the fees while the rest warms up."""
        return self.sheet.total_bps if isinstance(self.sheet, CostSheet) else self.sheet.least_bps

    @property
    def assumed(self) -> bool:
        """Whether a cost is a setting and not what the venue said."""
        return isinstance(self.sheet, CostSheet) and self.sheet.assumed

    def assess(self) -> str | None:
        """None when the route's net edge reaches the minimum at the newest quotes, else the limit in the way."""
        buy = self._buy.quote
        sell = self._sell.quote
        if buy is None or sell is None:
            self.gross_bps = None
            return NO_QUOTE
        self.gross_bps = gross = (sell.bid_price / buy.ask_price - 1.0) * 1e4
        if self.best_gross_bps is None or gross > self.best_gross_bps:
            self.best_gross_bps = gross
        return None if gross >= self._take_at_bps else self._limit

    def figures(self, limit: str) -> tuple[float, float, str]:
        """What the limit that `assess` named saw and allows, and the unit."""
        sheet = self.sheet
        if limit == NO_QUOTE or self.gross_bps is None:
            return (float(self._buy.quote is not None) + float(self._sell.quote is not None), 2.0, "quotes")
        if isinstance(sheet, Unpriced):
            return (sheet.observed, sheet.allowed, sheet.unit)
        return (self.gross_bps - sheet.total_bps, self._settings.min_net_edge_bps, "bps")

    def opportunity(self, ts_ns: int, quantity: Decimal) -> Opportunity:
        """The route at the newest quotes, every cost by name; only after `assess` said yes."""
        buy, sell, sheet = self._buy.quote, self._sell.quote, self.sheet
        assert buy is not None
        assert sell is not None
        assert isinstance(sheet, CostSheet)
        return opportunity(
            self.route,
            sheet,
            ts_ns=ts_ns,
            quantity=quantity,
            buy_price=buy.ask_price,
            sell_price=sell.bid_price,
        )

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
