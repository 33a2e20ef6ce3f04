"""Public trades and funding rates on their way to the archive, by feed."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bot.domain.instrument import Feed
from bot.domain.market import FundingRate, PublicTrade
from bot.recording.batch import Batch
from bot.recording.directory import Directory
from bot.recording.feed_rows import FeedRows, batch_of
from bot.recording.rows import Rows, in_order, joined, newest_of
from bot.storage.archive.channels import SCHEMAS, Channel

_IDS_AT_ONCE = 8_192
"""Ids made into Arrow text in one call, during which no other thread can run."""


class _EventRows(FeedRows):
    """Rows that are dated by slot: no time of an instrument is before that of its newest row."""

    def __init__(self, directory: Directory, layout: str, names: Sequence[str]) -> None:
        super().__init__(directory, layout, names)
        self._newest = np.zeros(len(directory), np.int64)

    def _taken(self) -> Iterator[tuple[Feed, list[Rows], int]]:
        """Of each feed with new rows: the rows, and the time that none of them is dated before."""
        before, self._newest = self._newest, self.newest_ns()
        for feed, buffer in self._buffers.items():
            if blocks := buffer.take():
                yield feed, blocks, int(before[self._directory.slots_of[feed]].max())

    def newest_ns(self) -> NDArray[np.int64]:
        """By slot: when its newest row was received; 0 where none was."""
        return newest_of(self._newest, [buffer.blocks() for buffer in self._buffers.values()])


class TradeRows(_EventRows):
    """Trades of every feed since they were taken last."""

    def __init__(self, directory: Directory) -> None:
        names = ("slot", "ts_recv_ns", "ts_event_ns", "price", "quantity", "buyer_is_maker")
        super().__init__(directory, "qqqdd?", names)
        self._ids: dict[Feed, list[str]] = {feed: [] for feed in directory.slots_of}
        self._ids_of_slot = [self._ids[one.feed] for one in directory.instruments]

    def add(self, slot: int, trade: PublicTrade, ts_recv_ns: int) -> None:
        """Keep a trade.

        Raises:
            OverflowError: If its time does not fit 64 bits.
        """
        self._add[slot](slot, ts_recv_ns, trade.ts_event_ns, trade.price, trade.quantity, trade.buyer_is_maker)
        self._ids_of_slot[slot].append(trade.trade_id)

    def take(self) -> list[Batch]:
        """The new rows, a batch a feed."""
        batches = []
        for feed, blocks, floor_ns in self._taken():
            ids = self._ids[feed].copy()
            self._ids[feed].clear()
            build = partial(_trade_table, self._directory, blocks, ids, floor_ns)
            batches.append(batch_of(Channel.TRADES, feed, blocks, floor_ns, build))
        return batches


class FundingRows(_EventRows):
    """Funding rates of every feed since they were taken last."""

    def __init__(self, directory: Directory) -> None:
        names = ("slot", "ts_recv_ns", "ts_event_ns", "rate", "next_funding_ns", "interval_h", "mark_price")
        super().__init__(directory, "qqqdqdd", names)

    def add(self, slot: int, funding: FundingRate, ts_recv_ns: int) -> None:
        """Keep a rate.

        Raises:
            OverflowError: If a time of it does not fit 64 bits.
        """
        interval_h = np.nan if funding.interval_h is None else funding.interval_h
        mark_price = np.nan if funding.mark_price is None else funding.mark_price
        self._add[slot](
            slot, ts_recv_ns, funding.ts_event_ns, funding.rate, funding.next_funding_ns, interval_h, mark_price
        )

    def take(self) -> list[Batch]:
        """The new rows, a batch a feed."""
        batches = []
        for feed, blocks, floor_ns in self._taken():
            build = partial(_funding_table, self._directory, blocks, floor_ns)
            batches.append(batch_of(Channel.FUNDING, feed, blocks, floor_ns, build))
        return batches


def _trade_table(directory: Directory, blocks: Sequence[Rows], ids: Sequence[str], floor_ns: int) -> pa.Table:
    rows = joined(blocks)
    starts = range(0, len(ids), _IDS_AT_ONCE)
    texts = pa.chunked_array([pa.array(ids[at : at + _IDS_AT_ONCE], pa.string()) for at in starts], pa.string())
    columns = [
        *_head(directory, rows, floor_ns),
        pa.array(np.ascontiguousarray(rows["ts_event_ns"])),
        texts,
        *(pa.array(np.ascontiguousarray(rows[name])) for name in ("price", "quantity", "buyer_is_maker")),
    ]
    return pa.table(columns, schema=SCHEMAS[Channel.TRADES])


def _funding_table(directory: Directory, blocks: Sequence[Rows], floor_ns: int) -> pa.Table:
    rows = joined(blocks)
    plain = ("ts_event_ns", "rate", "next_funding_ns")
    columns = [
        *_head(directory, rows, floor_ns),
        *(pa.array(np.ascontiguousarray(rows[name])) for name in plain),
        *(_known(rows[name]) for name in ("interval_h", "mark_price")),
    ]
    return pa.table(columns, schema=SCHEMAS[Channel.FUNDING])


def _head(directory: Directory, rows: Rows, floor_ns: int) -> list[pa.Array]:
    return [directory.names(np.ascontiguousarray(rows["slot"])), pa.array(in_order(rows["ts_recv_ns"], floor_ns))]


def _known(column: NDArray[np.float64]) -> pa.Array:
    """Where nothing was told there is NaN, since no venue tells NaN: its decoders refuse it."""
    values = np.ascontiguousarray(column)
    return pa.array(values, mask=np.isnan(values))
