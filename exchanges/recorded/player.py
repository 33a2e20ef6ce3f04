"""A recorded market: every line in receive order, through the feed's decoder, on a virtual clock."""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bot.clock import SystemClock, VirtualClock
from bot.domain.instrument import Feed
from bot.ports import FrameDecoder, MarketSink
from exchanges.recorded.files import RecordedFile
from exchanges.recorded.merge import Event, FeedStream, event_ns, merged

Speed = Literal["max", "1x", "10x"]

_TIMES: Mapping[Speed, int] = {"1x": 1, "10x": 10}
_LINES_BETWEEN_LOOKS = 256
_SLICE_NS = 20_000_000
STOPPED = "stopped before the end of the recording"


@dataclass(frozen=True, slots=True)
class PlayResult:
    """How a run ended."""

    complete: bool
    """False: a file ended early, or the run was stopped. The end of `play_until_ns` is not early."""
    reasons: tuple[str, ...]
    """One line each; empty when complete."""
    lines: int
    """Lines played, malformed ones included."""
    malformed: int
    """Lines that are not `<receive ns> <payload>`; what does not decode counts at the sink."""
    stopped: bool
    """Whether the stop event ended it."""


class RecordedMarket:
    """Plays recordings: for each line the clock is advanced, the decoder called, the batch ended.

    The calls and their virtual times are the same at every speed. The clock never goes back: a line stamped before
    the one played last is delivered at the time of that one. Of lines with the same stamp, those of the feed given
    first come first.

    Args:
        feeds: The files of each feed, in the order in which they are played.
        decoders: One for each feed, calling `sink`.
        sink: Hears of malformed lines and of batch ends; every line is a batch of its own.
        clock: Moved by this player alone.
        speed: `max` gives the asyncio loop a turn about every 20 ms; `1x` and `10x` wait as long as the market did.
        play_until_ns: UTC ns of virtual time; later lines are left out and the clock ends there.

    Raises:
        RecordingError: If a file is missing, unreadable, empty or not a recording.
    """

    def __init__(
        self,
        feeds: Mapping[Feed, Sequence[Path]],
        decoders: Mapping[Feed, FrameDecoder],
        sink: MarketSink,
        clock: VirtualClock,
        speed: Speed = "max",
        play_until_ns: int | None = None,
    ) -> None:
        self._files = {feed: [RecordedFile(path) for path in paths] for feed, paths in feeds.items()}
        self._decoders = decoders
        self._sink = sink
        self._clock = clock
        self._times = _TIMES.get(speed)
        self._until_ns = play_until_ns
        self._real = SystemClock()
        self._lines = 0
        self._malformed = 0
        self._playing: dict[Feed, FeedStream] = {}

    async def run(self, stop: asyncio.Event) -> PlayResult:
        """Play, once, until the files, `play_until_ns` or `stop` end it; errors of a sink come through."""
        self._playing = self._streams()
        with closing(merged(self._playing.values())) as batches:
            stopped = await self._play(batches, stop)
        if self._until_ns is not None and not stopped:
            self._clock.advance_to(self._until_ns)
        return self._result(stopped)

    def where(self, feed: Feed, raw: bytes) -> str | None:
        """`file:line` of a payload that is being delivered, for a decoder that cannot use it; None for any other."""
        stream = self._playing.get(feed)
        return None if stream is None else stream.where(raw, self._clock.now_ns())

    def _streams(self) -> dict[Feed, FeedStream]:
        return {
            feed: FeedStream(rank, files, self._decoders[feed].on_frame, self._on_malformed_of(feed))
            for rank, (feed, files) in enumerate(self._files.items())
        }

    def _on_malformed_of(self, feed: Feed) -> Callable[[bytes, str], None]:
        def on_malformed(line: bytes, reason: str) -> None:
            self._malformed += 1
            self._sink.on_malformed(feed, line, reason)

        return on_malformed

    async def _play(self, batches: Iterator[list[Event]], stop: asyncio.Event) -> bool:
        """Whether `stop` ended it."""
        pace = _Pace(self._times, self._real)
        for batch in batches:
            events = self._wanted(batch)
            at = 0
            while at < len(events):
                end = min(at + _LINES_BETWEEN_LOOKS, await pace.due(events, at, stop))
                if stop.is_set():
                    return True
                self._deliver(events[at:end])
                at = end
            if len(events) < len(batch):
                break
        return False

    def _deliver(self, events: list[Event]) -> None:
        advance_to, on_batch_end = self._clock.advance_to, self._sink.on_batch_end
        for ts_ns, handle, raw in events:
            advance_to(ts_ns)
            handle(raw, ts_ns)
            on_batch_end(ts_ns)
        self._lines += len(events)

    def _wanted(self, events: list[Event]) -> list[Event]:
        if self._until_ns is None or events[-1][0] <= self._until_ns:
            return events
        return events[: bisect_right(events, self._until_ns, key=event_ns)]

    def _result(self, stopped: bool) -> PlayResult:
        reasons = [file.reason for files in self._files.values() for file in files if file.reason is not None]
        if stopped:
            reasons.append(STOPPED)
        return PlayResult(not reasons, tuple(reasons), self._lines, self._malformed, stopped)


class _Pace:
    """When the next lines are due in real time, and when the asyncio loop gets a turn."""

    def __init__(self, times: int | None, real: SystemClock) -> None:
        self._times = times
        self._real = real
        self._turn_ns = real.monotonic_ns()
        self._start_ns: tuple[int, int] | None = None
        """Virtual and real time of the first line."""

    async def due(self, events: list[Event], at: int, stop: asyncio.Event) -> int:
        """Wait until the line at `at` is due, or `stop`; the index after the last line that is due with it."""
        if self._real.monotonic_ns() - self._turn_ns > _SLICE_NS:
            await asyncio.sleep(0)
            self._turn_ns = self._real.monotonic_ns()
        if self._times is None:
            return len(events)
        while (early_ns := events[at][0] - self._virtual_ns(events[at][0], self._times)) > 0 and not stop.is_set():
            await _wait(stop, early_ns / self._times / 1e9)
        return bisect_right(events, self._virtual_ns(events[at][0], self._times), at, key=event_ns)

    def _virtual_ns(self, first_ns: int, times: int) -> int:
        now_ns = self._real.monotonic_ns()
        if self._start_ns is None:
            self._start_ns = (first_ns, now_ns)
        start_ns, real_ns = self._start_ns
        return start_ns + (now_ns - real_ns) * times


async def _wait(stop: asyncio.Event, timeout_s: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), timeout_s)
