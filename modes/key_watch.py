"""The job `rights`: what the keys may do, asked again. One that got worse halts the run."""

import asyncio
from collections.abc import Callable, Sequence

from bot.clock import Clock
from bot.domain.instrument import Instrument
from bot.errors import AuthenticationFailed
from bot.jobs import Job
from bot.ports.inspection import AccountInspector
from bot.preflight.account import Stakes
from bot.preflight.check import failures
from modes.preflight import check_rights


def key_rights_job(
    schedule: str | None,
    accounts: Sequence[AccountInspector],
    instruments: Sequence[Instrument],
    stakes: Stakes,
    clock: Clock,
    halt: Callable[[str], None],
) -> Job | None:
    """The job; None where it has no schedule, or there is no account to ask about.

    Args:
        schedule: When it runs.
        accounts: Whose keys are asked about.
        instruments: What is traded.
        stakes: Decide how strict to be.
        clock: Says whether a key has expired.
        halt: Takes the reason why nothing new may be opened.
    """
    if schedule is None or not accounts:
        return None

    async def run() -> str:
        looks = (_of(account, instruments, stakes, clock, halt) for account in accounts)
        found = await asyncio.gather(*looks, return_exceptions=True)  # who does not answer shields no other
        told = [one for one in found if isinstance(one, str)]
        for one in found:
            if isinstance(one, BaseException):
                raise one
        return ", ".join(told)

    return Job("rights", schedule, run, is_cut_short=True)


async def _of(
    account: AccountInspector,
    instruments: Sequence[Instrument],
    stakes: Stakes,
    clock: Clock,
    halt: Callable[[str], None],
) -> str:
    """What was found, for a person.

    Raises:
        VenueError: The venue cannot be asked just now; that alone halts nothing.
    """
    try:
        wrong = failures(await check_rights(account, instruments, stakes, clock))
    except AuthenticationFailed as error:
        halt(f"the key is refused: {error}")
        raise
    for check in wrong:
        halt(check.line)
    return f"{account.venue} {'changed for the worse' if wrong else 'as it should be'}"
