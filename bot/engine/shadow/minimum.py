"""How small a real order may be, and the last look at each before it leaves."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from math import ceil

from bot.domain.account import Balance, Position
from bot.domain.instrument import Instrument
from bot.domain.market import TopOfBook
from bot.domain.order import Order, Side
from bot.errors import OrderRejected
from bot.execution.pair import Pair, PairLeg
from bot.ports import Actions
from bot.pricing.sizing import SizeGrid, size_grid

ROOM = 0.02
"""The price may have fallen by so much since the size was chosen: a least notional is more units then."""
_ROUNDING = 1e-9


def least_quantity(grid: SizeGrid, price: float) -> Decimal:
    """The smallest base quantity that both sides of a route take at `price`, and that can be closed again.

    On the lot grid of both; the coarser minimum counts. Spot has room for the fee that is taken from it
    (`bot.pricing.sizing.EXIT_ROOM`).
    """
    lots = ceil(grid.smallest(price) / grid.lot_float - _ROUNDING)
    return max(lots, 1) * grid.lot


class MinimumSizeActions:
    """`bot.ports.Actions` that lets no order pass which is larger than the smallest, whatever wants it sent.

    An order that adds to a leg may not make it larger than `least_quantity`, counted anew from the instruments and
    the quotes of this moment; one that reduces it, not more than the leg holds. An order of a pair that it does not
    know, or of more than `max_notional`, does not leave at all.
    """

    def __init__(
        self,
        actions: Actions,
        *,
        pairs: Callable[[], Mapping[str, Pair]],
        quotes: Callable[[Instrument], TopOfBook | None],
        price_cap_bps: float,
        max_notional: Decimal,
        on_refused: Callable[[str], None],
    ) -> None:
        """Build it.

        Args:
            actions: Where orders go that pass.
            pairs: Of the executor whose orders come here, by id.
            quotes: The newest quote of an instrument.
            price_cap_bps: How far off the quote limits may be.
            max_notional: Quote units; nothing that adds may be larger, whatever a venue calls its minimum.
            on_refused: Hears of an order that was to leave and may not: a bug of ours.
        """
        self._actions = actions
        self._pairs = pairs
        self._quotes = quotes
        self._price_cap_bps = price_cap_bps
        self._max_notional = max_notional
        self._on_refused = on_refused

    def submit(self, order: Order) -> None:
        """Send it, if it is small enough.

        Raises:
            OrderRejected: If it is not; the venue was not asked.
        """
        why = self.too_large(order)
        if why is not None:
            self._on_refused(f"order {order.client_order_id} on {order.instrument.id} was not sent: {why}")
            raise OrderRejected(order.client_order_id, why)
        self._actions.submit(order)

    def too_large(self, order: Order) -> str | None:
        """Why the order may not leave; None: it may."""
        pair = self._pairs().get(order.client_order_id.rpartition("-")[0])
        if pair is None or order.instrument.id not in {leg.instrument.id for leg in pair.legs}:
            return "it belongs to no twin"
        leg = pair.leg_of(order.instrument)
        base = order.quantity * order.instrument.contract_multiplier
        held = max(-order.side.sign * leg.net, Decimal(0))  # a leg that was traded away twice is held the other way
        if order.side is leg.side and base > held:
            return self._adds_too_much(pair, leg, order, base)
        return None if base <= held else f"{base:f} {order.instrument.base}, and {held:f} are held"

    def _adds_too_much(self, pair: Pair, leg: PairLeg, order: Order, base: Decimal) -> str | None:
        grid = size_grid(pair.buy.instrument, pair.sell.instrument, self._price_cap_bps)
        price = min(self._price(one) for one in pair.legs)
        most = least_quantity(grid, float(price) * (1.0 - ROOM))
        others = sum(
            (pair.left_of(one) for one in pair.waiting() if _adds_beside(one, order)), Decimal(0)
        ) * order.instrument.contract_multiplier  # fmt: skip
        whole = max(leg.held * leg.side.sign, Decimal(0)) + others + base
        if whole > most:
            return f"{whole:f} {order.instrument.base}, and {most:f} is the minimum"
        notional = whole * price
        if notional > self._max_notional:
            return f"{notional:.2f} {order.instrument.quote}, and shadow.max_order_notional is {self._max_notional:f}"
        return None

    def _price(self, leg: PairLeg) -> Decimal:
        quote = self._quotes(leg.instrument)
        if quote is None:
            return leg.expected_price
        return min(leg.expected_price, Decimal(repr(quote.bid_price)))

    def cancel(self, order: Order) -> None:
        """As the venue does."""
        self._actions.cancel(order)

    def balances(self) -> Sequence[Balance]:
        """As the venue tells."""
        return self._actions.balances()

    def positions(self) -> Sequence[Position]:
        """As the venue tells."""
        return self._actions.positions()

    def affordable_notional(self, instrument: Instrument, side: Side, price: float) -> float:
        """As the venue tells."""
        return self._actions.affordable_notional(instrument, side, price)


def _adds_beside(other: Order, order: Order) -> bool:
    same = other.instrument.id == order.instrument.id and other.side is order.side
    return same and other.client_order_id != order.client_order_id
