"""A journal whose orders and fills are in MongoDB soon, and not at the shipper's next look."""

from collections.abc import Callable, Mapping
from typing import Any

from bot.clock import Clock
from bot.ports import Journal, RecordKind

_HURRIED = frozenset({RecordKind.ORDER, RecordKind.FILL})
_SETTLE_S = 0.05
"""The group commit is over by then. Asking the journal when it is would end the commit early, and cost trading a flush;
where a disk takes longer, the shipper's own look finds the record."""


class WakingJournal:
    """Implements `bot.ports.Journal` over another one; `wake` is called once for orders that come together."""

    def __init__(self, journal: Journal, wake: Callable[[], None], clock: Clock) -> None:
        """`wake` is called by a timer of `clock`."""
        self._journal = journal
        self._wake = wake
        self._clock = clock
        self._is_due = False
        self.when_durable: Callable[[Callable[[], None]], None] = journal.when_durable
        self.close: Callable[[], None] = journal.close

    def record(
        self, kind: RecordKind, key: str, ts_ns: int, body: Mapping[str, Any] | Callable[[], Mapping[str, Any]]
    ) -> None:
        """As the journal does."""
        self._journal.record(kind, key, ts_ns, body)
        if kind in _HURRIED and not self._is_due:
            self._is_due = True
            self._clock.call_later(_SETTLE_S, self._tell)

    def _tell(self) -> None:
        self._is_due = False
        self._wake()
