"""A journal that keeps nothing: of what is no run, and of a run that nobody asks about later."""

from collections.abc import Callable, Mapping
from typing import Any

from bot.ports import RecordKind


class NoJournal:
    """Implements `bot.ports.Journal`; everything is durable at once, since nothing waits for a disk."""

    def record(
        self, kind: RecordKind, key: str, ts_ns: int, body: Mapping[str, Any] | Callable[[], Mapping[str, Any]]
    ) -> None:
        """Nobody asks for it later."""

    def when_durable(self, callback: Callable[[], None]) -> None:
        """Calls back at once: waiting for a disk takes no virtual time."""
        callback()

    def close(self) -> None:
        """There is nothing to close."""
