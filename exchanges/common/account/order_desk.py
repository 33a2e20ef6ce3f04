"""What is known of every order that was sent: its fills, once each, and then its final state, once.

A venue tells of one order in several ways (answer, private stream, queries), late, twice and in any order. The desk
takes all of it and tells the listener a story that adds up: a final state waits until the fills that it counts have
been told.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from bot.clock import Clock
from bot.domain.instrument import Instrument
from bot.domain.order import Fill, Order, OrderStatus
from bot.errors import InvariantError, OrderRejected
from bot.ports import OrderListener
from bot.ports.account import OrderFound

_REMEMBERED = 100_000
"""Orders that are over and whose late or repeated news is still recognised."""


@dataclass(frozen=True, slots=True)
class OrderReport:
    """What a venue says of an order, by whatever way."""

    client_order_id: str
    status: OrderStatus
    """SENT while it is open and unfilled."""
    filled_quantity: Decimal
    """In all so far, venue units."""
    venue_order_id: str | None = None
    reason: str | None = None
    """In the venue's words, where it says one."""

    def on(self, instrument: Instrument) -> OrderFound:
        """The same, said of an order on this instrument."""
        return OrderFound(
            self.client_order_id, instrument, self.status, self.filled_quantity, self.venue_order_id, self.reason
        )


@dataclass(slots=True, eq=False)
class Flight:
    """One order on its way, and what is known of it."""

    order: Order
    begun_ns: int
    """When it was taken, monotonic."""
    filled: Decimal = Decimal(0)
    notional: Decimal = Decimal(0)
    """Sum of price × quantity of its fills."""
    fill_ids: set[str] = field(default_factory=set)
    known: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the venue has said that it knows it, or it is over."""
    is_over: bool = False
    """Its final state has been told."""
    open_at_venue: bool = False
    cancel_asked: bool = False
    cancelled_ns: int | None = None
    """When the venue last took a cancel of it, monotonic; None before, and while one is on its way."""
    claim: OrderReport | None = None
    """A final state that waits for fills."""
    unknown_since_ns: int | None = None
    """When the venue said first that it knows no such order, monotonic; None where it has not, or knows it."""
    given_up: bool = False
    """It never arrived, as far as anybody could tell."""
    is_stray: bool = False
    """It did, after that."""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when somebody who waits for this order should look again."""

    @property
    def left(self) -> Decimal:
        """What has not been filled, venue units."""
        return self.order.quantity - self.filled


class OrderDesk:
    """The orders of one venue; no I/O. All calls come on the engine's thread."""

    def __init__(self, clock: Clock, listener: OrderListener | None = None) -> None:
        self.listener = listener
        self._clock = clock
        self._flying: dict[str, Flight] = {}
        self._over: dict[str, Flight] = {}
        self._forced: set[tuple[str, str]] = set()
        self.on_stray: Callable[[Flight], None] = lambda flight: None
        """Called with an order that was given up, and of which the venue tells something after all."""

    @property
    def flying(self) -> Iterable[Flight]:
        """Orders whose final state has not been told."""
        return self._flying.values()

    @property
    def in_flight(self) -> int:
        """How many of them there are."""
        return len(self._flying)

    def check(self, order: Order) -> None:
        """Whether `open` will take it.

        Raises:
            OrderRejected: If its client order id was used before; the listener hears nothing then.
            InvariantError: If nobody listens.
        """
        if self.listener is None:
            raise InvariantError(f"{order.instrument.venue} was given an order before it was given a listener")
        if self.find(order.client_order_id) is not None:
            raise OrderRejected(order.client_order_id, "duplicate client order id")

    def takes(self, order: Order) -> bool:
        """Whether `check` would raise nothing."""
        return self.listener is not None and self.find(order.client_order_id) is None

    def open(self, order: Order) -> Flight:
        """Take an order that is about to be sent.

        Raises:
            OrderRejected: If its client order id was used before; the listener hears nothing then.
            InvariantError: If nobody listens.
        """
        self.check(order)
        if order.ts_sent_ns is None:
            order = order.model_copy(update={"ts_sent_ns": self._clock.now_ns()})
        flight = self._flying[order.client_order_id] = Flight(order, self._clock.monotonic_ns())
        return flight

    def find(self, client_order_id: str) -> Flight | None:
        """The order, flying or over; None where it is not ours, or over for very long."""
        return self._flying.get(client_order_id) or self._over.get(client_order_id)

    def on_fill(self, fill: Fill) -> bool:
        """Tell a fill; False where it was told before, or is of no order of ours.

        A fill that comes after the final state is told as well: money has moved.
        """
        flight = self.find(fill.client_order_id)
        if flight is None and fill.forced:
            return self._on_forced(fill)
        if flight is None or fill.fill_id in flight.fill_ids:
            return False
        flight.fill_ids.add(fill.fill_id)
        flight.known.set()
        flight.filled += fill.quantity
        flight.notional += fill.quantity * fill.price
        assert self.listener is not None, "checked when the order was opened"
        self.listener.on_fill(fill)
        self._settle(flight)
        return True

    def _on_forced(self, fill: Fill) -> bool:
        """The venue traded a position away; told once, however often it says so."""
        key = (fill.instrument.id, fill.fill_id)
        if key in self._forced or self.listener is None:
            return False
        self._forced.add(key)
        self.listener.on_fill(fill)
        return True

    def on_report(self, report: OrderReport) -> None:
        """Take what the venue says; the first final state counts, once its fills are here."""
        flight = self._flying.get(report.client_order_id)
        if flight is None:
            over = self._over.get(report.client_order_id)
            if over is not None and over.given_up:
                self.on_stray(over)
            return
        flight.known.set()
        flight.open_at_venue = not report.status.is_terminal
        is_credible = report.status is not OrderStatus.FILLED or report.filled_quantity > 0  # a quantity was left out
        if report.status.is_terminal and is_credible:
            claimed = flight.claim
            # A later answer may know of more fills: a venue's two copies of an order need not agree at once.
            if claimed is None or report.filled_quantity > claimed.filled_quantity:
                flight.claim = report
                flight.news.set()
            self._settle(flight)

    def reject(self, client_order_id: str, reason: str) -> None:
        """Nothing came of it; `reason` in the venue's words. An order with fills is not told so."""
        flight = self._flying.get(client_order_id)
        if flight is not None and not flight.filled:
            self._finish(flight, OrderReport(client_order_id, OrderStatus.REJECTED, Decimal(0), None, reason))

    def _settle(self, flight: Flight) -> None:
        claim = flight.claim
        if claim is not None and not flight.is_over and flight.filled >= claim.filled_quantity:
            self._finish(flight, claim)

    def _finish(self, flight: Flight, report: OrderReport) -> None:
        client_order_id = flight.order.client_order_id
        del self._flying[client_order_id]
        self._over[client_order_id] = flight
        if len(self._over) > _REMEMBERED:
            del self._over[next(iter(self._over))]
        flight.is_over = True
        flight.known.set()
        flight.news.set()
        assert self.listener is not None, "checked when the order was opened"
        self.listener.on_order(self._final(flight, report))

    def _final(self, flight: Flight, report: OrderReport) -> Order:
        status = report.status
        if flight.filled >= flight.order.quantity:
            status = OrderStatus.FILLED
        elif flight.filled and status is OrderStatus.REJECTED:
            # A venue may fill a part and refuse the rest; REJECTED means here that nothing was traded.
            status = OrderStatus.CANCELLED
        return flight.order.model_copy(
            update={
                "status": status,
                "filled_quantity": flight.filled,
                "average_price": flight.notional / flight.filled if flight.filled else None,
                "venue_order_id": report.venue_order_id,
                "reason": None if status is OrderStatus.FILLED else report.reason,
                "ts_final_ns": self._clock.now_ns(),
            }
        )
