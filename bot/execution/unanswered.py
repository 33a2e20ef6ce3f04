"""Orders without an answer: UNKNOWN after a time, never sent again, counted by venue until the truth comes.

Whoever carries an order to its venue goes on asking what became of it.
"""

from collections import Counter
from collections.abc import Callable
from typing import Generic, TypeVar

from bot.domain.order import Order, OrderStatus
from bot.execution.order_owner import OrderOwner

_Of = TypeVar("_Of", bound=OrderOwner)


class Unanswered(Generic[_Of]):
    """The orders whose outcome nobody knows."""

    def __init__(self, record: Callable[[_Of, Order], None], on_alarm: Callable[[_Of, str], None]) -> None:
        """Nothing is unknown yet. `record` writes an order's new state down; `on_alarm` hears of each that is lost."""
        self._record = record
        self._on_alarm = on_alarm
        self._counts: Counter[str] = Counter()

    def at(self, venue: str) -> int:
        """How many there are at a venue."""
        return self._counts[venue]

    def mark(self, owner: _Of, client_order_id: str) -> Order:
        """From now on nobody knows what became of it; returns it in that state."""
        order, leg_name, expected = owner.orders[client_order_id]
        unknown = order.model_copy(update={"status": OrderStatus.UNKNOWN})
        owner.orders[client_order_id] = (unknown, leg_name, expected)
        self._counts[order.instrument.venue] += 1
        self._record(owner, unknown)
        return unknown

    def lose_sight(self, owner: _Of, client_order_id: str) -> None:
        """Wait for its answer no longer, and say so."""
        order = self.mark(owner, client_order_id)
        where = f"order {client_order_id} on {order.instrument.id}"
        self._on_alarm(owner, f"{where} has no answer: its outcome is unknown")

    def waited_for(self, owner: _Of) -> list[Order]:
        """Every order that takes, and has no answer yet."""
        sent = [o for o in owner.waiting() if o.status in (OrderStatus.SENT, OrderStatus.PARTIALLY_FILLED)]
        return [order for order in sent if not order.time_in_force.rests]

    def on_news(self, before: Order, order: Order) -> None:
        """An order has a new state: the outcome of one that was unknown may be known now."""
        if before.status is OrderStatus.UNKNOWN and order.status is not OrderStatus.UNKNOWN:
            self._counts[order.instrument.venue] -= 1
