"""`--mode pause`, `resume` and `flatten`: what a person asks of the run that goes on, and whether it came to be.

`--mode resume --halt` is another matter: it takes away the flag that `--mode kill` set, with no run at all.
"""

import asyncio
import json
import sys
from dataclasses import asdict

from bot.command_line import Arguments
from bot.control.client import Attachment, attach
from bot.control.messages import Command, Finished
from bot.domain.snapshot import Snapshot
from bot.engine.run import SOCKET
from bot.errors import ExitCode, SettingsError, StorageError
from bot.risk.halt_flag import lower_flag, read_flag
from bot.settings import Settings
from bot.suggestion import did_you_mean

PATIENCE_S = 10.0
"""For the engine to answer and to do it; closing pairs may take longer, and goes on by itself."""

_WITHOUT_ENGINE = {
    # The flag works without an engine; a pause needs one.
    "pause": "--mode kill needs no engine",
    "flatten": "--mode kill needs no engine",
    "resume": "a pause ends while the bot runs: start it first; a halt is lifted by --mode resume --halt",
}


def run_control(arguments: Arguments, settings: Settings) -> int:
    """Ask, and wait until it holds; returns the exit code.

    2 where no engine runs or the route is unknown, 4 where it is halted and cannot resume, 5 where the engine does not
    answer, or something is not closed yet, 6 where it holds, and the disk has not taken it.
    """
    if arguments.halt:
        return take_halt_away(settings, as_json=arguments.json)
    try:
        return asyncio.run(_ask(arguments, settings))
    except ConnectionError as error:
        return _failed(f"{error}; {_WITHOUT_ENGINE[arguments.mode]}", ExitCode.SETTINGS)
    except TimeoutError:
        why = (
            f"the engine on {settings.data_dir} has not done it within {PATIENCE_S:.0f} s; --mode kill needs no engine"
        )
        return _failed(why, ExitCode.VENUE)


def take_halt_away(settings: Settings, *, as_json: bool) -> int:
    """Show what the halt flag says, and take it away.

    Raises:
        StorageError: If it stays.
    """
    flag = read_flag(settings.data_dir)
    if flag is not None:
        try:
            lower_flag(settings.data_dir)
        except OSError as error:
            raise StorageError(
                f"the halt flag in {settings.data_dir} cannot be taken away: {error.strerror}"
            ) from error
    if as_json:
        told = None if flag is None else asdict(flag)
        print(json.dumps({"halt": told}))
    elif flag is None:
        print(f"no halt stands in {settings.data_dir}")
    else:
        print(f"taken away: {flag.words()}")
        print("a run that is HALTED stays so until it is started again")
    return ExitCode.OK


def _failed(why: str, code: ExitCode) -> int:
    print(f"crypto-pipe: {why}", file=sys.stderr)
    return code


async def _ask(arguments: Arguments, settings: Settings) -> int:
    engine = await attach(settings.data_dir / SOCKET)
    try:
        async with asyncio.timeout(PATIENCE_S):
            shown = await _next(engine)
        _check_route(arguments.route, shown)
        command = Command.model_validate({"command": arguments.mode, "route": arguments.route})
        await engine.send(command)
        try:
            async with asyncio.timeout(PATIENCE_S):
                shown = await _next(engine)  # the one before the command was not its answer
                while not _is_done(command, shown):
                    shown = await _next(engine)
        except TimeoutError:
            if not _is_taken(command, shown):
                raise
    finally:
        await engine.close()
    return _tell(command, shown, as_json=arguments.json)


async def _next(engine: Attachment) -> Snapshot:
    message = await anext(engine)
    if isinstance(message, Finished):
        raise ConnectionError("the run has just finished")
    return message


def _check_route(route: str | None, shown: Snapshot) -> None:
    known = [row.route for row in shown.routes]
    if route is not None and route not in known and route not in shown.paused:
        near = did_you_mean(route, known)
        raise SettingsError(f"--route: no such route in this run{near or '; --mode status --json lists them'}")


def _is_taken(command: Command, shown: Snapshot) -> bool:
    """Whether the pause holds, or has ended."""
    return ((command.route or "") in shown.paused) is (command.command != "resume")


def _is_done(command: Command, shown: Snapshot) -> bool:
    """Whether nothing is left to wait for."""
    is_kept = _is_taken(command, shown) and shown.are_pauses_kept
    return is_kept and not (command.command == "flatten" and _open_pairs(command, shown))


def _open_pairs(command: Command, shown: Snapshot) -> list[str]:
    """Real ones beside paper ones too: what has money in it is the last to be forgotten."""
    twins = {} if shown.shadow is None else shown.shadow.twins
    open_ = [(row.pair, row.route) for row in shown.pairs] + list(twins.items())
    return [pair for pair, route in open_ if command.route in (None, route)]


def _tell(command: Command, shown: Snapshot, *, as_json: bool) -> int:
    if as_json:
        told = {
            "command": command.command,
            "route": command.route,
            "done": _is_done(command, shown),
            "state": shown.state,
            "paused": list(shown.paused),
            "kept": shown.are_pauses_kept,
            "reducing": shown.reducing,
            "open_pairs": _open_pairs(command, shown),
        }
        print(json.dumps(told))
    else:
        print("\n".join(_words(command, shown)))
    if not shown.are_pauses_kept:
        return ExitCode.STORAGE
    if not _is_done(command, shown):
        return ExitCode.VENUE
    return ExitCode.RISK_HALT if command.command == "resume" and shown.state == "HALTED" else ExitCode.OK


def _words(command: Command, shown: Snapshot) -> list[str]:
    what = command.route or "everything"
    money = "REAL MONEY" if shown.real_money else "paper money"
    lines = [f"{shown.market.upper()} market, {money}: {shown.state}"]
    if command.command == "resume":
        lines.append(f"{what} is not paused any more")
        if shown.state == "REDUCING":
            lines.append(f"nothing new is opened all the same: {'; '.join(shown.reducing.values())}")
        if shown.state == "HALTED":
            lines.append("HALTED all the same: look why; a halt ends with --mode resume --halt and a restart")
    else:
        until = ", also after a restart" if shown.are_pauses_kept else ""
        lines.append(f"{what} is paused: nothing new is opened{until}")
    if not shown.are_pauses_kept:
        lines.append("NOT DURABLE: the disk has not taken it, and a restart would not know")
    open_pairs = ", ".join(_open_pairs(command, shown))
    if command.command == "flatten":
        lines.append(f"STILL being closed: {open_pairs}" if open_pairs else "no pair of it is open")
    elif open_pairs and command.command == "pause":
        lines.append(f"open still, and closed when their time comes: {open_pairs}")
    lines += [f"paused still: {route or 'everything'}" for route in shown.paused if route != (command.route or "")]
    return lines
