"""Our instructions and what became of them. Money is `Decimal`."""

from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.instrument import Instrument, Segment


class Side(StrEnum):
    """Which way an order trades."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, −1 for a sell."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> "Side":
        """The side that undoes it."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """How the price is set."""

    LIMIT = "limit"
    MARKET = "market"


class TimeInForce(StrEnum):
    """How long an order lives."""

    IOC = "ioc"
    """Fill what is there, cancel the rest."""
    GTC = "gtc"
    POST_ONLY = "post_only"
    """Rests until it is filled or cancelled; refused where it would trade at once."""

    @property
    def rests(self) -> bool:
        """Whether it may wait in the book for somebody to come."""
        return self is not TimeInForce.IOC


class OrderStatus(StrEnum):
    """Where an order is in its life."""

    INTENT = "intent"
    """Written down, not yet sent."""
    SENT = "sent"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    EXPIRED = "expired"
    """IOC remainder: what was not filled is gone."""
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    """Sent, no answer: ask by client order id."""

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more can happen to it."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {OrderStatus.FILLED, OrderStatus.EXPIRED, OrderStatus.CANCELLED, OrderStatus.REJECTED},
)


class Order(BaseModel):
    """One instruction to one venue, and its state. A new state is a new value."""

    model_config = ConfigDict(frozen=True)

    client_order_id: str = Field(min_length=1, max_length=36, pattern=r"^[A-Za-z0-9_-]+$")
    """Ours; accepted by Binance and Bybit alike."""
    instrument: Instrument
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal = Field(gt=0)
    """In the venue's quantity unit, on its lot grid."""
    price: Decimal | None = Field(default=None, gt=0)
    """None for a market order."""
    reduce_only: bool = False
    reduces_risk: bool = Field(default=False, exclude=True)
    """It evens out or closes what is held, whatever the venue knows of that: what is kept of a request budget for
    cancels and hedges is there for it."""
    status: OrderStatus = OrderStatus.INTENT
    filled_quantity: Decimal = Decimal(0)
    average_price: Decimal | None = None
    venue_order_id: str | None = None
    reason: str | None = None
    """Why it was rejected or expired, in the venue's words."""
    ts_decision_ns: int
    ts_sent_ns: int | None = None
    ts_final_ns: int | None = None


class Fill(BaseModel):
    """Part of one of our orders done."""

    model_config = ConfigDict(frozen=True)

    fill_id: str
    """The venue's trade id; unique with the instrument."""
    client_order_id: str
    instrument: Instrument
    side: Side
    price: Decimal = Field(gt=0)
    quantity: Decimal = Field(gt=0)
    fee: Decimal
    """In `fee_asset`; positive is paid, negative is a rebate."""
    fee_asset: str
    is_maker: bool
    ts_event_ns: int
    charged_bps: Decimal | None = Field(default=None, exclude_if=lambda bps: bps is None)
    """What a fee in a venue's token was worth when it was taken: bps of notional, discounts taken off, as the fee
    schedule of that moment said. None for every other fee, and where none was known."""
    forced: str = Field(default="", exclude=True)
    """Why the venue itself traded a position of ours: `liquidation`, `adl` or `delisting`; empty where an order of ours
    did."""

    @property
    def notional(self) -> Decimal:
        """What it traded, quote units; an inverse contract is an amount of them."""
        contracts = self.quantity * self.instrument.contract_multiplier
        return contracts if self.instrument.segment is Segment.INVERSE else contracts * self.price
