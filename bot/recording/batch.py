"""Rows on their way to the disk: of one channel and one scope, made into a table by the thread that writes them."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa

from bot.storage.archive.channels import Channel


@dataclass(slots=True, eq=False)
class Batch:
    """What becomes one segment."""

    channel: Channel
    scope: str
    """A feed's name, or `all`."""
    rows: int
    start_ns: int
    """UTC; of its oldest row."""
    stop_ns: int
    """UTC; behind its newest row."""
    build: Callable[[], pa.Table]
    """Makes the table; called once, on another thread, and what it uses nobody else may change."""
    _table: pa.Table | None = field(default=None, init=False)

    def table(self) -> pa.Table:
        """The rows in the channel's schema."""
        if self._table is None:
            self._table = self.build()
        return self._table
