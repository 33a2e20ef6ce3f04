"""`--mode simulate`: the simulated exchanges, for the bot and for other people's clients."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bot.clock import SystemClock
from bot.command_line import Arguments
from bot.errors import ExitCode, SettingsError
from bot.settings import Settings
from modes.long_lived import leave_what_is_here
from modes.signals import Interruption

if TYPE_CHECKING:
    from exchanges.simulator.server import SimulatorServer

_PLAYING = ("action", "doctor", "record", "scan")
"""Modes that start simulated exchanges on their market; the others must not fail for a day that they do not play."""


def list_faults(*, as_json: bool) -> int:
    """Print which faults can be ordered."""
    from exchanges.simulator.faults.guide import catalogue_json, catalogue_table

    print(json.dumps(catalogue_json(), indent=2) if as_json else catalogue_table(), end="\n" if as_json else "")
    return ExitCode.OK


def check_faults(arguments: Arguments, settings: Settings) -> None:
    """Raise SettingsError, before anything is started, for a day or a fault of simulated exchanges that cannot be."""
    wished = {"--scenario": arguments.scenario, "--seed": arguments.seed, "--fault": arguments.fault or None}
    named = next((option for option, value in wished.items() if value is not None), None)
    if named is not None and arguments.mode != "simulate" and settings.market != "simulated":
        raise SettingsError(
            f"{named} is for the simulated exchanges, and this is the {settings.market} market: "
            f"add --market simulated, or leave {named} away"
        )
    if (settings.market == "simulated" and arguments.mode in _PLAYING) or arguments.mode == "simulate":
        from exchanges.simulator.market.scenarios import scenario_named

        scenario_named(settings.simulator.scenario)
    if settings.simulator.faults:
        from exchanges.simulator.faults.guide import faults_from_lines

        faults_from_lines(settings.simulator.faults)


def simulate(arguments: Arguments, settings: Settings) -> int:
    """Serve the simulated exchanges until they are ended; returns the exit code."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(arguments, settings))


async def _serve(arguments: Arguments, settings: Settings) -> int:
    clock = SystemClock()
    server = _simulator(settings, clock)
    address = await server.start(arguments.port or 0, settings.simulator.host)
    leave_what_is_here()
    stop = asyncio.Event()
    # Before anybody is told that we are here, and may want to end us.
    interruption = Interruption(stop)
    day = f"scenario {settings.simulator.scenario}, seed {settings.simulator.seed}"
    # Before the address: a bot that waits for that one has lines of its own for the same stderr as soon as it is there.
    _tell(f"SIMULATED {_named(server.venues)} on {address.url}: {day}; Ctrl-C ends it")
    print(address.as_json(), flush=True)
    if arguments.for_s is not None:
        clock.call_later(arguments.for_s, stop.set)
    if arguments.parent is not None:
        _stop_with(arguments.parent, clock, stop)
    await server.run(stop)
    return ExitCode.INTERRUPTED if interruption.has_come else ExitCode.OK


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
        fee_tier=simulator.fee_tier,
        fees_in_bnb=simulator.fees_in_bnb,
        listings=simulator.listings,
        crosses=simulator.crosses,
        kraken=simulator.kraken,
        log=_tell,
    )


def _named(venues: Sequence[str]) -> str:
    """`Binance, Bybit and Kraken`."""
    *first, last = (venue.capitalize() for venue in venues)
    return f"{', '.join(first)} and {last}"


def _tell(text: str) -> None:
    with contextlib.suppress(OSError):  # whoever read it has gone; the exchanges end by their own rules
        # In one piece: where Python does not buffer, print would leave room for another's words before the line's end.
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def _stop_with(parent: int, clock: SystemClock, stop: asyncio.Event) -> None:
    """Stop once `parent` is not our parent any more: it was killed, and nobody needs us."""
    if os.getppid() != parent:
        stop.set()
    else:
        clock.call_later(1.0, lambda: _stop_with(parent, clock, stop))
