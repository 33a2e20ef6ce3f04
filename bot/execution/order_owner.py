"""What orders belong to, as those see it who write them down, send them and follow them: a pair, or a chain."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Protocol

from bot.domain.order import Order


class OrderOwner(Protocol):
    """A pair or a chain."""

    id: str
    orders: dict[str, tuple[Order, str, Decimal]]
    pending: set[str]
    filled: dict[str, Decimal]
    sent_ns: dict[str, int]

    def waiting(self) -> Iterator[Order]:
        """Its orders without a final state, in the order in which they were made."""
