"""What is noted of a pair's two orders on their way, whichever way they go."""

from collections.abc import Callable
from decimal import Decimal
from time import perf_counter_ns
from typing import NamedTuple

from bot.storage.journal import SqliteJournal

QUANTITY = Decimal("0.002")
"""Of each order, BTC."""


class Sent(NamedTuple):
    """One pair, perf_counter ns."""

    decided_ns: int
    handed_ns: int
    """When the journal had both intents, and was told that an order waits for them."""
    prepared_ns: int
    """How long preparing both orders took, while the disk had them; 0 where nothing is prepared."""
    durable_ns: int
    """When we were told that both intents are on the disk."""
    written_ns: tuple[int, int]


class StampingJournal:
    """The journal, and when it was last given something to make durable, and said that it is."""

    def __init__(self, journal: SqliteJournal) -> None:
        self.record = journal.record
        self.close = journal.close
        self._journal = journal
        self.handed_ns = 0
        self.durable_ns = 0

    def when_durable(self, callback: Callable[[], None]) -> None:
        """As the journal does."""

        def stamped() -> None:
            self.durable_ns = perf_counter_ns()
            callback()

        self._journal.when_durable(stamped)
        self.handed_ns = perf_counter_ns()
