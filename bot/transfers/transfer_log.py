"""What is written down of transfers: every state, the intent durably, before anything is sent for it."""

from collections.abc import Callable, Mapping
from typing import Any

from bot.clock import Clock
from bot.errors import StorageError, TransferRefused, VenueError
from bot.ports import Journal, RecordKind
from bot.transfers.durable import durable
from bot.transfers.spent import Spent

Body = Mapping[str, Any]


class TransferLog:
    """The journal's `transfer` records of one run, and what they add up to with those of earlier ones."""

    def __init__(self, journal: Journal, spent: Spent, clock: Clock, event: Callable[[str, str], None]) -> None:
        """Nothing is written yet; `event` takes a level and a line for a person."""
        self._journal = journal
        self._clock = clock
        self.spent = spent
        self.event = event

    async def intend(self, id_: str, body: Body) -> None:
        """Write the intent; returns once it is on the disk.

        Raises:
            TransferRefused: It cannot be made durable.
        """
        self.record(id_, body, "intent")
        try:
            await durable(self._journal)
        except StorageError:
            raise self.refused(id_, body, "its intent is not durable: the journal cannot be written") from None

    def refused(self, id_: str, body: Body, why: str) -> TransferRefused:
        """Write down that nothing is sent; the error to raise."""
        self.record(id_, body, "refused", reason=why)
        self.event("warning", f"transfer {id_} refused: {why}")
        return TransferRefused(id_, why)

    def fell_through(self, id_: str, body: Body, error: TransferRefused | VenueError) -> None:
        """Write down that the venue did not take it."""
        state = "refused" if isinstance(error, TransferRefused) else "not_taken"
        self.record(id_, body, state, reason=str(error))
        self.event("warning", f"transfer {id_}: {error}")

    def record(self, id_: str, body: Body, state: str, **more: str) -> None:
        """Write down a new state."""
        whole = {**body, "transfer": id_, "state": state, **more}
        self.spent.take(whole)
        self._journal.record(RecordKind.TRANSFER, id_, self._clock.now_ns(), whole)
