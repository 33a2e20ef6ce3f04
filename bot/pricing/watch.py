"""A route's costs and its edge now: what every strategy that trades one price against another watches."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from math import inf
from operator import is_

from bot.domain.fees import FeeSchedule, FeeSource
from bot.domain.instrument import Feed
from bot.domain.legs import TradeLeg, TransferLeg
from bot.domain.order import Side
from bot.domain.route import Link, Opportunity, Route
from bot.ports import ExitBounds, Holding, InstrumentView, RouteTerms, Statistics
from bot.pricing.chain import Stage, stages
from bot.pricing.chain_sizing import Asked
from bot.pricing.conversion import conversion
from bot.pricing.costs import needs_conversion
from bot.pricing.fees import cash_costs, charge_fees
from bot.pricing.inputs import PricingInputs, PricingRules, instrument_input
from bot.pricing.ladder import Ladder
from bot.pricing.pricing import cost_sheet, gross_edge_bps, opportunity
from bot.pricing.sheet import CostLines, CostSheet, Unpriced

NO_QUOTE = "no_quote"
NET_EDGE = "net_edge"
EXECUTION = "execution"
DEFAULT_RULES = PricingRules()
_NOT_ASKED = FeeSchedule(
    feed=Feed.parse("none.spot"), maker_bps=Decimal(0), taker_bps=Decimal(0), source=FeeSource.SETTING
)
"""Nobody's fees."""
_ITS_OWN: Mapping[str, Statistics] = {}


class PriceWatch:
    """A route whose edge is one price over another; a strategy adds when an open pair is left (`close_reason`).

    `assess` is on the path from bytes to decision: no allocation.
    """

    __slots__ = (
        "_buy",
        "_buy_at_bid",
        "_exit_basis_bps",
        "_fees",
        "_fill_probability",
        "_inputs",
        "_limit",
        "_not_executable",
        "_priced",
        "_rate",
        "_rules",
        "_schedules",
        "_sell",
        "_sell_at_ask",
        "_terms",
        "_views",
        "best_gross_bps",
        "gross_bps",
        "min_net_bps",
        "route",
        "sheet",
        "take_at_bps",
    )

    def __init__(
        self,
        route: Route,
        views: Mapping[str, InstrumentView],
        terms: RouteTerms,
        *,
        min_net_bps: float,
        rules: PricingRules = DEFAULT_RULES,
        fill_probability: float | None = None,
    ) -> None:
        """Nothing is priced before the first `refresh`.

        Args:
            route: Which.
            views: Every instrument of the run, by its id.
            terms: What is known about moving money between venues.
            min_net_bps: The net edge from which it is taken.
            rules: What is chosen about costs.
            fill_probability: That a post-only leg is filled; None where the route has none.
        """
        self.route = route
        self._views = views
        self._terms = terms
        self.min_net_bps = min_net_bps
        """The net edge from which it is taken."""
        self._rules = rules
        self._fill_probability = fill_probability
        self._buy, self._sell = views[route.buy.id], views[route.sell.id]
        self._priced = tuple((views[leg.instrument.id], _at_ask(leg), leg.side is Side.SELL) for leg in route.priced)
        self._buy_at_bid, self._sell_at_ask = route.priced[0].is_maker, route.priced[-1].is_maker
        self._not_executable = _not_executable(route, views)
        self._rate = 1.0
        self._inputs = PricingInputs({})
        self._schedules: Sequence[FeeSchedule | None] = [_NOT_ASKED] * len(route.instruments)
        self._fees: CostLines | None = None
        """What is charged by these schedules; None where one is not known."""
        self.sheet: CostSheet | Unpriced = Unpriced("warm_up", 0.0, rules.warmup_s, "s")
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
        self.sheet = self._summed(self._inputs)
        if isinstance(self.sheet, Unpriced):
            self.take_at_bps = inf
            self._limit = self.sheet.limit
            return
        self.take_at_bps = self.sheet.take_at(self.min_net_bps)
        self._limit = NET_EDGE
        self._exit_basis_bps = self.sheet.exit_basis_bps

    def sheet_with(self, now_ns: int, statistics: Mapping[str, Statistics]) -> CostSheet | Unpriced:
        """What `refresh` would sum at a time with these statistics, by instrument id; it changes nothing."""
        return self._summed(self._gather(now_ns, statistics))

    def _summed(self, inputs: PricingInputs) -> CostSheet | Unpriced:
        """The sheet; fees that are those of the last time are not charged anew."""
        route = self.route
        if route.chain:
            return cost_sheet(route, inputs)  # its fees rest on the amount that is left
        schedules = [one.fees for one in inputs.instruments.values()]
        if not all(map(is_, schedules, self._schedules)):
            lines = CostLines()
            known = charge_fees(route, inputs, lines) is None
            self._schedules, self._fees = schedules, lines if known else None
        return cost_sheet(route, inputs, self._fees)

    def _gather(self, now_ns: int, statistics: Mapping[str, Statistics] = _ITS_OWN) -> PricingInputs:
        route, views = self.route, self._views
        chance = self._fill_probability
        found = {leg: self._terms.transfer(leg) for leg in route.transfers}
        closed = {leg: self._terms.closed(leg) for leg, estimate in found.items() if estimate is None}
        turned = None
        if needs_conversion(route):
            turned = conversion(route.sell.quote, route.buy.quote, views.values())
        return PricingInputs(
            instruments={
                one.id: instrument_input(views[one.id], now_ns, chance, statistics.get(one.id))
                for one in route.instruments
            },
            transfers={leg: estimate for leg, estimate in found.items() if estimate is not None},
            closed={leg: why for leg, why in closed.items() if why is not None},
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
        return (sheet.net_bps(self.gross_bps), self.min_net_bps, "bps")

    def links(self, ladders: Sequence[Ladder], price_cap_bps: float) -> tuple[Stage, ...] | None:
        """A chain as it can be walked through these ladders (of `route.priced`); None while it has no price."""
        return stages(self.route, self._inputs, ladders, price_cap_bps) if self._inputs.instruments else None

    def asked(self) -> Asked:
        """What a chain costs beside the fees that are taken from its amount, and must earn; it has a price."""
        assert isinstance(self.sheet, CostSheet)
        taken = cash_costs(self.route, self._inputs)
        beside = [line for line in self.sheet.lines if line.name not in taken]
        return Asked(
            fixed_bps=sum(line.fixed_bps for line in beside),
            scaled_bps=sum(line.scaled_bps for line in beside),
            min_net_bps=self.min_net_bps,
            rate=self._rate,
        )

    def unpriced_at(self, quantity: Decimal) -> Unpriced | None:
        """Why a chain of this size has no price where the usual size has one: a network does not send so much, or so
        little. None: it has one."""
        if not self.route.sent:
            return None
        sheet = cost_sheet(self.route, replace(self._inputs, quantity=float(quantity)))
        return sheet if isinstance(sheet, Unpriced) else None

    def opportunity(
        self,
        ts_ns: int,
        quantity: Decimal,
        averages: Sequence[float] | None = None,
        links: Sequence[Link] = (),
    ) -> Opportunity:
        """The route at the newest quotes, every cost by name; only after `assess` said yes."""
        sheet, inputs = self.sheet, self._inputs
        if any(isinstance(leg, TransferLeg) for leg in self.route.chain):
            inputs = replace(inputs, quantity=float(quantity))  # a fixed fee weighs more on a small amount
            sheet = cost_sheet(self.route, inputs)
        assert isinstance(sheet, CostSheet)
        quotes = [(view.quote, at_ask) for view, at_ask, _ in self._priced]
        tops = [quote.ask_price if at_ask else quote.bid_price for quote, at_ask in quotes if quote is not None]
        return opportunity(
            self.route, sheet, inputs, ts_ns=ts_ns, quantity=quantity, tops=tops, averages=averages, links=links
        )

    def left_bps(self) -> float | None:
        """What is left of the difference if both sides are closed now: what was sold is bought back at its ask, what
        was bought is sold at its bid. None without a quote."""
        buy, sell = self._buy.quote, self._sell.quote
        return None if buy is None or sell is None else gross_edge_bps(buy.bid_price, sell.ask_price)

    def exit_bounds(self, holding: Holding) -> ExitBounds | None:
        """Not known: every quote may be the one that closes."""
        return None


def _at_ask(leg: TradeLeg) -> bool:
    """Which side of the top of the book a trade meets: a taker the other one, a post-only order its own."""
    return (leg.side is Side.BUY) is not leg.is_maker


def _not_executable(route: Route, views: Mapping[str, InstrumentView]) -> tuple[float, float, str] | None:
    silent = {one.venue for one in route.instruments if not views[one.id].takes_orders}
    return (float(len(silent)), 0.0, "venues without orders") if silent else route.not_executable
