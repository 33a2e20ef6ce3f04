"""How much of a route can be traded. Never rounded up; a size that one side cannot take is no size."""

from dataclasses import dataclass
from decimal import Decimal
from math import gcd

from bot.domain.instrument import Instrument
from bot.domain.market import TopOfBook

EXIT_ROOM = Decimal("0.95")
"""Spot is opened so large that 95 % of it could still be sold: the fee takes base, and the price may fall."""

_LEAST_PRICE = 1e-4
"""Of the quote: a cap of 100 % and more lets a sell's limit fall to the lowest tick, and no further."""


@dataclass(frozen=True, slots=True)
class SizeGrid:
    """The coarser grid of a route's two sides, in base units."""

    lot: Decimal
    """Smallest quantity that both sides can step by."""
    lot_float: float
    min_quantity: float
    """Base units that both sides take, and that can be closed again."""
    min_notional: float
    """Quote units that both sides take at their limit prices, and that can be closed again."""
    buy_multiplier: float
    """Base units per venue unit of the bought side."""
    sell_multiplier: float

    def smallest(self, price: float) -> float:
        """The least base quantity that both sides take at `price`."""
        return max(self.lot_float, self.min_quantity, self.min_notional / price)


def size_grid(buy: Instrument, sell: Instrument, price_cap_bps: float = 0.0) -> SizeGrid:
    """The grid on which both instruments can trade the same base quantity, at limits `price_cap_bps` off the quote."""
    lots = [instrument.lot_size * instrument.contract_multiplier for instrument in (buy, sell)]
    lot = _least_common_multiple(*lots)
    min_quantity = max(_min_quantity(i) * i.contract_multiplier for i in (buy, sell))
    min_notional = max(i.min_notional / _exit_room(i) for i in (buy, sell))
    return SizeGrid(
        lot=lot,
        lot_float=float(lot),
        min_quantity=float(min_quantity),
        # A venue looks at the notional at the limit price, and a sell's is below the quote.
        min_notional=float(min_notional) / max(1.0 - price_cap_bps / 1e4, _LEAST_PRICE),
        buy_multiplier=float(buy.contract_multiplier),
        sell_multiplier=float(sell.contract_multiplier),
    )


def _min_quantity(instrument: Instrument) -> Decimal:
    return max(instrument.min_quantity, instrument.lot_size) / _exit_room(instrument)


def _exit_room(instrument: Instrument) -> Decimal:
    # A derivative position can always be reduced, however small it is.
    return Decimal(1) if instrument.is_perpetual else EXIT_ROOM


def size_figures(grid: SizeGrid, buy: TopOfBook, sell: TopOfBook, max_notional: float) -> tuple[float, float, str]:
    """What a size of 0 saw and asks for, in base units: the smaller of depth and cap, and the least that is taken."""
    offered = min(buy.ask_qty * grid.buy_multiplier, sell.bid_qty * grid.sell_multiplier)
    higher, lower = max(buy.ask_price, sell.bid_price), min(buy.ask_price, sell.bid_price)
    return (min(offered, max_notional / higher), grid.smallest(lower), "base units")


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
