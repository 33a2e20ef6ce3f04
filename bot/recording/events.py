"""Public trades and funding rates on their way to the archive, by feed."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bot.domain.instrument import Feed
from bot.domain.market import FundingRate, PublicTrade
from bot.recording.batch import Batch
from bot.recording.directory import Directory
from bot.recording.rows import RowBuffer, Rows, in_order, joined, newest_of
from bot.storage.archive.channels import SCHEMAS, Channel

_IDS_AT_ONCE = 8_192
"""Ids made into Arrow text in one call, during which no other thread can run."""


class TradeRows:
    """Trades of every feed since they were taken last."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        names = ("slot", "ts_recv_ns", "ts_event_ns", "price", "quantity", "buyer_is_maker")
        self._buffers = {feed: RowBuffer("qqqdd?", names) for feed in directory.slots_of}
        self._ids: dict[Feed, list[str]] = {feed: [] for feed in directory.slots_of}
        self._of_slot = [(self._buffers[one.feed].add, self._ids[one.feed]) for one in directory.instruments]
        self._newest = np.zeros(len(directory), np.int64)

    def add(self, slot: int, trade: PublicTrade, ts_recv_ns: int) -> None:
        """Keep a trade.

        Raises:
            OverflowError: If its time does not fit 64 bits.
        """
        add, ids = self._of_slot[slot]
        add(slot, ts_recv_ns, trade.ts_event_ns, trade.price, trade.quantity, trade.buyer_is_maker)
        ids.append(trade.trade_id)

    def take(self) -> list[Batch]:
        """The new rows, a batch a feed."""
        before, self._newest = self._newest, self.newest_ns()
        batches = []
        for feed, buffer in self._buffers.items():
            ids = self._ids[feed].copy()
            if blocks := buffer.take():
                floor_ns = int(before[self._directory.slots_of[feed]].max())
                build = partial(_trade_table, self._directory, blocks, ids, floor_ns)
                batches.append(_batch(Channel.TRADES, feed, blocks, floor_ns, build))
            self._ids[feed].clear()
        return batches

    def waiting(self) -> int:
        """How many rows `take` would hand over."""
        return sum(map(len, self._buffers.values()))

    def received(self, feed: Feed) -> int:
        """Rows of the feed that ever came."""
        return self._buffers[feed].received

    def newest_ns(self) -> NDArray[np.int64]:
        """By slot: when its newest trade was received; 0 where none was."""
        return newest_of(self._newest, [buffer.blocks() for buffer in self._buffers.values()])


class FundingRows:
    """Funding rates of every feed since they were taken last."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        names = ("slot", "ts_recv_ns", "ts_event_ns", "rate", "next_funding_ns", "interval_h", "mark_price")
        self._buffers = {feed: RowBuffer("qqqdqdd", names) for feed in directory.slots_of}
        self._add = [self._buffers[one.feed].add for one in directory.instruments]
        self._newest = np.zeros(len(directory), np.int64)

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
        before, self._newest = self._newest, self.newest_ns()
        batches = []
        for feed, buffer in self._buffers.items():
            if blocks := buffer.take():
                floor_ns = int(before[self._directory.slots_of[feed]].max())
                build = partial(_funding_table, self._directory, blocks, floor_ns)
                batches.append(_batch(Channel.FUNDING, feed, blocks, floor_ns, build))
        return batches

    def waiting(self) -> int:
        """How many rows `take` would hand over."""
        return sum(map(len, self._buffers.values()))

    def received(self, feed: Feed) -> int:
        """Rows of the feed that ever came."""
        return self._buffers[feed].received

    def newest_ns(self) -> NDArray[np.int64]:
        """By slot: when its newest rate was received; 0 where none was."""
        return newest_of(self._newest, [buffer.blocks() for buffer in self._buffers.values()])


def _batch(channel: Channel, feed: Feed, blocks: Sequence[Rows], floor_ns: int, build: Callable[[], pa.Table]) -> Batch:
    start_ns = max(int(blocks[0]["ts_recv_ns"][0]), floor_ns)
    stop_ns = max(floor_ns, *(int(block["ts_recv_ns"].max()) for block in blocks)) + 1
    return Batch(channel, str(feed), sum(map(len, blocks)), start_ns, stop_ns, build)


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
