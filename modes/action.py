"""`--mode action`: watch the market, decide and trade."""

import asyncio
import os
import secrets
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.clock import SystemClock
from bot.command_line import Arguments
from bot.domain.money import money_words
from bot.engine.accounts.halted_start import refused
from bot.engine.comparison import Comparison
from bot.engine.engine import RunInfo
from bot.engine.run import EngineRun, RunResult
from bot.errors import ExitCode, StorageError
from bot.headless import Headless, opening_line
from bot.patience import Patience
from bot.ports import Market
from bot.risk.halt_flag import HaltFlag, read_flag
from bot.settings import Settings
from bot.settings.loader import LoadedSettings
from bot.single_writer import SingleWriter
from bot.storage.account_lock import AccountLock, key_fingerprint, state_directory
from bot.storage.journal import SqliteJournal
from bot.storage.schema import FILE_NAME
from bot.version import VERSION
from modes.carriers import carriers
from modes.hardening import harden
from modes.house import MAIN, settings_file
from modes.kill_accounts import remember_accounts
from modes.lease import leased
from modes.locks import is_real, unlocked_keys
from modes.long_lived import leave_what_is_here
from modes.shadow import check_shadow, real_side, shadow_words, with_paper
from modes.telling import Telling
from modes.top_ups import TopUps
from strategies.registry import build_strategy

if TYPE_CHECKING:
    from bot.ports.inspection import AccountInspector
    from bot.storage.mongo.lease import AccountLease
    from exchanges.common.requests.api_keys import ApiKeys
    from exchanges.markets import OpenMarket
    from modes.memory import KeyWatch, Memory
    from modes.terms import RunTerms

CALM = "calm"
"""The simulated day that is like a measured one: what others are compared with."""
CALM_DAY = "calm-day"
"""How main.py is asked, by this program alone, for what such a day earns."""
COMPARED_S = 3600.0
"""How much of it is computed at most: a minute or two of a core that has nothing else to do."""


def run_engine(arguments: Arguments, loaded: LoadedSettings, words: Sequence[str]) -> int:
    """Run the engine without a screen; returns the exit code."""
    settings = loaded.settings
    harden()
    keys = unlocked_keys(settings, flag=arguments.real_money, environ=os.environ)
    headless = Headless(as_json=arguments.json)
    if arguments.shadow:
        check_shadow(settings, has_keys=bool(keys))
    SingleWriter(settings.data_dir).release()  # who cannot have the journal is told before exchanges are started
    if settings.market != "recorded":
        _refuse_halted(settings)
        real_money = is_real(settings, keys)
        headless.log(
            "info", opening_line(settings.market, arguments.for_s, real_money=real_money and not arguments.shadow)
        )
        if arguments.shadow:
            headless.log("warning", shadow_words(settings, real_money=real_money))
    try:
        result = _with_uvloop(_run(arguments, loaded, headless, _comparison(arguments, loaded, words), keys))
    finally:
        headless.close()
    headless.finish(result)
    if result.lost is not None:
        raise result.lost
    if result.interrupted:
        return ExitCode.INTERRUPTED
    if result.halted:
        return ExitCode.RISK_HALT
    return ExitCode.OK if result.complete else ExitCode.SETTINGS


def _refuse_halted(settings: Settings) -> None:
    """Beside the halt flag a start that can find nothing open ends at once; another one looks after what is open."""
    flag, data_dir = read_flag(settings.data_dir), settings.data_dir
    dies_with_run = settings.market == "simulated" and settings.simulator.address is None
    if flag is not None and (dies_with_run or not (data_dir / FILE_NAME).exists()):
        raise refused(flag, data_dir)


def _halted(opened: "OpenMarket", settings: Settings) -> HaltFlag | None:
    return None if opened.deliver is None else read_flag(settings.data_dir)


def _with_uvloop(coroutine: Coroutine[Any, Any, RunResult]) -> RunResult:
    import uvloop  # only an engine needs it

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)


def _comparison(arguments: Arguments, loaded: LoadedSettings, words: Sequence[str]) -> Comparison | None:
    """What the same day earns when it is calm; None for a calm day itself, and for other markets."""
    simulator = loaded.settings.simulator
    # Of exchanges that run already nobody here knows which day they play, and since when.
    if loaded.settings.market != "simulated" or simulator.scenario == CALM or simulator.address is not None:
        return None
    wanted_s = min(arguments.for_s or COMPARED_S, COMPARED_S)
    command = [sys.executable, str(MAIN), CALM_DAY, CALM, str(wanted_s), str(os.getpid()), *words]
    kept = loaded.settings.data_dir / "calm" / f"seed{simulator.seed}-{VERSION}-{loaded.digest[:16]}.json"
    return Comparison(CALM, command, wanted_s, kept)


async def _run(
    arguments: Arguments,
    loaded: LoadedSettings,
    headless: Headless,
    comparison: Comparison | None,
    keys: Mapping[str, "ApiKeys"],
) -> RunResult:
    from exchanges.markets import Wanted, opened_market

    patience = Patience(loaded.settings.start.wait_s, SystemClock(), headless.log)
    wanted = Wanted(arguments.recording, arguments.for_s, MAIN, keys, patience)
    async with opened_market(loaded.settings, wanted, headless.log, headless.on_scan) as opened:
        held = () if opened.dies_with_run else [(one.venue, key_fingerprint(one.key)) for one in opened.accounts]
        lock = AccountLock(held, state_directory(os.environ))
        try:
            real_money = is_real(loaded.settings, keys) and not arguments.shadow
            return await _run_on(opened, arguments, loaded, headless, comparison, patience, real_money=real_money)
        finally:
            lock.release()


async def _run_on(
    opened: "OpenMarket",
    arguments: Arguments,
    loaded: LoadedSettings,
    headless: Headless,
    comparison: Comparison | None,
    patience: Patience,
    *,
    real_money: bool,
) -> RunResult:
    settings, market = loaded.settings, opened.market
    info = RunInfo(_new_run_id(), settings.strategy, market.name, real_money, loaded.digest, VERSION)
    beside = money_words(settings.market, is_real(settings, opened.keys)) if arguments.shadow else None
    telling = Telling(settings, info, os.environ, headless.log, beside)
    try:
        async with leased(opened, settings, info.run_id, headless.log) as lease:
            return await _run_told(opened, arguments, loaded, headless, comparison, info, telling, lease, patience)
    finally:
        await asyncio.to_thread(telling.close)  # a service that does not answer may take its seconds


async def _run_told(
    opened: "OpenMarket",
    arguments: Arguments,
    loaded: LoadedSettings,
    headless: Headless,
    comparison: Comparison | None,
    info: RunInfo,
    telling: Telling,
    lease: "AccountLease | None",
    patience: Patience,
) -> RunResult:
    from exchanges.price_lists import PRICE_LISTS

    run: EngineRun
    settings, market = loaded.settings, opened.market
    real_money = is_real(settings, opened.keys)  # of the orders that leave this machine: a shadow's too
    watched = await _passed(opened, settings, headless, patience, real_money=real_money)
    terms = await _terms(opened, settings, headless)
    journal = SqliteJournal(
        settings.data_dir,
        info.run_id,
        group_commit_ms=settings.journal.group_commit_ms,
        deliver=opened.deliver,
        on_failure=lambda why: run.on_storage_failure(why),
    )
    _remember_accounts(opened, settings)  # a bot that runs here already has been found out by now
    refresh = None if terms is None else terms.refresh
    watch = _key_watch(opened, settings, watched, real_money=real_money)
    memory = _memory(opened, settings, journal, headless, settings_file(arguments), refresh, watch)
    if terms is not None:
        terms.inner = memory
    traded = with_paper(opened) if arguments.shadow else opened
    shadow = None
    if arguments.shadow:
        shadow = real_side(opened, journal, info.run_id, _whose(opened), real_money=real_money)
    top_ups = TopUps(opened, settings, journal)
    kept = journal if memory is None else memory.journal
    transfers, is_paper = None if terms is None else terms.transfers, not opened.accounts or arguments.shadow

    def event(level: str, text: str) -> None:
        run.engine.event(level, text)  # it is built with what tells it

    async with carriers(opened, settings, kept, transfers, event, is_paper=is_paper) as movers:
        run = EngineRun(
            info=info,
            market=market,
            strategy=build_strategy(settings.strategy, settings),
            venue=traded.venue,
            settings=settings,
            journal=kept,
            log=telling.log,
            show_decision=headless.on_decision,
            comparison=comparison,
            beside=memory if terms is None else terms,
            terms=transfers,
            linger_s=arguments.linger_s,
            tiers=PRICE_LISTS,
            no_orders_at=traded.no_orders_at,
            notes=opened.notes,
            disk=None if opened.deliver is None else journal,  # a market that goes by its own time waits for the disk
            watches=[telling] if shadow is not None else [telling, top_ups],
            accounts=_whose(opened) if shadow is None else _whose(replace(traded, accounts=())),
            halted=_halted(opened, settings),
            shadow=shadow,
            patience=patience,
            carrier=movers.carrier,
        )
        telling.watch(run)
        top_ups.watch(run, movers.desk)
        movers.obey(run.engine.desk.gate)
        if lease is not None:
            # The bot that took it trades on, and this one is told at its next start.
            lease.on_lost = partial(run.engine.desk.gate.halt, lasting=False)
        headless.watch(run.engine, market, run.stop)
        from exchanges.depth.books import HasBooks

        if isinstance(market, HasBooks):
            market.books.listen(market.books.wanted(settings.order_books), run.engine.books)
        if opened.lost is not None:
            opened.lost.add_done_callback(lambda told: run.lose(told.result()))
        if opened.deliver is not None:  # a market that goes by its own time waits for us
            leave_what_is_here()
        if arguments.record_raw is None:
            return await run.run()
        return await _recorded_raw(run, market, arguments.record_raw, headless)


def _whose(opened: "OpenMarket") -> dict[str, str] | None:
    """Venue -> whose account it is there; None where what is held ends with the run."""
    if opened.deliver is None or opened.dies_with_run:
        return None
    if not opened.accounts:
        return {"paper": opened.market.name}
    return {one.venue: key_fingerprint(one.key) for one in opened.accounts}


def _remember_accounts(opened: "OpenMarket", settings: Settings) -> None:
    if not opened.accounts:
        return
    try:
        remember_accounts(settings.data_dir, settings.market, opened.accounts, settings.keys)
    except OSError as error:
        why = f"{settings.data_dir} cannot take where orders will be, and --mode kill could not find them"
        raise StorageError(f"{why}: {error.strerror}") from error


async def _passed(
    opened: "OpenMarket", settings: Settings, headless: Headless, patience: Patience, *, real_money: bool
) -> "Sequence[AccountInspector]":
    """The accounts that orders leave this machine for, once the preflight has let them; none elsewhere.

    Raises:
        PreflightFailed: If it has not.
        VenueError: If a venue is away still when patience has ended.
    """
    if settings.market not in ("live", "testnet") or not opened.keys:
        return ()
    from exchanges.inspection import inspectors
    from modes.preflight import require_preflight

    await require_preflight(opened, settings, opened.keys, headless.log, real_money=real_money, patience=patience)
    return inspectors(opened.market.by_feed, opened.settings, opened.market.clock, opened.keys)


def _key_watch(
    opened: "OpenMarket", settings: Settings, accounts: "Sequence[AccountInspector]", *, real_money: bool
) -> "KeyWatch | None":
    if not accounts:
        return None
    from modes.key_watch import key_rights_job
    from modes.preflight import stakes_of

    market, stakes = opened.market, stakes_of(settings, real_money=real_money)
    schedule = settings.jobs.rights
    return lambda halt: key_rights_job(schedule, accounts, market.instruments, stakes, market.clock, halt)


async def _terms(opened: "OpenMarket", settings: Settings, headless: Headless) -> "RunTerms | None":
    """What the venues tell of fees, funding schedules and networks; None where nobody can be asked."""
    if not opened.terms:
        return None
    from modes.terms import RunTerms

    terms = RunTerms(opened, settings, headless.log)
    await terms.open()
    return terms


def _memory(
    opened: "OpenMarket",
    settings: Settings,
    journal: SqliteJournal,
    headless: Headless,
    file: Path,
    refresh: Callable[[], Awaitable[None]] | None,
    key_watch: "KeyWatch | None",
) -> "Memory | None":
    """Jobs beside every market but a recorded one; the archive of a live one; MongoDB wherever one is to be filled."""
    if settings.market == "recorded":
        return None
    from modes.memory import LIVE, Memory, mongo_uri

    uri = mongo_uri(settings, os.environ)
    keeps = settings.market == LIVE and settings.archive.enabled
    return Memory(
        opened,
        settings,
        journal,
        headless.log,
        uri,
        keeps_market=keeps,
        settings_file=file,
        refresh=refresh,
        key_watch=key_watch,
    )


async def _recorded_raw(run: EngineRun, market: Market, directory: Path, headless: Headless) -> RunResult:
    """Run while every raw frame is kept in `directory`."""
    from exchanges.common.market.raw_writer import RawWriter

    loop = asyncio.get_running_loop()

    def tell(text: str) -> None:
        # Called on the writer's thread.
        loop.call_soon_threadsafe(headless.log, "warning", text)

    market.tap = writer = RawWriter(directory, market.by_feed, tell)
    try:
        return await run.run()
    finally:
        await asyncio.to_thread(writer.close)


def _new_run_id() -> str:
    """Sorts by time; unique without asking anybody; short enough to begin a client order id."""
    moment = datetime.fromtimestamp(SystemClock().now_ns() / 1e9, UTC)
    return f"{moment:%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
