"""What is traded, and where."""

from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from pydantic import BaseModel, ConfigDict, Field


class Segment(StrEnum):
    """The market of a venue that an instrument belongs to."""

    SPOT = "spot"
    LINEAR = "linear"
    """Derivative margined and settled in the quote currency."""
    INVERSE = "inverse"
    """Derivative margined and settled in the base currency; quantity in contracts of quote units."""

    # As equality does; an enum's own hash is computed in Python, at each look at a feed.
    __hash__ = str.__hash__


class ListingStatus(StrEnum):
    """What a venue says of an instrument."""

    TRADING = "trading"
    HALTED = "halted"
    """For now."""
    DELISTING = "delisting"
    """Announced; it may still trade."""
    SETTLING = "settling"
    """Being delivered, or over."""
    UNKNOWN = "unknown"
    """The venue used a word that is not known: it must not be taken for trading."""


class Feed(BaseModel):
    """A venue's segment: one clock, one price format, one set of fees. Written `binance.linear`."""

    model_config = ConfigDict(frozen=True)

    venue: str
    segment: Segment

    def __str__(self) -> str:
        return f"{self.venue}.{self.segment}"

    @classmethod
    def parse(cls, text: str) -> "Feed":
        """Read `venue.segment`.

        Raises:
            ValueError: If the text is not of that form or names no segment.
        """
        venue, dot, segment = text.partition(".")
        if not venue or not dot:
            raise ValueError(f"{text!r} is not a feed; write VENUE.SEGMENT, for example binance.linear")
        return cls(venue=venue, segment=Segment(segment))


class Instrument(BaseModel):
    """A venue and ccxt's unified symbol, with the grid on which the venue accepts orders.

    `tick_size` is in quote per base, `lot_size` and `min_quantity` in the venue's quantity unit (base units,
    or contracts where `contract_multiplier` is not 1), `min_notional` in quote units; the largest ones alike.
    """

    model_config = ConfigDict(frozen=True)

    venue: str
    symbol: str
    """Unified: `BTC/USDT` spot, `BTC/USDT:USDT` linear, `BTC/USD:BTC` inverse."""
    segment: Segment
    base: str
    quote: str
    settle: str | None = None
    """The asset that margin, fees and profit are paid in; None for spot."""
    tick_size: Decimal = Field(gt=0)
    lot_size: Decimal = Field(gt=0)
    min_quantity: Decimal = Field(default=Decimal(0), ge=0)
    min_notional: Decimal = Field(default=Decimal(0), ge=0)
    max_quantity: Decimal | None = Field(default=None, gt=0)
    """Of one order; None: no limit is known."""
    max_market_quantity: Decimal | None = Field(default=None, gt=0)
    """Of one market order, which has to keep to `max_quantity` as well; None: to that alone."""
    max_notional: Decimal | None = Field(default=None, gt=0)
    """Of one order, at its limit price; None: no limit is known."""
    contract_multiplier: Decimal = Field(default=Decimal(1), gt=0)
    """Base units a contract (linear), quote units a contract (inverse); 1 where quantity is base units."""
    status: ListingStatus = ListingStatus.TRADING
    delivery_ns: int | None = None
    """When it is settled or taken off; None for what has no end in sight."""

    @property
    def id(self) -> str:
        """`venue:symbol`, unique across venues."""
        return f"{self.venue}:{self.symbol}"

    @property
    def feed(self) -> Feed:
        """The venue's segment that quotes it."""
        return _feed(self.venue, self.segment)

    @property
    def is_perpetual(self) -> bool:
        """Whether holding it pays or earns funding."""
        return self.segment is not Segment.SPOT

    def to_base(self, quantity: float, price: float) -> float:
        """Base units that `quantity` (venue units) stands for at `price`; the only conversion of quantities."""
        multiplier = float(self.contract_multiplier)
        if self.segment is Segment.INVERSE:
            return quantity * multiplier / price
        return quantity * multiplier

    def most(self, price: Decimal, *, at_market: bool) -> Decimal | None:
        """The largest quantity that one order may have at `price`, in whole lots; None: no limit is known."""
        told = [self.max_quantity, self.max_market_quantity if at_market else None]
        if self.max_notional is not None:
            worth = self.contract_multiplier * (1 if self.segment is Segment.INVERSE else price)
            told.append(self.max_notional / worth * (_MARKET_ROOM if at_market else 1))
        return min((self.floor_quantity(one) for one in told if one is not None), default=None)

    def floor_quantity(self, quantity: Decimal) -> Decimal:
        """The largest multiple of the lot not above `quantity`; quantities are never rounded up."""
        return _floor(quantity, self.lot_size)

    def floor_price(self, price: Decimal) -> Decimal:
        """The largest multiple of the tick not above `price`."""
        return _floor(price, self.tick_size)

    def ceil_price(self, price: Decimal) -> Decimal:
        """The smallest multiple of the tick not below `price`."""
        floor = _floor(price, self.tick_size)
        return floor if floor == price else floor + self.tick_size


_MARKET_ROOM = Decimal("0.95")
"""What a market order is worth is not known before, and venues have prices of their own for it."""


@lru_cache(maxsize=256)
def _feed(venue: str, segment: Segment) -> Feed:
    # One value for each, since it is asked for all the time; not on the instrument, whose copies would inherit it.
    return Feed(venue=venue, segment=segment)


def _floor(number: Decimal, step: Decimal) -> Decimal:
    # By remainder, which is exact: a quotient just below a whole number would round up at 28 digits.
    return number - number % step
