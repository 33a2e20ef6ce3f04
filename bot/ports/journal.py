"""The truth about a run, on disk."""

import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Protocol


class RecordKind(StrEnum):
    """What the journal keeps."""

    RUN = "run"
    """Written at the start (`key` = run id) and again at the end, with the summary."""
    DECISION = "decision"
    PAIR = "pair"
    """State of a pair: opening, open, closing, closed, missed, failed."""
    ORDER = "order"
    """An order in a new state; the first is the intent, durable as an order's."""
    FILL = "fill"
    FUNDING = "funding"
    """A funding payment on one of our positions."""
    BALANCE = "balance"
    DUST = "dust"
    """What lies on an instrument (`key`) that no venue takes as an order, in all, after a change; where a pair brought
    it or took it along, what that pair carries by then (`pair`, `carried`)."""
    TRANSFER = "transfer"
    """Money that moves between wallets or venues, in a new state; the first is the intent, durable as an order's."""
    SHADOW = "shadow"
    """What a real order of minimum size came to beside a paper one (`bot.domain.shadow`), or why there was none."""
    JOB = "job"
    """A job of the timetable had its turn."""
    EVENT = "event"
    """Something a person should know: feed trouble, halts, malformed data."""


class Spelled:
    """A record's body in words already: JSON as the journal keeps it. Called, it is plain data again."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __call__(self) -> Mapping[str, Any]:
        """Plain data, new each time."""
        found: dict[str, Any] = json.loads(self.text)
        return found


class Journal(Protocol):
    """The truth about this run, on disk. Appending never waits; acting on a record waits for `when_durable`."""

    def record(
        self, kind: RecordKind, key: str, ts_ns: int, body: Mapping[str, Any] | Callable[[], Mapping[str, Any]]
    ) -> None:
        """Append one record; `body` is plain data, or builds it later, off the engine's thread."""

    def when_durable(self, callback: Callable[[], None]) -> None:
        """Run `callback` on the engine's thread once everything recorded so far is fsynced."""

    def close(self) -> None:
        """Make everything durable and let go of the file."""
