"""What of a quantity a venue takes as an order: price caps, lots, minimums and maximums."""

from decimal import Decimal
from functools import lru_cache

from bot.domain.instrument import Instrument, Segment
from bot.domain.market import TopOfBook
from bot.domain.order import Side


def decimal_price(price: float) -> Decimal:
    """The shortest decimal that reads back as this float: what the venue printed, for up to fifteen digits."""
    return Decimal(repr(price))


def touch(quote: TopOfBook, side: Side) -> Decimal:
    """The price that an order of `side` meets."""
    return decimal_price(quote.bid_price if side is Side.SELL else quote.ask_price)


def plain(number: Decimal, step: Decimal) -> Decimal:
    """A number on the grid without the zeros that a number of many digits has left behind: venues count digits."""
    short = number.quantize(step)
    return short if short == number else number


def own_touch(quote: TopOfBook, side: Side) -> Decimal:
    """The best price at which orders of `side` wait."""
    return touch(quote, side.opposite)


def capped_price(instrument: Instrument, side: Side, expected: Decimal, cap_bps: float) -> Decimal:
    """The limit price of an order that may be `cap_bps` worse than `expected`: on the tick, above zero, no worse."""
    cap = _fraction(cap_bps)
    if side is Side.BUY:
        price = instrument.floor_price(expected * (1 + cap))
    else:
        price = instrument.ceil_price(expected * (1 - cap))
    return max(price, instrument.tick_size)


@lru_cache(maxsize=64)
def _fraction(bps: float) -> Decimal:
    return decimal_price(bps) / 10_000


def resting_price(instrument: Instrument, side: Side, price: Decimal, quote: TopOfBook | None) -> Decimal:
    """The limit price of an order that waits: on the tick, no worse for us than `price`, and beyond no other's."""
    if side is Side.BUY:
        most = None if quote is None else instrument.ceil_price(touch(quote, side)) - instrument.tick_size
        price = instrument.floor_price(price if most is None else min(price, most))
    else:
        least = None if quote is None else instrument.floor_price(touch(quote, side)) + instrument.tick_size
        price = instrument.ceil_price(price if least is None else max(price, least))
    return plain(max(price, instrument.tick_size), instrument.tick_size)


def meets_minimum(instrument: Instrument, quantity: Decimal, price: Decimal, *, reduces: bool) -> bool:
    """Whether a venue takes an order of this size (venue units, on the lot grid) at `price`.

    What reduces a derivative position may be as small as one lot: a position must not stay.
    """
    if reduces and instrument.is_perpetual:
        return quantity > 0
    notional = quantity * instrument.contract_multiplier * price
    return quantity >= max(instrument.min_quantity, instrument.lot_size) and notional >= instrument.min_notional


def is_one_order(instrument: Instrument, quantity: Decimal, price: Decimal) -> bool:
    """Whether a venue takes a quantity (venue units), on its grid, as one limit order: `orders_for`, told at once."""
    most, worth = instrument.max_quantity, instrument.max_notional
    if most is not None and quantity > most:
        return False
    if worth is None:
        return True
    return quantity * instrument.contract_multiplier * (1 if instrument.segment is Segment.INVERSE else price) <= worth


def orders_for(instrument: Instrument, quantity: Decimal, price: Decimal, *, at_market: bool) -> int:
    """How many orders a quantity (venue units) takes at `price`: more than one where its venue takes less in one."""
    most = instrument.most(price, at_market=at_market)
    if most is None or quantity <= most:
        return 1
    whole, rest = divmod(quantity, max(most, instrument.lot_size))
    return int(whole) + bool(rest)


def part(quantity: Decimal, count: int, lot: Decimal) -> Decimal:
    """The first of `count` parts of a quantity, about equal: no rest is left at the end that is below a minimum."""
    return quantity if count == 1 else quantity // lot // count * lot


def one_order(instrument: Instrument, quantity: Decimal, price: Decimal, *, at_market: bool) -> Decimal:
    """What of a quantity goes into the next order: all of it where its venue takes that."""
    return part(quantity, orders_for(instrument, quantity, price, at_market=at_market), instrument.lot_size)
