"""`--mode record`: the collector alone, without any decision."""

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from bot.command_line import Arguments
from bot.errors import ExitCode, SettingsError, VenueError
from bot.headless import Headless
from bot.jobs import Timetable
from bot.ports import RecordKind
from bot.recording.record import FeedRates, FrameCounter, record
from bot.recording.recorder import Recorder
from bot.settings import Settings
from bot.settings.loader import LoadedSettings
from bot.storage.archive.store import ArchiveStore
from exchanges.depth.readers import depth_readers
from exchanges.markets import OpenMarket, Wanted, opened_market
from modes.house import MAIN
from modes.memory import archive_jobs, kept_books, memory_dir, mongo_uri, open_archive, recorder_limits
from modes.shipping import Shipping

_RATES_EVERY = 10
"""Of the rates that come once a second, so many make a line where nobody watches a terminal."""


def run_recorder(arguments: Arguments, loaded: LoadedSettings) -> int:
    """Record until the end of the time or an interruption; returns the exit code."""
    import uvloop

    if loaded.settings.market == "recorded":
        raise SettingsError("--mode record keeps what comes in now: add --market live or --market simulated")
    headless = Headless(as_json=arguments.json)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        summary = runner.run(_record(arguments, loaded.settings, headless))
    headless.close()
    print(json.dumps(summary) if arguments.json else "\n".join(_words(summary)), flush=True)
    if summary["interrupted"]:
        return ExitCode.INTERRUPTED
    return ExitCode.OK if summary["complete"] else ExitCode.STORAGE


async def _record(arguments: Arguments, settings: Settings, headless: Headless) -> dict[str, Any]:
    stop = asyncio.Event()
    interrupted = False

    def on_signal() -> None:
        nonlocal interrupted
        interrupted = True
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    wanted = Wanted((), None, MAIN)
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(opened_market(settings, wanted, headless.log, headless.on_scan))
        store = open_archive(settings)
        stack.callback(store.close)
        if opened.lost is not None:
            opened.lost.add_done_callback(lambda told: _end_for(told, headless, stop))
        summary = await _with_store(opened, store, settings, arguments, headless, stop)
    return summary | {"interrupted": interrupted}


def _end_for(told: "asyncio.Future[VenueError]", headless: Headless, stop: asyncio.Event) -> None:
    headless.log("error", str(told.result()))
    stop.set()


async def _with_store(
    opened: OpenMarket,
    store: ArchiveStore,
    settings: Settings,
    arguments: Arguments,
    headless: Headless,
    stop: asyncio.Event,
) -> dict[str, Any]:
    market = opened.market
    recorder = Recorder(store, market.instruments, market.clock, limits=recorder_limits(settings), log=headless.log)
    slots = {one.id: slot for slot, one in enumerate(market.instruments)}
    books = kept_books(settings, market.by_feed, slots)
    counter = FrameCounter()
    market.tap = counter
    readers = []
    if books:
        sink = recorder.keep_books(slot for by_symbol in books.values() for slot in by_symbol.values())
        spread = random.Random()  # noqa: S311 - spreads reconnects, guards nothing
        readers = depth_readers(books, sink, opened.settings, market.clock, spread, counter)
    views = recorder.sample_views(settings.archive.views, market.printed, settings.archive.views_per_s)
    kept = [market.instruments[slot] for by_symbol in books.values() for slot in by_symbol.values()]
    jobs = archive_jobs(settings, store, market.instruments, kept, market.clock)
    timetable = Timetable(jobs, _Unkept(), market.clock, headless.log)
    shipping = Shipping.of(
        settings, mongo_uri(settings, os.environ), memory_dir(settings), store, market.clock, headless.log
    )
    timetable.start()
    await shipping.start()
    try:
        return await record(
            market,
            recorder,
            stop,
            depth=readers,
            counter=counter,
            for_s=arguments.for_s,
            on_rates=_Rates(headless),
        )
    finally:
        views.stop()
        await timetable.stop()
        await shipping.stop()


class _Unkept:
    """No run, no journal: what jobs did is told when they fail. Implements `bot.ports.Journal`."""

    def record(
        self, kind: RecordKind, key: str, ts_ns: int, body: Mapping[str, Any] | Callable[[], Mapping[str, Any]]
    ) -> None:
        """Nobody asks for it later."""

    def when_durable(self, callback: Callable[[], None]) -> None:
        """There is nothing to wait for."""
        callback()

    def close(self) -> None:
        """There is nothing to close."""


class _Rates:
    """Shows how every feed goes: one line that changes on a terminal, a line every ten seconds elsewhere."""

    def __init__(self, headless: Headless) -> None:
        self._headless = headless
        self._told = 0

    def __call__(self, rates: Sequence[FeedRates]) -> None:
        words = "   ".join(_rate(one) for one in rates)
        lag_s = max((one.lag_s for one in rates), default=0.0)
        line = f"{words}   waiting {lag_s:.0f} s"
        if sys.stderr.isatty():
            self._headless.progress(line)
        elif self._told % _RATES_EVERY == 0:
            self._headless.log("info", line)
        self._told += 1


def _rate(one: FeedRates) -> str:
    state = "" if one.state == "live" else f" {one.state.upper()}"
    return f"{one.feed}{state} {one.frames_per_s:,.0f} frames/s {one.rows:,} rows {one.size_bytes / 1e6:,.1f} MB"


def _words(summary: Mapping[str, Any]) -> list[str]:
    lines = [
        f"{summary['market'].upper()} market recorded for {summary['elapsed_s']:.0f} s: "
        + ("complete" if summary["complete"] else "INCOMPLETE")
    ]
    for feed, told in summary["feeds"].items():
        lines.append(
            f"{feed:<16} {told['frames']:,} frames, {told['rows']:,} rows, {told['size_bytes']:,} bytes on disk"
            + (f", {told['malformed']} malformed" if told["malformed"] else "")
        )
    lines.append(f"all in all       {summary['rows']:,} rows, {summary['size_bytes']:,} bytes, {summary['gaps']} gaps")
    return lines + [f"because          {why}" for why in summary["incomplete_because"]]
