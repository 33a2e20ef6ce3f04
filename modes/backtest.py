"""`--mode backtest`: the same strategy, gate and paper venue over a market of the past, as fast as it goes.

The market comes from raw recordings, from the archive as a run saw it (`--run`), or from the archive's span
(`--since`, `--until`: what was recorded or imported). It is made into columns first; rows that cannot matter are
then taken in one go (`bot.backtest.skim`). A backtest keeps a journal of its own, and ends with its post-mortem.
"""

import asyncio
import json
import secrets
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.backtest.archive_tape import archive_pieces
from bot.backtest.books import BookPlayer
from bot.backtest.feeder import Feeder
from bot.backtest.market import TapeMarket
from bot.backtest.skim import Skimmer
from bot.backtest.spool import Spool
from bot.backtest.tape import TapeWriter
from bot.clock import SystemClock
from bot.command_line import Arguments
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument
from bot.engine.engine import RunInfo
from bot.engine.run import EngineRun, RunResult
from bot.errors import ExitCode, SettingsError
from bot.headless import Headless
from bot.ports import MarketEnd, QuoteDrivenVenue
from bot.settings import Settings
from bot.settings.loader import LoadedSettings
from bot.storage.archive.channels import Channel
from bot.storage.journal import SqliteJournal
from bot.storage.queries import JournalReader, Run
from bot.version import VERSION
from exchanges.paper.actions import PaperActions
from exchanges.recorded.market import Recordings
from exchanges.registry import all_venues
from modes.archive_jobs import DEPTH_RULES
from modes.carriers import paper_carrier
from modes.memory import open_archive
from postmortem.render import render_table
from postmortem.report import build_report, named_run
from strategies.registry import build_strategy

NAME = "backtest"
"""Stands for the market on every report."""
FOLDER = "backtests"
"""Below the data directory: a journal for each."""


@dataclass(frozen=True, slots=True)
class _Tape:
    """A market of the past, ready to play."""

    spool: Spool
    instruments: tuple[Instrument, ...]
    by_feed: Mapping[Feed, Mapping[str, Instrument]]
    span_ns: tuple[int, int]
    reasons: tuple[str, ...] = ()


def run_backtest(arguments: Arguments, loaded: LoadedSettings) -> int:
    """Play it and explain it; returns the exit code."""
    headless = Headless(as_json=arguments.json)
    try:
        result, run_id, directory, rate = asyncio.run(_backtest(arguments, loaded, headless))
    finally:
        headless.close()
    with JournalReader.open(directory) as reader:
        report = build_report(reader, loaded.settings.strategy, run=run_id)
    if arguments.json:
        told = {"run": run_id, "data_dir": str(directory), "rows_per_s": round(rate), "summary": result.summary}
        print(json.dumps(told | {"report": report.model_dump(mode="json")}, allow_nan=False))
    else:
        print(render_table(report), end="")
        print(f"backtest    {rate:,.0f} rows a second; its journal is in {directory}", file=sys.stderr)
    if result.interrupted:
        return ExitCode.INTERRUPTED
    if result.halted:
        return ExitCode.RISK_HALT
    return ExitCode.OK if result.complete else ExitCode.SETTINGS


async def _backtest(
    arguments: Arguments, loaded: LoadedSettings, headless: Headless
) -> tuple[RunResult, str, Path, float]:
    run_id = f"{datetime.fromtimestamp(SystemClock().now_ns() / 1e9, UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
    directory = loaded.settings.data_dir / FOLDER / run_id
    directory.mkdir(mode=0o700, parents=True)
    settings = loaded.settings.model_copy(update={"data_dir": directory})
    async with _tape(arguments, loaded.settings, headless, directory) as tape:
        market = TapeMarket(
            NAME,
            tape.instruments,
            tape.by_feed,
            tape.spool.pieces,
            tape.span_ns,
            _published(tape.by_feed),
            play_s=arguments.for_s,
            reasons=tape.reasons,
        )
        run = _engine_run(run_id, market, settings, loaded.digest, headless)
        begun_ns = SystemClock().monotonic_ns()
        result = await run.run()
        took_ns = max(SystemClock().monotonic_ns() - begun_ns, 1)
    return result, run_id, directory, market.rows / took_ns * 1e9


def _engine_run(run_id: str, market: TapeMarket, settings: Settings, digest: str, headless: Headless) -> EngineRun:
    papers: list[PaperActions] = []

    def paper(fees: Mapping[Feed, FeeSchedule]) -> QuoteDrivenVenue:
        papers.append(PaperActions(market.instruments, fees, settings.paper, market.clock))
        return papers[0]

    def skimmer(feeder: Feeder) -> Skimmer:
        return Skimmer(run.engine, feeder, settings.quote_gate, papers[0].needs_every_quote)

    journal = SqliteJournal(
        settings.data_dir,
        run_id,
        group_commit_ms=settings.journal.group_commit_ms,
        deliver=None,
        on_failure=lambda why: run.on_storage_failure(why),
    )
    run = EngineRun(
        info=RunInfo(run_id, settings.strategy, NAME, False, digest, VERSION),
        market=market,
        strategy=build_strategy(settings.strategy, settings),
        venue=paper,
        settings=settings,
        journal=journal,
        log=headless.log,
        show_decision=None,
        carrier=lambda venue: paper_carrier(venue, None, journal, market.clock, settings),
    )
    market.skimmer = skimmer
    market.books = BookPlayer(run.engine.books)
    market.on_progress = lambda part: headless.progress(f"backtest {part:4.0%}")
    headless.watch(run.engine, market, run.stop)
    return run


def _published(by_feed: Mapping[Feed, Mapping[str, Instrument]]) -> dict[Feed, FeeSchedule]:
    venues = all_venues()
    return {feed: fees for feed in by_feed if (fees := venues[feed.venue].published_fees(feed)) is not None}


@asynccontextmanager
async def _tape(arguments: Arguments, settings: Settings, headless: Headless, directory: Path) -> AsyncIterator[_Tape]:
    with TemporaryDirectory(prefix="tape-", dir=directory) as scratch:
        spool = Spool(Path(scratch))
        if arguments.recording:
            yield await _of_recordings(arguments, settings, spool, headless)
        else:
            yield _of_archive(arguments, settings, spool, headless)


async def _of_recordings(arguments: Arguments, settings: Settings, spool: Spool, headless: Headless) -> _Tape:
    files: dict[Feed, list[Path]] = {}
    for feed, path in arguments.recording:
        files.setdefault(feed, []).append(path)
    market = Recordings(files, all_venues(), speed="max", play_s=arguments.for_s, scan_progress=headless.on_scan)
    start_ns = market.clock.now_ns()
    keeps_trades = _lets_orders_rest(settings, market.instruments)
    writer = TapeWriter(list(market.by_feed), spool.add, keeps_trades=keeps_trades)
    market.books.listen(market.books.wanted(settings.order_books), writer.books)
    stop = asyncio.Event()
    telling = asyncio.create_task(_tell(market, headless))
    try:
        end: MarketEnd = await market.run(writer, stop)
    finally:
        telling.cancel()
    writer.finish()
    return _Tape(spool, tuple(market.instruments), market.by_feed, (start_ns, writer.newest_ns), end.reasons)


def _lets_orders_rest(settings: Settings, instruments: Sequence[Instrument]) -> bool:
    """Whether public trades fill orders of this strategy: then they belong on the tape."""
    return any(route.is_round_trip for route in build_strategy(settings.strategy, settings).routes(instruments))


async def _tell(market: Recordings, headless: Headless) -> None:
    while True:
        await asyncio.sleep(1)
        headless.progress(f"reading the recordings {market.progress() or 0:4.0%}")


def _of_archive(arguments: Arguments, settings: Settings, spool: Spool, headless: Headless) -> _Tape:
    now_ns = SystemClock().now_ns()
    start_ns, stop_ns = arguments.since_ns(now_ns), arguments.until_ns(now_ns)
    names = list(arguments.instrument)
    if arguments.run is not None:
        run = _run_of(settings, arguments.run)
        _same_market(run, settings)
        names = names or [Instrument.model_validate(one).id for one in run.start["instruments"]]
        start_ns = run.market_started_ns if start_ns is None else start_ns
        stop_ns = (run.market_ended_ns or run.last_ns) if stop_ns is None else stop_ns
    if start_ns is None:
        raise SettingsError(
            "--mode backtest needs a market of the past: "
            "--recording FEED=PATH, --run ID, or --since WHEN [--until WHEN]"
        )
    stop_ns = now_ns if stop_ns is None else stop_ns
    with open_archive(settings, read_only=True) as store:
        known = store.instruments(Channel.QUOTES)
        instruments = [found for name in names or known if (found := store.instrument(name)) is not None]
        missing = sorted(set(names) - {one.id for one in instruments})
        if missing or not instruments:
            has = f"it has: {', '.join(known)}" if known else "--mode import or --mode record fill it"
            raise SettingsError(f"the archive holds no quotes{' of ' if missing else ''}{', '.join(missing)}; {has}")
        keeps_trades = _lets_orders_rest(settings, instruments)
        for piece in archive_pieces(store, instruments, start_ns, stop_ns, DEPTH_RULES, keeps_trades=keeps_trades):
            spool.add(piece)
            if spool.last_ns is not None:
                headless.progress(f"reading the archive {(spool.last_ns - start_ns) / max(stop_ns - start_ns, 1):4.0%}")
    if not spool.rows:
        raise SettingsError("the archive holds no quotes of that time: see --mode query, or --mode import")
    by_feed: dict[Feed, dict[str, Instrument]] = {}
    for one in instruments:
        by_feed.setdefault(one.feed, {})[one.symbol] = one
    return _Tape(spool, tuple(instruments), by_feed, (start_ns, stop_ns))


def _run_of(settings: Settings, prefix: str) -> Run:
    with JournalReader.open(settings.data_dir) as reader:
        return named_run(reader.runs(), prefix, "any strategy")


def _same_market(run: Run, settings: Settings) -> None:
    market = run.start.get("market")
    if market != settings.market:
        raise SettingsError(f"run {run.run_id} was on the {market} market: add --market {market}")
