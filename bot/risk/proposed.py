"""What is asked for, before anybody has looked at it: the gate, the limits and what they look at all speak of it."""

from dataclasses import dataclass
from math import nan

from bot.domain.order import Side
from bot.domain.route import Route, TradeLeg


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
    prices: tuple[float, ...] = ()
    """Of a chain, what each of `route.priced` is expected to trade at, each in its own quote units."""
    amounts: tuple[float, ...] = ()
    """Of a chain, what leaves by each of `route.sent`, units of the asset."""

    @property
    def notional(self) -> float:
        """Of the larger leg, quote units; of a chain the first trade's: the same amount goes through all of it."""
        if self.route.chain:
            return self.quantity * self.buy_price
        return self.quantity * max(self.buy_price, self.sell_price)

    def price(self, leg: TradeLeg) -> float:
        """What a leg of `route.committed` is expected to trade at, its quote units; NaN where nothing was expected."""
        if self.route.chain:
            at = self.route.priced.index(leg)
            return self.prices[at] if at < len(self.prices) else nan
        return self.buy_price if leg.side is Side.BUY else self.sell_price
