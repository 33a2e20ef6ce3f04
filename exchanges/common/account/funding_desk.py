"""Funding payments, each told once."""

import asyncio
from collections.abc import Callable, Iterable

from bot.domain.account import FundingPayment

OnFunding = Callable[[FundingPayment], None]
LATE_NS = 60_000_000_000
"""A venue's books may tell of a payment so much later than of another that was settled after it."""
_REMEMBERED = 10_000


class FundingDesk:
    """Tells each funding payment once, however often and by whatever way it is heard of."""

    def __init__(self, on_funding: OnFunding | None = None) -> None:
        self.on_funding = on_funding
        self.due = asyncio.Event()
        """Set when a venue says that funding was settled, and not how much on what: it has to be asked for."""
        self._told: dict[tuple[str, int], None] = {}

    def remember(self, told: Iterable[tuple[str, int]]) -> None:
        """Payments (instrument id, time) that an earlier process was told: they are never told again."""
        self._told.update(dict.fromkeys(told))

    def take(self, payment: FundingPayment) -> bool:
        """Tell it; False where it was told before: a position is settled once at a moment."""
        key = (payment.instrument.id, payment.ts_ns)
        if key in self._told:
            return False
        self._told[key] = None
        if len(self._told) > _REMEMBERED:
            del self._told[next(iter(self._told))]
        if self.on_funding is not None:
            self.on_funding(payment)
        return True
