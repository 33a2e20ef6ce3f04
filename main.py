"""Crypto Pipe: reads the command line, builds the parts, hands them to each other."""

import asyncio
import contextlib
import errno
import io
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.clock import SystemClock
from bot.command_line import Arguments, parse
from bot.engine.comparison import Comparison
from bot.engine.engine import RunInfo
from bot.engine.run import SOCKET, EngineRun, RunResult
from bot.errors import BotError, ExitCode, InvariantError, SettingsError, StorageError
from bot.headless import Headless, opening_line
from bot.ports import LiveVenueModule, Market
from bot.settings import Settings
from bot.settings.display import show_config
from bot.settings.loader import LoadedSettings, load_settings
from bot.settings.reference import json_schema
from bot.storage.journal import SqliteJournal
from bot.version import VERSION
from strategies.registry import build_strategy, strategy_settings

if TYPE_CHECKING:
    from exchanges.markets import OpenMarket
    from exchanges.simulator.server import SimulatorServer

HERE = Path(__file__).resolve().parent
ENGINE_START_S = 60.0
"""How long the terminal UI waits for its engine's socket: live metadata takes seconds."""
CALM = "calm"
"""The simulated day that is like a measured one: what others are compared with."""
COMPARED_S = 3600.0
"""How much of it is computed at most: a minute or two of a core that has nothing else to do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    _prepare_output()
    try:
        return _flushed(_dispatch(parse(words), words))
    except InvariantError as error:
        print(f"crypto-pipe: this is a bug of ours, and trading has stopped: {error}", file=sys.stderr)
        return error.exit_code
    except BotError as error:
        print(f"crypto-pipe: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left (`| head`).
        _drop_output()
        return ExitCode.OK
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        _drop_output()
        print(f"crypto-pipe: {error.filename or 'the output'} cannot be written: {error.strerror}", file=sys.stderr)
        return ExitCode.STORAGE


def _prepare_output() -> None:
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The caller has closed it (`>&-`), and its number would go to the first socket or file that is opened.
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode shows `?`, and the bot goes on


def _flushed(code: int) -> int:
    """The exit code; output that cannot be written fails here, and not unseen while Python ends."""
    sys.stdout.flush()
    return code


def _drop_output() -> None:
    """Python would complain once more when it flushes at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _dispatch(arguments: Arguments, words: Sequence[str]) -> int:
    if arguments.json_schema:
        print(json.dumps(json_schema(strategy_settings()), indent=2))
        return ExitCode.OK
    if "list" in arguments.fault:
        return _list_faults(as_json=arguments.json)
    loaded = load(arguments)
    _check_faults(arguments, loaded.settings)
    if arguments.show_config:
        print(show_config(loaded), end="")
        return ExitCode.OK
    if arguments.mode == "attach":
        return _show(loaded.settings)
    if arguments.mode == "simulate":
        return _simulate(arguments, loaded.settings)
    if arguments.mode == "post-mortem":
        return _post_mortem(arguments, loaded.settings)
    if arguments.speed is not None and loaded.settings.market != "recorded":
        raise SettingsError(
            f"--speed is of recorded time, and this is the {loaded.settings.market} market: "
            "add --market recorded, or leave --speed away"
        )
    # The UI draws on stderr: where that goes to a file there is nothing to look at.
    if sys.stdout.isatty() and sys.stderr.isatty() and not (arguments.headless or arguments.json):
        return _engine_and_ui(loaded.settings, words, paced=arguments.speed is not None)
    return _engine(arguments, loaded, words)


def load(arguments: Arguments) -> LoadedSettings:
    """The settings of every layer; notes about them go to stderr.

    Raises:
        SettingsError: One line that says what is wrong, and where.
    """
    path = arguments.settings or HERE / "settings.yaml"
    loaded = load_settings(
        path,
        os.environ,
        arguments.set,
        arguments.flags(),
        strategy_settings(),
        required=arguments.settings is not None,
        venues=_venues().keys(),
    )
    for note in loaded.notes:
        print(f"crypto-pipe: {note}", file=sys.stderr)
    return loaded


# The engine


def _engine(arguments: Arguments, loaded: LoadedSettings, words: Sequence[str]) -> int:
    settings = loaded.settings
    if settings.real_money or arguments.real_money:
        raise SettingsError("real money is not supported by this version; leave --real-money and real_money away")
    headless = Headless(as_json=arguments.json)
    if settings.market != "recorded":
        headless.log("info", opening_line(settings.market, arguments.for_s))
    try:
        result = _with_uvloop(_run(arguments, loaded, headless, _comparison(arguments, loaded, words)))
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


def _with_uvloop(coroutine: Coroutine[Any, Any, RunResult]) -> RunResult:
    import uvloop  # only an engine needs it

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)


def _comparison(arguments: Arguments, loaded: LoadedSettings, words: Sequence[str]) -> Comparison | None:
    """What the same day earns when it is calm; None for a calm day itself, and for other markets."""
    simulator = loaded.settings.simulator
    if loaded.settings.market != "simulated" or simulator.scenario == CALM:
        return None
    wanted_s = min(arguments.for_s or COMPARED_S, COMPARED_S)
    command = [sys.executable, str(HERE / "calm_day.py"), CALM, str(wanted_s), str(os.getpid()), *words]
    kept = loaded.settings.data_dir / "calm" / f"seed{simulator.seed}-{VERSION}-{loaded.digest[:16]}.json"
    return Comparison(CALM, command, wanted_s, kept)


async def _run(
    arguments: Arguments, loaded: LoadedSettings, headless: Headless, comparison: Comparison | None
) -> RunResult:
    from exchanges.markets import Wanted, opened_market

    wanted = Wanted(arguments.recording, arguments.for_s, HERE / "main.py")
    async with opened_market(loaded.settings, wanted, headless.log, headless.on_scan) as opened:
        return await _run_on(opened, arguments, loaded, headless, comparison)


async def _run_on(
    opened: "OpenMarket",
    arguments: Arguments,
    loaded: LoadedSettings,
    headless: Headless,
    comparison: Comparison | None,
) -> RunResult:
    settings = loaded.settings
    market = opened.market
    info = RunInfo(_new_run_id(), settings.strategy, market.name, False, loaded.digest, VERSION)
    journal = SqliteJournal(
        settings.data_dir,
        info.run_id,
        group_commit_ms=settings.journal.group_commit_ms,
        deliver=opened.deliver,
        on_failure=lambda why: run.on_storage_failure(why),
    )
    run = EngineRun(
        info=info,
        market=market,
        strategy=build_strategy(settings.strategy, getattr(settings, settings.strategy)),
        venue=opened.venue,
        settings=settings,
        journal=journal,
        log=headless.log,
        show_decision=headless.on_decision,
        comparison=comparison,
        linger_s=arguments.linger_s,
    )
    headless.watch(run.engine, market, run.stop)
    if opened.lost is not None:
        opened.lost.add_done_callback(lambda told: run.lose(told.result()))
    if arguments.record_raw is None:
        return await run.run()
    return await _recorded_raw(run, market, arguments.record_raw, headless)


async def _recorded_raw(run: EngineRun, market: Market, directory: Path, headless: Headless) -> RunResult:
    """Run while every raw frame is kept in `directory`."""
    from exchanges.common.raw_writer import RawWriter

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


def _venues() -> dict[str, LiveVenueModule]:
    from exchanges.registry import all_venues

    return all_venues()


# The terminal UI


def _engine_and_ui(settings: Settings, words: Sequence[str], *, paced: bool) -> int:
    """Start the engine as a process of its own and show it; it lives on when the UI is left by `detach`."""
    from bot.control.address import is_answered

    if is_answered(settings.data_dir / SOCKET):
        raise SettingsError(f"an engine is running on {settings.data_dir}: use --mode attach, or another --data-dir")
    log = _engine_log(settings.data_dir)
    # A recording at full speed is over before the eye sees it; with a UI it plays ten times as fast as it was.
    pace = [] if paced or settings.market != "recorded" else ["--speed", "10x"]
    command = [sys.executable, str(HERE / "main.py"), *words, *pace, "--headless", "--linger", "600"]
    with log.open("wb") as output:
        engine = subprocess.Popen(  # noqa: S603 - this program again, with the arguments it was given
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    if not _await_socket(engine, settings):
        sys.stderr.write(log.read_text(errors="replace"))
        return engine.wait()
    # How the run ended counts too, for whoever saw its end; one that was detached from goes on.
    return _show(settings) or engine.poll() or ExitCode.OK


def _engine_log(data_dir: Path) -> Path:
    """An empty file for what the engine says beside its UI.

    Raises:
        StorageError: If it cannot be written.
    """
    log = data_dir / "logs" / "engine.log"
    try:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.write_bytes(b"")
    except OSError as error:
        raise StorageError(f"{log} cannot be written: {error.strerror}; use another --data-dir") from error
    return log


def _await_socket(engine: subprocess.Popen[bytes], settings: Settings) -> bool:
    from bot.control.address import is_answered

    clock = SystemClock()
    deadline_ns = clock.monotonic_ns() + round(ENGINE_START_S * 1e9)
    while engine.poll() is None:
        if is_answered(settings.data_dir / SOCKET):
            return True
        if clock.monotonic_ns() > deadline_ns:
            engine.terminate()
            raise BotError(f"the engine did not come up in {ENGINE_START_S:.0f} s")
        try:
            engine.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
    return False


def _show(settings: Settings) -> int:
    from bot.tui.app import run_tui

    return run_tui(settings.data_dir / SOCKET)


# The simulated exchanges


def _list_faults(*, as_json: bool) -> int:
    from exchanges.simulator.faults.guide import catalogue_json, catalogue_table

    print(json.dumps(catalogue_json(), indent=2) if as_json else catalogue_table(), end="\n" if as_json else "")
    return ExitCode.OK


def _check_faults(arguments: Arguments, settings: Settings) -> None:
    """Raise SettingsError, before anything is started, for an order of a fault that cannot be."""
    if arguments.fault and arguments.mode == "action" and settings.market != "simulated":
        raise SettingsError(
            f"--fault is for the simulated exchanges, and this is the {settings.market} market: "
            "add --market simulated, or leave --fault away"
        )
    if settings.simulator.faults:
        from exchanges.simulator.faults.guide import faults_from_lines

        faults_from_lines(settings.simulator.faults)


def _simulate(arguments: Arguments, settings: Settings) -> int:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve_simulator(arguments, settings))


async def _serve_simulator(arguments: Arguments, settings: Settings) -> int:
    clock = SystemClock()
    server = _simulator(settings, clock)
    address = await server.start(arguments.port or 0, settings.simulator.host)
    stop = asyncio.Event()
    interrupted = False

    def on_signal() -> None:
        nonlocal interrupted
        interrupted = True
        stop.set()

    # Before anybody is told that we are here, and may want to end us.
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    print(address.as_json(), flush=True)
    day = f"scenario {settings.simulator.scenario}, seed {settings.simulator.seed}"
    _tell(f"SIMULATED Binance and Bybit on {address.url}: {day}; Ctrl-C ends it")
    if arguments.for_s is not None:
        clock.call_later(arguments.for_s, stop.set)
    if arguments.parent is not None:
        _stop_with(arguments.parent, clock, stop)
    await server.run(stop)
    return ExitCode.INTERRUPTED if interrupted else ExitCode.OK


def _simulator(settings: Settings, clock: SystemClock) -> "SimulatorServer":
    from exchanges.simulator.doorkeeper import PASSWORD_VARIABLE
    from exchanges.simulator.faults.guide import faults_from_lines
    from exchanges.simulator.faults.schedule import FaultPlan
    from exchanges.simulator.server import SimulatorServer

    simulator = settings.simulator
    return SimulatorServer(
        simulator.scenario,
        simulator.seed,
        clock,
        time_scale=simulator.time_scale,
        plan=FaultPlan(faults_from_lines(simulator.faults), simulator.faults_per_hour),
        # From the environment alone: a command line is seen by every user of the machine, a settings file is shared.
        password=os.environ.get(PASSWORD_VARIABLE),
        log=_tell,
    )


def _tell(text: str) -> None:
    with contextlib.suppress(OSError):  # whoever read it has gone; the exchanges end by their own rules
        print(text, file=sys.stderr, flush=True)


def _stop_with(parent: int, clock: SystemClock, stop: asyncio.Event) -> None:
    """Stop once `parent` is not our parent any more: it was killed, and nobody needs us."""
    if os.getppid() != parent:
        stop.set()
    else:
        clock.call_later(1.0, lambda: _stop_with(parent, clock, stop))


# The post-mortem


def _post_mortem(arguments: Arguments, settings: Settings) -> int:
    from bot.storage.queries import JournalReader
    from postmortem.render import render_table
    from postmortem.report import build_report

    since_ns = arguments.since_ns(SystemClock().now_ns())
    with JournalReader.open(settings.data_dir) as reader:
        report = build_report(reader, settings.strategy, run=arguments.run, since_ns=since_ns)
    if arguments.json:
        print(report.model_dump_json(indent=2))
    else:
        print(render_table(report), end="")
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
