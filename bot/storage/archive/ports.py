"""What writers and readers of the archive may rely on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from bot.domain.instrument import Instrument
from bot.storage.archive.channels import Channel

Span = tuple[int, int]
"""From a time to before another, UTC ns."""


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """One file of the archive, durable: it is named only when its bytes are."""

    number: int
    """Grows with every segment that was ever written; a merged segment has a number of its own."""
    channel: Channel
    scope: str
    """A feed (`binance.linear`), or `all` for channels that belong to none."""
    start_ns: int
    """UTC; of its oldest row."""
    stop_ns: int
    """UTC; behind its newest row."""
    rows: int
    size_bytes: int
    sha256: str
    path: str
    """Relative to the archive's root."""
    merged_from: tuple[int, ...] = ()
    """Numbers of the segments whose rows it holds; empty for one that was written as rows came."""


class SegmentStore(Protocol):
    """Where segments are written and found. Safe to call from one writing and any number of reading threads."""

    def write(
        self,
        channel: Channel,
        scope: str,
        table: pa.Table,
        instruments: Mapping[str, Instrument],
        unwritten: Span | None = None,
    ) -> SegmentInfo | None:
        """Make rows of the channel's schema durable as one segment; None where there are none.

        `instruments` (by id) give ticks and lots; a row off its grid is kept all the same, in more bytes. `unwritten`
        is what the method of that name answers from the same moment on; None: what it did before.

        Raises:
            StorageError: If it cannot be written; nothing is named then.
        """

    def unwritten(self) -> Span | None:
        """When rows were received of which some may not be here, for whoever records is writing them or was killed.

        Empty or None where everything is here that was received before the newest row.
        """

    def segments(
        self,
        channel: Channel | None = None,
        *,
        after: int = 0,
        start_ns: int | None = None,
        stop_ns: int | None = None,
        written: bool = False,
    ) -> Sequence[SegmentInfo]:
        """Segments by number, above `after`, that overlap the span.

        Without `written`, each row stands in exactly one of them: merged ones instead of what they replaced. With it,
        those that were written as rows came, whether or not they were merged or have been removed since: what an
        outbox goes by.
        """

    def read(self, segment: SegmentInfo, columns: Sequence[str] | None = None) -> pa.Table:
        """Its rows, in the channel's schema.

        Raises:
            StorageError: If the file is damaged or gone; the message names it.
        """

    def rows(
        self,
        channel: Channel,
        instrument: str,
        start_ns: int,
        stop_ns: int,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """One instrument's rows received from `start_ns` to before `stop_ns`, in order of receipt."""

    def instrument(self, instrument_id: str) -> Instrument | None:
        """The newest metadata that rows of it were written with; None where there are none."""

    def instruments(self, channel: Channel) -> Sequence[str]:
        """Ids of all instruments that the channel has rows of."""

    def newest(self, channel: Channel) -> Mapping[str, int]:
        """Of each of them, when its newest row was received, UTC ns."""
