"""What the engine remembers of one route between quotes."""

from collections.abc import Sequence

from bot.domain.route import Route
from bot.engine.slot import InstrumentSlot
from bot.execution.chain import Chain
from bot.execution.pair import Pair
from bot.ports import Holding, RouteWatch
from bot.pricing.pricing import gross_edge_bps
from bot.pricing.sizing import SizeGrid, size_grid


class RouteState:
    """A route, its watch, its pair, and the reason that was decided last."""

    __slots__ = (
        "buy",
        "chain",
        "failed_in_a_row",
        "grid",
        "holding",
        "is_leaving",
        "is_opportunity",
        "is_paused",
        "observed",
        "pair",
        "reason",
        "rest_until_ns",
        "route",
        "sell",
        "slots",
        "watch",
    )

    def __init__(
        self,
        route: Route,
        watch: RouteWatch,
        buy: InstrumentSlot,
        sell: InstrumentSlot,
        price_cap_bps: float,
        slots: Sequence[InstrumentSlot] = (),
    ) -> None:
        """`slots` are those of `route.priced`; left out where they are the two sides."""
        self.route = route
        self.watch = watch
        self.buy = buy
        self.sell = sell
        self.slots = tuple(slots) or (buy, sell)
        self.grid: SizeGrid = size_grid(buy.instrument, sell.instrument, price_cap_bps)
        self.pair: Pair | None = None
        self.chain: Chain | None = None
        """The one that is not home yet, of a route that is a chain."""
        self.holding: Holding | None = None
        """Set while the pair is open and not being closed."""
        self.reason: str | None = None
        self.observed: tuple[float, float, str] | None = None
        """Of the last decision: observed, allowed, unit."""
        self.is_opportunity = False
        self.is_paused = False
        """A person wants nothing new of it."""
        self.is_leaving = False
        """A person wants what is open closed, as soon as that can be done."""
        self.rest_until_ns = 0
        self.failed_in_a_row = 0
        """Pairs since one was opened whole that a venue refused an order of, or that had to be unwound."""

    @property
    def is_free(self) -> bool:
        """Whether neither a pair nor a chain of it is open: then it may be taken."""
        return self.pair is None and self.chain is None

    def hold(self, pair: Pair, now_ns: int) -> None:
        """The pair is open: what it was opened at, and what its fees come to."""
        bought, sold = pair.buy.average_open_price, pair.sell.average_open_price
        assert bought is not None
        assert sold is not None
        fees_bps = sum(cost.bps for cost in pair.opportunity.costs if cost.name.startswith("fee "))
        if pair.is_round_trip:  # its entry may have waited for long: it is held from now on
            self.holding = Holding(now_ns, 0.0, fees_bps, float(bought))
            return
        self.holding = Holding(pair.opened_ns, gross_edge_bps(float(bought), float(sold)), fees_bps)
