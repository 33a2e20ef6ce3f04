"""Rows of every feed since they were taken last, and what a batch of them is."""

from collections.abc import Callable, Sequence

import pyarrow as pa

from bot.domain.instrument import Feed
from bot.recording.batch import Batch
from bot.recording.directory import Directory
from bot.recording.rows import RowBuffer, Rows
from bot.storage.archive.channels import Channel


class FeedRows:
    """A buffer a feed; what is in a row, and how it becomes a table, is told by whoever builds on it."""

    def __init__(self, directory: Directory, layout: str, names: Sequence[str]) -> None:
        """Empty; `layout` and `names` are those of a `RowBuffer`."""
        self._directory = directory
        self._buffers = {feed: RowBuffer(layout, names) for feed in directory.slots_of}
        self._add = [self._buffers[one.feed].add for one in directory.instruments]

    def waiting(self) -> int:
        """How many rows `take` would hand over."""
        return sum(map(len, self._buffers.values()))

    def received(self, feed: Feed) -> int:
        """Rows of the feed that ever came."""
        return self._buffers[feed].received


def batch_of(
    channel: Channel, feed: Feed, blocks: Sequence[Rows], floor_ns: int, build: Callable[[], pa.Table]
) -> Batch:
    """Rows of one feed, in order of receipt, as a batch; none is dated before `floor_ns`."""
    start_ns = max(int(blocks[0]["ts_recv_ns"][0]), floor_ns)
    stop_ns = max(floor_ns, *(int(block["ts_recv_ns"].max()) for block in blocks)) + 1
    return Batch(channel, str(feed), sum(map(len, blocks)), start_ns, stop_ns, build)
