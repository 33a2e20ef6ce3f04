"""A pair: two legs that are opened together, held, and closed together.

A round trip is a pair whose two sides are one instrument, traded one way and later back: it has one leg, which is both
its `buy` and its `sell`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from bot.clock import Timer
from bot.domain.instrument import Instrument
from bot.domain.order import Fill, Order, OrderStatus, Side
from bot.domain.route import Opportunity
from bot.execution.episode import Episode
from bot.execution.grid import decimal_price
from bot.execution.reasons import LATE_FILL


class PairState(StrEnum):
    """Where a pair is in its life."""

    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    IN_FLIGHT = "in_flight"
    """Of a chain: its amount is between two venues."""
    CLOSED = "closed"
    MISSED = "missed"
    """Nothing was filled."""
    FAILED = "failed"
    """It could not be opened whole: what was filled has been unwound, or the bot is HALTED."""

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is held any more."""
        return self in (PairState.CLOSED, PairState.MISSED, PairState.FAILED)


@dataclass(slots=True)
class PairLeg:
    """What one side of a pair has done so far."""

    instrument: Instrument
    side: Side
    """Of the opening trade."""
    expected_price: Decimal
    held: Decimal = Decimal(0)
    """Signed base units: fills, less what the venue took as a fee in the base asset."""
    opened_quantity: Decimal = Decimal(0)
    opened_notional: Decimal = Decimal(0)
    carried: Decimal = Decimal(0)
    """Signed base units of dust that earlier pairs left here, and that this pair's closing takes along."""

    @property
    def net(self) -> Decimal:
        """Signed base units that closing has to undo."""
        return self.held + self.carried

    def on_fill(self, fill: Fill) -> None:
        """Count one fill of this leg."""
        base = fill.quantity * self.instrument.contract_multiplier
        self.held += fill.side.sign * base
        if fill.fee_asset == self.instrument.base and not self.instrument.is_perpetual:
            self.held -= fill.fee
        if fill.side is self.side:
            self.opened_quantity += base
            self.opened_notional += base * fill.price

    @property
    def average_open_price(self) -> Decimal | None:
        """Quote units per base unit; None before the first fill."""
        return self.opened_notional / self.opened_quantity if self.opened_quantity else None

    def closable(self) -> Decimal:
        """What can be traded away, in venue units on the lot grid; the rest is dust."""
        return self.instrument.floor_quantity(abs(self.net) / self.instrument.contract_multiplier)


@dataclass(slots=True)
class Pair:
    """One attempt at a route, from the decision to flat."""

    id: str
    opportunity: Opportunity
    buy: PairLeg
    sell: PairLeg
    opened_ns: int
    state: PairState = PairState.OPENING
    pending: set[str] = field(default_factory=set)
    """Client order ids that have no final state yet."""
    fruitless_rounds: int = 0
    """Rounds since the last fill."""
    completions: int = 0
    """Orders for a missing leg in a row that brought nothing."""
    has_given_up: bool = False
    """It is not completed any more: what one leg is ahead is unwound."""
    is_frozen: bool = False
    """A person halted before this run, and has not said what is to become of it: nothing of it is sent."""
    leaves_by_maker: bool = False
    """Its closing begins with orders that rest."""
    must_pause: bool = False
    """A round has ended, or is on its way, that has filled nothing: the next one waits for a moment."""
    retry: Timer | None = None
    """Set while it waits for that moment."""
    close_reason: str | None = None
    told_waiting: set[str] = field(default_factory=set)
    """Instruments by id, of which a person has been told that a rest waits there until other pairs end."""
    exit_expected: tuple[Decimal, Decimal] | None = None
    """Buy-back price of the sold side, sell price of the bought side, when closing was decided."""
    closed_ns: int | None = None
    orders: dict[str, tuple[Order, str, Decimal]] = field(default_factory=dict)
    """By client order id: newest state, leg name, price expected at the decision."""
    filled: dict[str, Decimal] = field(default_factory=dict)
    """By client order id: what its fills sum to, venue units."""
    fill_ids: set[tuple[str, str]] = field(default_factory=set)
    """Instrument and fill id of every fill counted: a venue may tell one twice."""
    evening: set[str] = field(default_factory=set)
    """Client ids of the orders that were to make it even."""
    sent_ns: dict[str, int] = field(default_factory=dict)
    """By client order id: when it left, monotonic."""
    uneven: Episode | None = None
    """Set while it is uneven, or may be for all that is known."""
    episodes: list[Episode] = field(default_factory=list)
    """The times when it was, that took longer than a moment or cost something."""

    @property
    def is_round_trip(self) -> bool:
        """Whether both sides are one leg."""
        return self.buy is self.sell

    @property
    def legs(self) -> tuple[PairLeg, ...]:
        """Bought side, sold side; a round trip's only one."""
        return (self.buy,) if self.is_round_trip else (self.buy, self.sell)

    @property
    def imbalance(self) -> Decimal:
        """Signed base units that one leg holds and the other does not hedge: all that a round trip holds."""
        return self.buy.net if self.is_round_trip else self.buy.net + self.sell.net

    def waiting(self) -> Iterator[Order]:
        """Its orders without a final state, in the order in which they were made: a set has none that is the same
        in every run."""
        return (order for order, _, _ in list(self.orders.values()) if order.client_order_id in self.pending)

    @property
    def is_live(self) -> bool:
        """Whether an order of it that takes is written down or on its way: its answer decides what comes next."""
        return any(not o.time_in_force.rests and o.status is not OrderStatus.UNKNOWN for o in self.waiting())

    @property
    def has_unknown(self) -> bool:
        """Whether nobody knows what became of one of its orders."""
        return any(order.status is OrderStatus.UNKNOWN and self.left_of(order) for order in self.waiting())

    def left_of(self, order: Order) -> Decimal:
        """What of an order its fills have left, venue units."""
        return order.quantity - self.filled.get(order.client_order_id, Decimal(0))

    def is_busy(self, leg: PairLeg) -> bool:
        """Whether an order on this leg may still be filled: no second one is sent beside it."""
        return any(order.instrument.id == leg.instrument.id and self.left_of(order) for order in self.waiting())

    def other(self, leg: PairLeg) -> PairLeg:
        """The leg across."""
        return self.sell if leg is self.buy else self.buy

    def expected(self, side: Side) -> Decimal:
        """The price that the decision expected to buy or sell at; a round trip's way back has no leg of its own."""
        if self.is_round_trip and self.buy.side is not side:
            opportunity = self.opportunity
            return decimal_price(opportunity.buy_price if side is Side.BUY else opportunity.sell_price)
        return (self.buy if side is Side.BUY else self.sell).expected_price

    def held_by(self, side: Side) -> Decimal:
        """What the leg that opened by trading this way holds, signed base units."""
        leg = self.buy if side is Side.BUY else self.sell
        return leg.held if leg.side is side else Decimal(0)

    def leg_of(self, instrument: Instrument) -> PairLeg:
        """The leg that trades this instrument."""
        return self.buy if instrument.id == self.buy.instrument.id else self.sell

    def opens(self, order: Order) -> bool:
        """Whether the order, one of its own, adds to the pair; any other reduces it.

        The side does not tell: a leg that was traded away twice is evened by its opening side.
        """
        return is_opening(self.orders[order.client_order_id][1])

    def count(self, fill: Fill) -> bool:
        """Count a fill of one of its orders, once; False where it was counted before."""
        key = (fill.instrument.id, fill.fill_id)
        if key in self.fill_ids:
            return False
        self.fill_ids.add(key)
        self.filled[fill.client_order_id] = self.filled.get(fill.client_order_id, Decimal(0)) + fill.quantity
        self.leg_of(fill.instrument).on_fill(fill)
        return True

    def reopen(self) -> None:
        """It was over, and an order of it was filled after all: what that brought is seen off."""
        keeps = self.state is PairState.CLOSED and not self.opportunity.route.closing
        self.state = PairState.OPENING if keeps else PairState.CLOSING
        self.has_given_up = True
        self.close_reason = self.close_reason or LATE_FILL
        self.closed_ns = None

    def carried(self) -> dict[str, str]:
        """What its legs take along of the dust that lay there, as the journal keeps it."""
        return {"buy": str(self.buy.carried), "sell": str(self.sell.carried)}


def is_opening(leg_name: str) -> bool:
    """Whether orders of this name (`open_buy`, `hedge_sell`, `close_sell`) add to their pair."""
    return leg_name.startswith("open")
