"""How much of a route can be traded. Never rounded up; a size that one side cannot take is no size."""

from dataclasses import dataclass
from decimal import Decimal
from math import gcd

from bot.domain.instrument import Instrument
from bot.domain.market import TopOfBook


@dataclass(frozen=True, slots=True)
class SizeGrid:
    """The coarser grid of a route's two sides, in base units."""

    lot: Decimal
    """Smallest quantity that both sides can step by."""
    lot_float: float
    min_quantity: float
    min_notional: float
    buy_multiplier: float
    """Base units per venue unit of the bought side."""
    sell_multiplier: float

    def smallest(self, price: float) -> float:
        """The least base quantity that both sides take at `price`."""
        return max(self.lot_float, self.min_quantity, self.min_notional / price)


def size_grid(buy: Instrument, sell: Instrument) -> SizeGrid:
    """The grid on which both instruments can trade the same base quantity."""
    lots = [instrument.lot_size * instrument.contract_multiplier for instrument in (buy, sell)]
    lot = _least_common_multiple(*lots)
    min_quantity = max(i.min_quantity * i.contract_multiplier for i in (buy, sell))
    return SizeGrid(
        lot=lot,
        lot_float=float(lot),
        min_quantity=float(min_quantity),
        min_notional=float(max(buy.min_notional, sell.min_notional)),
        buy_multiplier=float(buy.contract_multiplier),
        sell_multiplier=float(sell.contract_multiplier),
    )


def _least_common_multiple(a: Decimal, b: Decimal) -> Decimal:
    """Smallest positive number that both divide.

    Example:
        >>> _least_common_multiple(Decimal("0.0001"), Decimal("0.001"))
        Decimal('0.001')
        >>> _least_common_multiple(Decimal("0.002"), Decimal("0.003"))
        Decimal('0.006')
    """
    scale = Decimal(10) ** max(0, *(-int(d.normalize().as_tuple().exponent) for d in (a, b)))
    whole_a, whole_b = int(a * scale), int(b * scale)
    return Decimal(whole_a * whole_b // gcd(whole_a, whole_b)) / scale


def lots_at_top(grid: SizeGrid, buy: TopOfBook, sell: TopOfBook, max_notional: float) -> int:
    """How many whole lots both tops and the notional cap can take; 0 when a minimum is not reached."""
    depth = min(buy.ask_qty * grid.buy_multiplier, sell.bid_qty * grid.sell_multiplier)
    higher = max(buy.ask_price, sell.bid_price)
    quantity = min(depth, max_notional / higher)
    # A float quotient may fall just short of a whole number: that loses a lot, and never adds one.
    lots = int(quantity / grid.lot_float)
    quantity = lots * grid.lot_float
    lower = min(buy.ask_price, sell.bid_price)
    if quantity < grid.min_quantity or quantity * lower < grid.min_notional:
        return 0
    return lots
