"""Lines of several feeds in receive-time order, batch by batch.

The sort of the standard library does the work: it recognises runs that are in order already and merges them in C
(measured: 0.1 µs a line, `heapq.merge` 0.27 µs and a generator step more).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Generator, Sequence
from itertools import repeat
from operator import itemgetter

from exchanges.recorded.files import Batch, RecordedFile

Handler = Callable[[bytes, int], None]
FaultHandler = Callable[[bytes, str], None]
Event = tuple[int, Handler, bytes]
"""Receive time in UTC ns, what to call with payload and time, the payload."""

event_ns = itemgetter(0)


class FeedStream:
    """One feed's files, chained in the given order; time never goes back from one file to the next."""

    def __init__(self, rank: int, files: Sequence[RecordedFile], on_frame: Handler, on_malformed: FaultHandler) -> None:
        self.rank = rank
        """Which of two lines of the same nanosecond comes first: the lower."""
        self.stamps: list[int] = []
        self.events: list[Event] = []
        self.at = 0
        self.exhausted = False
        self._batches = (batch for file in files for batch in file.batches())
        self._on_frame = on_frame
        self._on_malformed = on_malformed
        self._last_ns = 0
        self._file = ""
        self._first_line = 1

    def fill(self) -> None:
        """Have lines pending, or be exhausted."""
        if self.at < len(self.stamps) or self.exhausted:
            return
        batch = next(self._batches, None)
        self.at = 0
        if batch is None:
            self.stamps, self.events, self.exhausted = [], [], True
            return
        self._file, self._first_line = batch.file, batch.first_line
        self.stamps = self._never_back(batch.stamps)
        self.events = list(zip(self.stamps, repeat(self._on_frame), batch.payloads))
        self._put_faults(batch)

    def take(self, end: int) -> list[Event]:
        """The pending lines before index `end`; they are no longer pending."""
        taken = self.events[self.at : end]
        self.at = max(self.at, end)
        return taken

    def where(self, payload: bytes, ns: int) -> str | None:
        """`file:line` of a line that is being played; None if it is not of this feed."""
        for index in range(bisect_left(self.stamps, ns), bisect_right(self.stamps, ns)):
            if self.events[index][2] == payload:
                return f"{self._file}:{self._first_line + index}"
        return None

    def _never_back(self, stamps: list[int]) -> list[int]:
        if stamps[0] < self._last_ns:
            stamps = [max(ns, self._last_ns) for ns in stamps]
        self._last_ns = stamps[-1]
        return stamps

    def _put_faults(self, batch: Batch) -> None:
        for index, reason in batch.faults.items():
            ns, _, line = self.events[index]
            self.events[index] = (ns, self._fault(reason), line)

    def _fault(self, reason: str) -> Handler:
        return lambda line, _ns: self._on_malformed(line, reason)


def merged(streams: Collection[FeedStream]) -> Generator[list[Event], None, None]:
    """All lines in the order (receive time, rank, place in the feed), in lists of many.

    A line may be given out once no unread line can come before it: the stream whose last line in memory is the
    earliest sets the bound.
    """
    while True:
        for stream in streams:
            stream.fill()
        pending = [stream for stream in streams if not stream.exhausted]
        if not pending:
            return
        bound_ns, bound_rank = min((stream.stamps[-1], stream.rank) for stream in pending)
        runs = [stream.take(_end(stream, bound_ns, bound_rank)) for stream in sorted(pending, key=_rank)]
        runs = [run for run in runs if run]
        if len(runs) == 1:
            yield runs[0]
        else:
            events = [event for run in runs for event in run]
            # Stable: lines of one nanosecond stay in the order of their ranks.
            events.sort(key=event_ns)
            yield events


def _rank(stream: FeedStream) -> int:
    return stream.rank


def _end(stream: FeedStream, bound_ns: int, bound_rank: int) -> int:
    cut = bisect_right if stream.rank <= bound_rank else bisect_left
    return cut(stream.stamps, bound_ns, stream.at)
