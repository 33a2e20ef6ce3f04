"""`--mode doctor`: the preflight alone, a line for everything that was looked at and what to do about it."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from bot.clock import SystemClock
from bot.command_line import Arguments
from bot.domain.money import money_words
from bot.errors import Banned, ExitCode, GeoBlocked, SettingsError, VenueError
from bot.headless import Headless
from bot.preflight.check import Check, Verdict, failed, failures
from bot.preflight.machine import look_at_machine
from bot.settings import Settings
from bot.settings.loader import LoadedSettings
from bot.text import inert
from exchanges.common.requests.api_keys import ApiKeys
from modes.hardening import harden
from modes.house import MAIN
from modes.locks import is_real, unlocked_keys

_MARKS = {Verdict.OK: "ok", Verdict.WARNING: "WARNING", Verdict.FAILED: "FAILED"}


def run_doctor(arguments: Arguments, loaded: LoadedSettings) -> int:
    """Look at everything and print it; returns the exit code: 3 where a check failed.

    A venue that does not even say what it lists leaves the machine to be looked at, and ends with its error's code, 5.

    Raises:
        SettingsError: If there is nothing to look at, or real money was asked for and a lock is closed.
    """
    settings = loaded.settings
    if settings.market == "recorded":
        raise SettingsError("--mode doctor looks at what a run would use now: add --market live, testnet or simulated")
    harden()
    keys = unlocked_keys(settings, flag=arguments.real_money, environ=os.environ)
    real_money = is_real(settings, keys)
    headless = Headless(as_json=arguments.json)
    code = ExitCode.PREFLIGHT
    try:
        checks = asyncio.run(_look(settings, keys, headless, real_money=real_money))
    except VenueError as error:
        checks, code = (
            [*look_at_machine(settings.data_dir, settings.journal, SystemClock()), _away(error)],
            error.exit_code,
        )
    finally:
        headless.close()
    if arguments.json:
        print(json.dumps(_told(checks, settings, real_money=real_money)))
    else:
        print("\n".join(lines(checks, settings.market, real_money=real_money)))
    sys.stdout.flush()
    return code if failures(checks) else ExitCode.OK


def _away(error: VenueError) -> Check:
    """A venue that nothing could be asked of."""
    if isinstance(error, Banned):
        advice = "wait until the ban is over; look what else asks it from this address"
    elif isinstance(error, GeoBlocked):
        advice = "run the bot from a place that it serves, or leave its feeds out of instruments"
    else:
        advice = "check this machine's network, names and firewall, venues in the settings, and the venue's status page"
    return failed("instruments", error.venue, f"{error}; nothing more could be asked", advice)


async def _look(
    settings: Settings, keys: Mapping[str, ApiKeys], headless: Headless, *, real_money: bool
) -> Sequence[Check]:
    from exchanges.markets import Wanted, opened_market
    from modes.preflight import preflight

    async with opened_market(settings, Wanted((), None, MAIN, keys), headless.log, headless.on_scan) as opened:
        return await preflight(opened, settings, opened.keys, real_money=real_money)


def lines(checks: Sequence[Check], market: str, *, real_money: bool) -> list[str]:
    """For a person: what is to be done last, where it is seen."""
    told = [f"{market.upper()} market, {money_words(market, real_money)}"]
    for check in sorted(checks, key=lambda one: list(_MARKS).index(one.verdict)):
        where = f"{check.subject} " if check.subject else ""
        told.append(inert(f"{_MARKS[check.verdict]:<8} {where}{check.name}: {check.observed}"))
        if check.advice:
            told.append(inert(f"{'':<8} -> {check.advice}"))
    wrong, notes = len(failures(checks)), sum(check.verdict is Verdict.WARNING for check in checks)
    told.append(f"{len(checks)} checks: {wrong} failed, {notes} to know of")
    return told


def _told(checks: Sequence[Check], settings: Settings, *, real_money: bool) -> dict[str, object]:
    return {
        "market": settings.market,
        "real_money": real_money,
        "ready": not failures(checks),
        "checks": [asdict(check) for check in checks],
    }
