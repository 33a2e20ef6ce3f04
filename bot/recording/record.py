"""The collector alone: a market, a recorder, and how it goes once a second."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bot.clock import Clock
from bot.domain.instrument import Feed
from bot.errors import BotError
from bot.ports import FrameTap, Market, MarketEnd, MarketReader
from bot.recording.recorder import Recorder

RATES_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class FeedRates:
    """How a feed goes."""

    feed: Feed
    state: str
    frames: int
    frames_per_s: float
    rows: int
    """Quotes, trades and funding since the start."""
    rows_per_s: float
    size_bytes: int
    """Of its segments on disk."""
    malformed: int
    lag_s: float
    """Age of the oldest row that may not be durable yet."""


class FrameCounter:
    """A `FrameTap` that counts, and hands on to another one."""

    def __init__(self, onward: FrameTap | None = None) -> None:
        self.frames: dict[Feed, int] = {}
        self._onward = onward

    def on_raw(self, feed: Feed, raw: bytes, ts_recv_ns: int) -> None:
        """Count it."""
        self.frames[feed] = self.frames.get(feed, 0) + 1
        if self._onward is not None:
            self._onward.on_raw(feed, raw, ts_recv_ns)


class _Meter:
    """Turns counters into rates and tells them, as long as it runs."""

    def __init__(
        self, recorder: Recorder, counter: FrameCounter, clock: Clock, tell: Callable[[Sequence[FeedRates]], None]
    ) -> None:
        self._recorder = recorder
        self._counter = counter
        self._clock = clock
        self._tell = tell
        self._before: dict[Feed, tuple[int, int]] = {}
        self._before_ns = clock.monotonic_ns()
        self._again()

    def _again(self) -> None:
        self._timer = self._clock.call_later(RATES_EVERY_S, self._tick)

    def stop(self) -> None:
        self._timer.cancel()

    def _tick(self) -> None:
        self._tell(self.rates())
        self._again()

    def rates(self) -> list[FeedRates]:
        """Since this was asked last."""
        now_ns = self._clock.monotonic_ns()
        elapsed_s = max(now_ns - self._before_ns, 1) / 1e9
        self._before_ns = now_ns
        return [self._of(feed, elapsed_s) for feed in self._recorder.directory.slots_of]

    def _of(self, feed: Feed, elapsed_s: float) -> FeedRates:
        recorder = self._recorder
        frames, rows = self._counter.frames.get(feed, 0), recorder.received(feed)
        frames_before, rows_before = self._before.get(feed, (0, 0))
        self._before[feed] = frames, rows
        return FeedRates(
            feed=feed,
            state=recorder.states[feed].value,
            frames=frames,
            frames_per_s=(frames - frames_before) / elapsed_s,
            rows=rows,
            rows_per_s=(rows - rows_before) / elapsed_s,
            size_bytes=recorder.size_bytes(feed),
            malformed=recorder.malformed[feed],
            lag_s=recorder.lag_s(),
        )


async def record(
    market: Market,
    recorder: Recorder,
    stop: asyncio.Event,
    *,
    depth: Sequence[MarketReader] = (),
    counter: FrameCounter | None = None,
    for_s: float | None = None,
    on_rates: Callable[[Sequence[FeedRates]], None] | None = None,
    patience_s: float = 30.0,
) -> dict[str, Any]:
    """Record a market until it ends, `stop` is set, or `for_s` has passed; then make everything durable.

    Args:
        market: Where quotes come from; its instruments are the recorder's, in the same order.
        recorder: Not started yet; closed at the end.
        stop: Ends it in order.
        depth: Readers of order books whose sink is a `DepthRecorder` of this recorder.
        counter: Counts frames; give depth readers the same one as their tap. None: one is made.
        for_s: Seconds by the market's clock; None: no end.
        on_rates: Hears of every feed, once a second.
        patience_s: How long a disk that does not take rows is tried at the end.

    Returns:
        The summary, plain data: `market`, `instruments`, `complete`, `incomplete_because`, `stopped`, `elapsed_s`,
        `rows`, `size_bytes`, `dropped_rows`, `unsaved_rows`, `gaps`, and by feed `frames`, `rows`, `size_bytes`,
        `malformed`.

    Raises:
        VenueError: If a feed cannot be started; what came until then is in the archive.
        StorageError: If the archive cannot be read at the start.
    """
    counter = counter or FrameCounter(market.tap)
    market.tap = counter
    clock = market.clock
    begun_ns = clock.monotonic_ns()
    recorder.start()
    meter = _Meter(recorder, counter, clock, on_rates or (lambda rates: None))
    ending = asyncio.Event()
    timer = None if for_s is None else clock.call_later(for_s, ending.set)
    try:
        end = await _run(market, recorder, depth, stop, ending)
    finally:
        meter.stop()
        if timer is not None:
            timer.cancel()
        recorder.stop()
        unsaved = await asyncio.to_thread(recorder.close, patience_s)
    elapsed_s = (clock.monotonic_ns() - begun_ns) / 1e9
    return _summary(market, recorder, end, meter.rates(), elapsed_s, unsaved, stopped=stop.is_set())


async def _run(
    market: Market, recorder: Recorder, depth: Sequence[MarketReader], stop: asyncio.Event, ending: asyncio.Event
) -> MarketEnd:
    async def follow() -> None:
        await stop.wait()
        ending.set()

    async def books(reader: MarketReader) -> None:
        await reader.start()
        try:
            await ending.wait()
        finally:
            await reader.stop()

    following = asyncio.create_task(follow())
    try:
        async with asyncio.TaskGroup() as tasks:
            for reader in depth:
                tasks.create_task(books(reader))
            end = await market.run(recorder, ending)
            ending.set()
    except* BotError as failures:
        raise _first(failures) from None
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
    return end


def _first(failures: BaseExceptionGroup[BotError]) -> BotError:
    found: BaseException = failures
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, BotError)
    return found


def _summary(
    market: Market,
    recorder: Recorder,
    end: MarketEnd,
    rates: Sequence[FeedRates],
    elapsed_s: float,
    unsaved: int,
    *,
    stopped: bool,
) -> dict[str, Any]:
    status = recorder.status()
    return {
        "market": market.name,
        "instruments": len(market.instruments),
        "complete": end.complete and not unsaved and not status.dropped_rows,
        "incomplete_because": [*end.reasons, *_lost(unsaved, status.dropped_rows)],
        "stopped": stopped,
        "elapsed_s": round(elapsed_s, 3),
        "rows": status.rows,
        "size_bytes": status.size_bytes,
        "dropped_rows": status.dropped_rows,
        "unsaved_rows": unsaved,
        "gaps": recorder.gaps.count,
        "feeds": {
            str(one.feed): {
                "frames": one.frames,
                "rows": one.rows,
                "size_bytes": one.size_bytes,
                "malformed": one.malformed,
            }
            for one in rates
        },
    }


def _lost(unsaved: int, dropped: int) -> list[str]:
    words = [(dropped, "rows were given up: the archive did not take them"), (unsaved, "rows could not be saved")]
    return [f"{count} {what}" for count, what in words if count]
