"""Where a recorder has its quotes from: all of them from its sink, or most of them from an engine's windows."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bot.domain.instrument import Feed
from bot.domain.market import TopOfBook
from bot.recording.batch import Batch
from bot.recording.directory import Directory
from bot.recording.feed_rows import FeedRows, batch_of
from bot.recording.rows import Rows, in_order, joined
from bot.storage.archive.channels import SCHEMAS, Channel

QUOTE_LAYOUT = "qqqqdddd"
QUOTE_NAMES = ("slot", "ts_recv_ns", "ts_event_ns", "sequence", "bid_price", "bid_qty", "ask_price", "ask_qty")


class QuoteSource(Protocol):
    """Quotes that came since they were taken last."""

    def on_quote(self, slot: int, quote: TopOfBook, ts_recv_ns: int, raw: bytes) -> None:
        """A quote that nobody else keeps.

        Raises:
            OverflowError: If an integer of it does not fit 64 bits.
        """

    def take(self) -> list[Batch]:
        """The new rows, a batch a feed."""

    def waiting(self) -> int:
        """How many rows `take` would hand over."""

    def received(self, feed: Feed) -> int:
        """Rows of the feed that ever came."""

    def newest_ns(self) -> NDArray[np.int64]:
        """By slot: when its newest quote was received; 0 where none was."""

    def newest(self, slot: int) -> tuple[int, bytes] | None:
        """The venue's time of the newest usable quote, and its payload; None while there is none."""

    def forget(self, feed: Feed) -> None:
        """The connection is gone: no quote of the feed is usable until the next one."""


class OwnQuotes(FeedRows):
    """Every quote packed into rows of its feed: 0.4 µs each."""

    def __init__(self, directory: Directory) -> None:
        super().__init__(directory, QUOTE_LAYOUT, QUOTE_NAMES)
        self._quotes: list[TopOfBook | None] = [None] * len(directory)
        self._raws = [b""] * len(directory)
        self._recv_ns = [0] * len(directory)
        self._floor_ns = dict.fromkeys(directory.slots_of, 0)

    def on_quote(self, slot: int, quote: TopOfBook, ts_recv_ns: int, raw: bytes) -> None:
        """Keep it."""
        fields = quote.__dict__  # attribute access on a pydantic model takes twice as long
        self._add[slot](
            slot,
            ts_recv_ns,
            fields["ts_event_ns"] or 0,
            fields["sequence"],
            fields["bid_price"],
            fields["bid_qty"],
            fields["ask_price"],
            fields["ask_qty"],
        )
        self._quotes[slot] = quote
        self._raws[slot] = raw
        self._recv_ns[slot] = ts_recv_ns

    def take(self) -> list[Batch]:
        """The new rows, a batch a feed."""
        batches = []
        for feed, buffer in self._buffers.items():
            if blocks := buffer.take():
                floor_ns = self._floor_ns[feed]
                build = partial(_table, self._directory, blocks, floor_ns)
                batch = batch_of(Channel.QUOTES, feed, blocks, floor_ns, build)
                self._floor_ns[feed] = batch.stop_ns - 1
                batches.append(batch)
        return batches

    def newest_ns(self) -> NDArray[np.int64]:
        """By slot: when its newest quote was received; 0 where none was."""
        return np.array(self._recv_ns, np.int64)

    def newest(self, slot: int) -> tuple[int, bytes] | None:
        """The venue's time of the newest quote (ours where it sends none), and its payload."""
        quote = self._quotes[slot]
        if quote is None:
            return None
        event_ns = self._recv_ns[slot] if quote.ts_event_ns is None else quote.ts_event_ns
        return event_ns, self._raws[slot]

    def forget(self, feed: Feed) -> None:
        """No quote of the feed is usable until the next one."""
        for slot in self._directory.slots_of[feed]:
            self._quotes[slot] = None


def _table(directory: Directory, blocks: Sequence[Rows], floor_ns: int) -> pa.Table:
    rows = joined(blocks)
    columns = {name: np.ascontiguousarray(rows[name]) for name in QUOTE_NAMES}
    return quote_table(directory, columns | {"ts_recv_ns": in_order(columns["ts_recv_ns"], floor_ns)})


def quote_table(directory: Directory, columns: dict[str, NDArray[Any]]) -> pa.Table:
    """Columns by name, a slot and no instrument among them, as a table of the channel's schema."""
    events = columns["ts_event_ns"]
    return pa.table(
        [
            directory.names(columns["slot"]),
            pa.array(columns["ts_recv_ns"]),
            pa.array(events, mask=events == 0),
            *(pa.array(columns[name]) for name in QUOTE_NAMES[3:]),
        ],
        schema=SCHEMAS[Channel.QUOTES],
    )
