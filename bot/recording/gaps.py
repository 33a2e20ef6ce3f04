"""Spans in which rows may be missing, kept until they are in the archive like everything else.

A gap that lasts is written down every time and goes on from there, so that a reader sees it while it lasts, and a crash
within it loses no more than a minute of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from bot.domain.instrument import Feed
from bot.recording.batch import Batch
from bot.recording.directory import Directory
from bot.storage.archive.channels import SCHEMAS, Channel

_WORDS = 200


@dataclass(slots=True)
class _Open:
    start_ns: int
    reason: str


@dataclass(frozen=True, slots=True)
class Gap:
    """One instrument's channel may miss rows received from `start_ns` to before `stop_ns`."""

    slot: int
    channel: Channel
    start_ns: int
    stop_ns: int
    reason: str


class GapLog:
    """Gaps that are open, and gaps that wait to be written. A row of a gap is dated when the gap was known to end."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._open: dict[tuple[int, Channel], _Open] = {}
        self._ended: dict[Feed, list[Gap]] = {feed: [] for feed in directory.slots_of}
        self.count = 0
        """Gaps that were ever opened or added."""

    def open(self, slot: int, channel: Channel, start_ns: int, reason: str) -> None:
        """A gap begins; where one is open already it just goes on."""
        if (slot, channel) not in self._open:
            self._open[slot, channel] = _Open(start_ns, reason)
            self.count += 1

    def close(self, slot: int, channel: Channel, stop_ns: int) -> None:
        """The channel is whole again; nothing happens where no gap is open."""
        gap = self._open.pop((slot, channel), None)
        if gap is not None:
            self._end(Gap(slot, channel, gap.start_ns, stop_ns, gap.reason))

    def add(self, gap: Gap) -> None:
        """A gap that is known from beginning to end."""
        self.count += 1
        self._end(gap)

    def _end(self, gap: Gap) -> None:
        if gap.start_ns < gap.stop_ns:
            self._ended[self._directory.instruments[gap.slot].feed].append(gap)

    def take(self, now_ns: int) -> list[Batch]:
        """What is to be written, a batch a feed; open gaps go on from `now_ns`."""
        for (slot, channel), gap in self._open.items():
            self._end(Gap(slot, channel, gap.start_ns, now_ns, gap.reason))
            gap.start_ns = max(gap.start_ns, now_ns)
        batches = [self._batch(feed, gaps) for feed, gaps in self._ended.items() if gaps]
        self._ended = {feed: [] for feed in self._ended}
        return batches

    def _batch(self, feed: Feed, gaps: list[Gap]) -> Batch:
        gaps.sort(key=lambda gap: gap.stop_ns)
        build = partial(_table, self._directory, gaps)
        return Batch(Channel.GAPS, str(feed), len(gaps), gaps[0].stop_ns, gaps[-1].stop_ns + 1, build)


def _table(directory: Directory, gaps: Iterable[Gap]) -> pa.Table:
    rows = [
        {
            "instrument": directory.instruments[gap.slot].id,
            "ts_recv_ns": gap.stop_ns,
            "channel": gap.channel.value,
            "start_ns": gap.start_ns,
            "stop_ns": gap.stop_ns,
            # What a peer sent may stand in it: only what UTF-8 can hold, and not much of it.
            "reason": gap.reason[:_WORDS].encode(errors="replace").decode(),
        }
        for gap in gaps
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMAS[Channel.GAPS])
