"""`--mode record`: the collector alone, without any decision."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from bot.command_line import Arguments
from bot.domain.snapshot import JobRow, UpkeepStatus
from bot.errors import ExitCode, SettingsError, VenueError
from bot.headless import Headless
from bot.recording.record import FeedRates, FrameCounter, record
from bot.settings import Settings
from bot.settings.loader import LoadedSettings
from bot.storage.archive.store import ArchiveStore
from bot.storage.no_journal import NoJournal
from exchanges.markets import OpenMarket, Wanted, opened_market
from modes.backup_job import backup_job
from modes.clock_offsets import clock_offset_job
from modes.collector import Collector
from modes.house import MAIN, settings_file
from modes.memory import memory_dir, mongo_uri, open_archive
from modes.shipping import Shipping
from modes.signals import Interruption
from modes.upkeep import Upkeep, check_schedules, listed

_RATES_EVERY = 10
"""Of the rates that come once a second, so many make a line where nobody watches a terminal."""


def run_recorder(arguments: Arguments, loaded: LoadedSettings) -> int:
    """Record until the end of the time or an interruption; returns the exit code.

    Raises:
        SettingsError: If something cannot be recorded as it is wished.
        VenueError: If a venue cannot be used, or the simulated exchanges have gone; what came until then is kept.
        StorageError: If the archive cannot be used.
    """
    import uvloop

    if loaded.settings.market == "recorded":
        raise SettingsError("--mode record keeps what comes in now: add --market live or --market simulated")
    check_schedules(loaded.settings)
    headless = Headless(as_json=arguments.json)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        summary, lost = runner.run(_record(arguments, loaded.settings, headless))
    headless.close()
    print(json.dumps(summary) if arguments.json else "\n".join(_words(summary)), flush=True)
    if lost is not None:
        raise lost
    if summary["interrupted"]:
        return ExitCode.INTERRUPTED
    return ExitCode.OK if summary["complete"] else ExitCode.STORAGE


async def _record(
    arguments: Arguments, settings: Settings, headless: Headless
) -> tuple[dict[str, Any], VenueError | None]:
    """The summary, and why the market was gone before its end."""
    stop = asyncio.Event()
    interruption = Interruption(stop)
    wanted = Wanted((), None, MAIN)
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(opened_market(settings, wanted, headless.log, headless.on_scan))
        store = open_archive(settings)
        stack.callback(store.close)
        if opened.lost is not None:
            opened.lost.add_done_callback(lambda _: stop.set())
        summary = await _with_store(opened, store, settings, arguments, headless, stop)
        lost = opened.lost.result() if opened.lost is not None and opened.lost.done() else None
    summary["interrupted"] = interruption.has_come
    if lost is not None:
        summary["complete"] = False
        summary["incomplete_because"] = [*summary["incomplete_because"], str(lost)]
    return summary, lost


async def _with_store(
    opened: OpenMarket,
    store: ArchiveStore,
    settings: Settings,
    arguments: Arguments,
    headless: Headless,
    stop: asyncio.Event,
) -> dict[str, Any]:
    market = opened.market
    counter = FrameCounter()
    collector = Collector(opened, settings, store, headless.log, tap=counter)
    file = settings_file(arguments)
    jobs = listed(backup_job(settings, file), clock_offset_job(opened, settings, collector.recorder))
    uri = mongo_uri(settings, os.environ)
    shipping = Shipping.of(settings, uri, memory_dir(settings), store, market.clock, headless.log)
    # No run, no journal: how jobs fared is told here, and when they fail.
    upkeep = Upkeep([*collector.jobs, *jobs], NoJournal(), market.clock, headless.log, shipping)
    collector.sample_views()
    await upkeep.start()
    try:
        summary = await record(
            market,
            collector.recorder,
            stop,
            depth=collector.readers,
            counter=counter,
            for_s=arguments.for_s,
            on_rates=_Rates(headless, upkeep.status),
        )
    finally:
        await upkeep.stop()
    return summary | upkeep.status().model_dump(mode="json")


class _Rates:
    """Shows how every feed goes: one line that changes on a terminal, a line every ten seconds elsewhere."""

    def __init__(self, headless: Headless, upkeep: Callable[[], UpkeepStatus]) -> None:
        self._headless = headless
        self._upkeep = upkeep
        self._told = 0

    def __call__(self, rates: Sequence[FeedRates]) -> None:
        words = [_rate(one) for one in rates]
        words.append(f"waiting {max((one.lag_s for one in rates), default=0.0):.0f} s")
        line = "   ".join([*words, *upkeep_words(self._upkeep())])
        if sys.stderr.isatty():
            self._headless.progress(line)
        elif self._told % _RATES_EVERY == 0:
            self._headless.log("info", line)
        self._told += 1


def upkeep_words(upkeep: UpkeepStatus) -> list[str]:
    """MongoDB's lag, and the jobs by how they stand: those that have trouble by name."""
    shipper = upkeep.shipper
    words = [] if shipper is None else [f"MongoDB {shipper.state} {shipper.lag_s:.0f} s behind"]
    if upkeep.jobs:
        troubled = [f"{job.name} {told}" for job in upkeep.jobs if (told := _trouble(job))]
        words.append(f"jobs {', '.join(troubled)}" if troubled else f"{len(upkeep.jobs)} jobs ok")
    return words


def _trouble(job: JobRow) -> str:
    told = ["FAILED"] if job.state == "failed" else []
    return " ".join([*told, f"missed {job.missed}"] if job.missed else told)


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
    lines += _upkeep_lines(summary)
    return lines + [f"because          {why}" for why in summary["incomplete_because"]]


def _upkeep_lines(summary: Mapping[str, Any]) -> list[str]:
    upkeep = UpkeepStatus.model_validate(summary)
    lines = [f"{'job ' + job.name:<16} {_fared(job)}" for job in upkeep.jobs if job.runs or job.missed]
    if upkeep.shipper is not None:
        waiting = sum(one.rows_waiting for one in upkeep.shipper.sources)
        lines.append(f"{'MongoDB':<16} {upkeep.shipper.target}: {waiting:,} rows wait for the next start")
    return lines


def _fared(job: JobRow) -> str:
    counts = f"{job.runs} runs, {job.failures} failed, {job.missed} missed"
    took = "" if job.took_s is None else f", the last took {job.took_s:.1f} s"
    return f"{counts}{took}" + (f": {job.detail}" if job.detail else "")
