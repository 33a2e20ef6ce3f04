"""What an instrument's top of book still offers us, after what we took from it ourselves."""

from decimal import Decimal
from math import isfinite

from bot.domain.instrument import Instrument
from bot.domain.market import TopOfBook
from bot.domain.order import Side
from bot.matching.cash import exact, from_float

_NOTHING = Decimal(0)


class _Taken:
    """What we took of one side, at the price that the side shows."""

    __slots__ = ("price", "quantity")

    def __init__(self) -> None:
        self.price = 0.0
        self.quantity = _NOTHING

    def at(self, price: float) -> Decimal:
        return self.quantity if price == self.price else _NOTHING

    def follow(self, price: float) -> None:
        if price != self.price:
            self.price = price
            self.quantity = _NOTHING


class VisibleBook:
    """The best bid and ask of one instrument, less our own fills.

    What we took at a price stays taken until that side's price changes: the market that sent the quotes never saw
    our order, so its next quote at the same price still counts what we already have. A price that leaves and comes
    back is offered in full again.
    """

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self._quote: TopOfBook | None = None
        self._asks = _Taken()
        self._bids = _Taken()

    @property
    def is_used(self) -> bool:
        """Whether we have taken something that a quote at the same price would still show."""
        return self._asks.quantity > 0 or self._bids.quantity > 0

    def on_quote(self, quote: TopOfBook) -> None:
        """Take over a new top of book. While `is_used`, none may be left out."""
        self._quote = quote
        self._asks.follow(quote.ask_price)
        self._bids.follow(quote.bid_price)

    def withdraw(self) -> None:
        """There is no valid quote now; what we took is remembered until a price says otherwise."""
        self._quote = None

    def touch(self, side: Side) -> Decimal | None:
        """The price that an order of `side` meets: best ask for a buy, best bid for a sell.

        None without a quote, or where price or size is not a positive finite number.
        """
        shown = self._shown(side)
        return None if shown is None else from_float(shown[0])

    @exact
    def available(self, side: Side) -> Decimal:
        """How much an order of `side` can take at the touch, in whole lots of the venue's quantity unit."""
        shown = self._shown(side)
        if shown is None:
            return _NOTHING
        price, quantity = shown
        left = from_float(quantity) - self._side(side).at(price)
        return max(_NOTHING, left - left % self.instrument.lot_size)

    @exact
    def take(self, side: Side, quantity: Decimal, limit_price: Decimal | None = None) -> list[tuple[Decimal, Decimal]]:
        """Fill up to `quantity` from what is shown, and remember it as taken.

        Args:
            side: Of our order.
            quantity: Above zero, on the lot grid; what lies beyond the top of book is unknown and never filled.
            limit_price: The worst price to take; None takes any.

        Returns:
            (price, quantity) of each fill, best first; empty where nothing may be taken.
        """
        price = self.touch(side)
        if price is None or (limit_price is not None and side.sign * (price - limit_price) > 0):
            return []
        filled = min(quantity, self.available(side))
        if filled <= 0:
            return []
        self._side(side).quantity += filled
        return [(price, filled)]

    def _side(self, side: Side) -> _Taken:
        return self._asks if side is Side.BUY else self._bids

    def _shown(self, side: Side) -> tuple[float, float] | None:
        quote = self._quote
        if quote is None:
            return None
        buy = side is Side.BUY
        price, quantity = (quote.ask_price, quote.ask_qty) if buy else (quote.bid_price, quote.bid_qty)
        usable = isfinite(price) and isfinite(quantity) and price > 0 and quantity > 0
        return (price, quantity) if usable else None
