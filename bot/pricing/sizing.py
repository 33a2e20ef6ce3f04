"""How much of a route is traded: the quantity that earns most. A size that one side cannot take is no size.

    expected profit = quantity · (sell VWAP − buy VWAP) − costs in bps of the buy notional − fixed costs

Both ladders are walked together, level by level. What the next unit sells for over what it is bought for only falls,
so the profit has one top: where the next unit's edge no longer covers its costs, or where a ladder, a wallet or a cap
ends. The answer is the best quantity on the grid that both venues trade on; what is not there is never rounded up to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil, gcd, inf

from bot.domain.instrument import Instrument
from bot.pricing.ladder import ChainLeg, Ladder, steps

DEPTH = "depth"
EDGE = "edge"
"""The next unit would not bring its costs."""
FIXED_COSTS = "fixed_costs"
LOT = "lot"
"""What is offered is less than one lot of the coarser side, which is all that it asks for."""
_NOTHING = Decimal(0)

EXIT_ROOM = Decimal("0.95")
"""Spot is opened so large that 95 % of it could still be sold: the fee takes base, and the price may fall."""

SIZE = "size"
"""What a route without a size is refused by."""
LARGEST = "largest_order"
"""The most that an instrument takes in one order; its id follows."""
PRICE_ROOM = 0.95
"""A limit of notional is used up to here: the price may rise before what was opened is closed."""

_LEAST_PRICE = 1e-4
"""Of the quote: a cap of 100 % and more lets a sell's limit fall to the lowest tick, and no further."""


@dataclass(frozen=True, slots=True)
class Largest:
    """The most of an instrument that one order may be, whatever it is for: opening, closing, unwinding."""

    name: str
    quantity: float
    """Base units; infinite where no limit is known, as is `notional`."""
    notional: float
    """Quote units at the quote."""

    def at(self, price: float) -> float:
        """Base units at `price`."""
        return min(self.quantity, self.notional / price)


def largest_order(instrument: Instrument, price_cap_bps: float = 0.0) -> Largest:
    """What one order of an instrument may be, at limits `price_cap_bps` off the quote.

    A leg is opened by a limit order, closed by another, and unwound by a market order, which may be far smaller.
    """
    told = [one for one in (instrument.max_quantity, instrument.max_market_quantity) if one is not None]
    notional = inf if instrument.max_notional is None else float(instrument.max_notional)
    return Largest(
        name=f"{LARGEST} {instrument.id}",
        quantity=float(min(told) * instrument.contract_multiplier) if told else inf,
        notional=notional * PRICE_ROOM / (1.0 + price_cap_bps / 1e4),
    )


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
    largest: tuple[Largest, Largest]
    """Of the bought and of the sold side."""

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
        largest=(largest_order(buy, price_cap_bps), largest_order(sell, price_cap_bps)),
    )


def _min_quantity(instrument: Instrument) -> Decimal:
    return max(instrument.min_quantity, instrument.lot_size) / _exit_room(instrument)


def _exit_room(instrument: Instrument) -> Decimal:
    # A derivative position can always be reduced, however small it is.
    return Decimal(1) if instrument.is_perpetual else EXIT_ROOM


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


@dataclass(frozen=True, slots=True)
class Cap:
    """What may be traded at most, and the limit that says so."""

    name: str
    quantity: float
    """Base units."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an amount costs besides its prices, and what it must earn."""

    needed_bps: float
    """The edge, sell price over buy price, that each unit must have: its costs and the least that it must earn."""
    costs_bps: float
    """Of the buy notional: the costs alone."""
    fixed: float = 0.0
    """Quote units, whatever the quantity."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much, at which prices, and what kept it from being more."""

    lots: int
    """Of the grid; 0: no size."""
    quantity: Decimal
    """Base units."""
    buy_price: float
    """Average, quote units per base unit; the best level's where there is no size."""
    sell_price: float
    profit: float
    """Expected, quote units, after costs; 0 where there is no size."""
    limit: str
    """What kept it from being more: `depth`, `edge` (the next lot would not bring its costs), or a cap's name. Where
    there is no size: what kept it below the least that both sides take, or `fixed_costs`."""
    most: float
    """Base units that depth and caps let pass."""
    least: float
    """Base units that both sides take at least."""

    @property
    def reason(self) -> str:
        """What a route without a size is refused by: `size`, or the largest order that is too small for it."""
        return self.limit if self.limit.startswith(LARGEST) else SIZE

    @property
    def figures(self) -> tuple[float, float, str]:
        """What there was, what there should have been at least, and the unit."""
        return (self.most, self.least, "base units")


def best_size(grid: SizeGrid, buy: Ladder, sell: Ladder, terms: Terms, caps: Sequence[Cap] = ()) -> Size:
    """The quantity on the grid with the largest expected profit, under depth and caps.

    Args:
        grid: Of both sides.
        buy: What is offered to the buying leg, cheapest first.
        sell: What is bid to the selling leg, dearest first.
        terms: What it costs, and the least that it must earn.
        caps: What else limits it, beside the largest orders of the grid; of equal ones the first is named.

    Returns:
        The size; without lots where nothing that both sides take would earn enough, with the reason.
    """
    if not buy.levels or not sell.levels:
        return _no_size(grid, buy, sell, DEPTH, 0.0)
    wanted, depth = _wanted(buy, sell, terms.needed_bps)
    if wanted == 0.0:
        return _no_size(grid, buy, sell, EDGE, depth)  # what follows the best levels is worse
    cap = min((*caps, *_largest(grid, buy, sell)), key=_quantity)
    most, limit = (cap.quantity, cap.name) if cap.quantity < depth else (depth, DEPTH)
    whole = _lots(most, grid)
    lots = whole
    if wanted < most:
        # Profit has its top between two grid points; further along the same slopes nothing can be better.
        limit = EDGE
        lots = min(_lots(wanted, grid), whole)
        if lots < whole and _gain(lots + 1, grid, buy, sell, terms) > _gain(lots, grid, buy, sell, terms):
            lots += 1
    return _judged(lots, whole, grid, buy, sell, terms, limit, most)


def _judged(
    lots: int, whole: int, grid: SizeGrid, buy: Ladder, sell: Ladder, terms: Terms, limit: str, most: float
) -> Size:
    """The size if both sides take it; else the least that they take, if that still earns enough."""
    if not _is_taken(lots, grid, buy, sell):
        lots = max(lots + 1, _least_lots(grid, buy, sell))
        while lots <= whole and not _is_taken(lots, grid, buy, sell):
            lots += 1
        if lots > whole or _gain(lots, grid, buy, sell, terms) < 0.0:
            return _no_size(grid, buy, sell, limit, most)
    if terms.fixed > 0.0 and _gain(lots, grid, buy, sell, terms) < terms.fixed:
        return _no_size(grid, buy, sell, FIXED_COSTS, most)
    quantity = lots * grid.lot_float
    bought, sold = buy.average_price(quantity), sell.average_price(quantity)
    profit = quantity * (sold - bought * (1.0 + terms.costs_bps / 1e4)) - terms.fixed
    return Size(lots, lots * grid.lot, bought, sold, profit, limit, most, _least(grid, buy, sell))


def _no_size(grid: SizeGrid, buy: Ladder, sell: Ladder, limit: str, most: float) -> Size:
    least = _least(grid, buy, sell)
    bought = buy.best_price if buy.levels else 0.0
    sold = sell.best_price if sell.levels else 0.0
    if limit not in (EDGE, FIXED_COSTS) and most < least == grid.lot_float:
        limit = LOT
    return Size(0, _NOTHING, bought, sold, 0.0, limit, most, least)


def _largest(grid: SizeGrid, buy: Ladder, sell: Ladder) -> list[Cap]:
    sides = zip(grid.largest, (buy.best_price, sell.best_price), strict=True)
    return [Cap(one.name, one.at(price)) for one, price in sides]


def _wanted(buy: Ladder, sell: Ladder, needed_bps: float) -> tuple[float, float]:
    """Up to which quantity every unit's edge is at least what is needed, and what both sides offer; base units."""
    wanted = 0.0
    for step in steps((ChainLeg(buy, buys=True), ChainLeg(sell, buys=False))):
        # As a route is judged at its best prices: in the same order of operations.
        if (step.ratio - 1.0) * 1e4 < needed_bps:
            return wanted, min(buy.depth, sell.depth)
        wanted += step.quantity
    depth = min(buy.depth, sell.depth)
    return depth, depth


def _gain(lots: int, grid: SizeGrid, buy: Ladder, sell: Ladder, terms: Terms) -> float:
    """Quote units that so many lots earn beyond what they must."""
    quantity = lots * grid.lot_float
    return sell.notional(quantity) - buy.notional(quantity) * (1.0 + terms.needed_bps / 1e4)


def _is_taken(lots: int, grid: SizeGrid, buy: Ladder, sell: Ladder) -> bool:
    """Whether both sides take so many lots, and let them be closed again."""
    if lots < 1:
        return False
    quantity = lots * grid.lot_float
    lower = min(buy.average_price(quantity), sell.average_price(quantity))
    return quantity >= grid.min_quantity and quantity * lower >= grid.min_notional


def _least_lots(grid: SizeGrid, buy: Ladder, sell: Ladder) -> int:
    """At most one lot fewer than the least that both sides take."""
    by_notional = max(min(side.quantity_for(grid.min_notional), side.depth) for side in (buy, sell))
    return ceil(max(grid.min_quantity, by_notional) / grid.lot_float) - 1


def _least(grid: SizeGrid, buy: Ladder, sell: Ladder) -> float:
    prices = [side.best_price for side in (buy, sell) if side.levels]
    return grid.smallest(min(prices)) if prices else grid.smallest(inf)


def _lots(quantity: float, grid: SizeGrid) -> int:
    # A float quotient may fall just short of a whole number: that loses a lot, and never adds one.
    return int(quantity / grid.lot_float)


def _quantity(cap: Cap) -> float:
    return cap.quantity
