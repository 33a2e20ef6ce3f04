"""What an instrument's book still offers us, after what we took from it ourselves."""

from decimal import Decimal
from math import isfinite

from bot.domain.instrument import Instrument
from bot.domain.market import TopOfBook
from bot.domain.order import Side
from bot.domain.order_book import OrderBook, offered
from bot.matching.cash import exact, from_float

_NOTHING = Decimal(0)


class _Taken:
    """What we took of one side, by price; prices better than the best one now are gone and forgotten."""

    __slots__ = ("_best", "_by_price", "_sign")

    def __init__(self, side: Side) -> None:
        self._sign = side.sign
        self._best = 0.0
        self._by_price: dict[float, Decimal] = {}

    def __bool__(self) -> bool:
        return bool(self._by_price)

    def at(self, price: float) -> Decimal:
        return self._by_price.get(price, _NOTHING)

    def add(self, price: float, quantity: Decimal) -> None:
        self._by_price[price] = self.at(price) + quantity

    def follow(self, best: float, *, sees_behind: bool) -> None:
        """The side's best price is this one now; `sees_behind`: levels behind it are known to stand still."""
        if best != self._best:
            self._best = best
            if self._by_price:
                self._by_price = {
                    price: quantity
                    for price, quantity in self._by_price.items()
                    if price == best or (sees_behind and self._sign * price > self._sign * best)
                }


class VisibleBook:
    """What a quote, and an order book where there is one, show of one instrument, less our own fills.

    What we took at a price stays taken until that price is no longer on offer: the market that sent the quotes never
    saw our order, so its next quote at the same price still counts what we already have. A price that leaves and comes
    back is offered in full again.
    """

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self._quote: TopOfBook | None = None
        self._book: OrderBook | None = None
        self._asks = _Taken(Side.BUY)
        self._bids = _Taken(Side.SELL)

    @property
    def is_used(self) -> bool:
        """Whether we have taken something that a quote at the same price would still show."""
        return bool(self._asks) or bool(self._bids)

    def on_quote(self, quote: TopOfBook, book: OrderBook | None = None) -> None:
        """Take over a new top of book, and what stands behind it. While `is_used`, none may be left out."""
        self._quote = quote
        self._book = book
        self._asks.follow(quote.ask_price, sees_behind=book is not None)
        self._bids.follow(quote.bid_price, sees_behind=book is not None)

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
        return self._left(side, *shown)

    @exact
    def take(self, side: Side, quantity: Decimal, limit_price: Decimal | None = None) -> list[tuple[Decimal, Decimal]]:
        """Fill up to `quantity` from what is shown, level by level, and remember it as taken.

        Args:
            side: Of our order.
            quantity: Above zero, on the lot grid; what lies beyond what is shown is unknown and never filled.
            limit_price: The worst price to take; None takes any.

        Returns:
            (price, quantity) of each fill, best first; empty where nothing may be taken.
        """
        fills = self._walk(side, quantity, limit_price)
        for level, _, filled in fills:
            self._side(side).add(level, filled)
        return [(price, filled) for _, price, filled in fills]

    @exact
    def would_take(
        self, side: Side, quantity: Decimal, limit_price: Decimal | None = None
    ) -> list[tuple[Decimal, Decimal]]:
        """What `take` would answer now; nothing is taken."""
        return [(price, filled) for _, price, filled in self._walk(side, quantity, limit_price)]

    def _walk(self, side: Side, quantity: Decimal, limit_price: Decimal | None) -> list[tuple[float, Decimal, Decimal]]:
        """(level, price, quantity) of what is there, best first."""
        quote = self._quote
        if quote is None or self._shown(side) is None:
            return []
        fills: list[tuple[float, Decimal, Decimal]] = []
        for level, shown in offered(quote, self._book, side):
            price = from_float(level)
            if quantity <= 0 or (limit_price is not None and side.sign * (price - limit_price) > 0):
                break
            filled = min(quantity, self._left(side, level, shown))
            if filled > 0:
                fills.append((level, price, filled))
                quantity -= filled
        return fills

    def _left(self, side: Side, price: float, shown: float) -> Decimal:
        left = from_float(shown) - self._side(side).at(price)
        return max(_NOTHING, left - left % self.instrument.lot_size)

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
