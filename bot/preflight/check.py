"""One line of a preflight: what was looked at, what was found, and what a person can do about it."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.errors import AuthenticationFailed, BotError, PreflightFailed, VenueError
from bot.patience import Patience


class Verdict(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    """Somebody should know; the start goes on."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One of them. Text comes from outside as well: whoever shows it takes control characters out."""

    name: str
    """What was looked at: `key rights`."""
    subject: str
    """Where: a venue, an instrument, a path; empty for the machine."""
    verdict: Verdict
    observed: str
    advice: str = ""
    """What a person can do; empty where there is nothing to do."""

    @property
    def line(self) -> str:
        """For a log: `binance key rights: may withdraw; make a key without that right`."""
        where = f"{self.subject} " if self.subject else ""
        return f"{where}{self.name}: {self.observed}{f'; {self.advice}' if self.advice else ''}"


def ok(name: str, subject: str, observed: str) -> Check:
    """Nothing to do."""
    return Check(name, subject, Verdict.OK, observed)


def warning(name: str, subject: str, observed: str, advice: str) -> Check:
    """To be known, and no reason to stay away."""
    return Check(name, subject, Verdict.WARNING, observed, advice)


def failed(name: str, subject: str, observed: str, advice: str) -> Check:
    """Nothing is traded before it is put right."""
    return Check(name, subject, Verdict.FAILED, observed, advice)


def failures(checks: Iterable[Check]) -> list[Check]:
    """Those that failed."""
    return [check for check in checks if check.verdict is Verdict.FAILED]


def require(checks: Sequence[Check]) -> None:
    """Let the start go on.

    Raises:
        PreflightFailed: If a check failed; the message names each of them.
    """
    wrong = failures(checks)
    if wrong:
        named = ", ".join(f"{check.subject} {check.name}".strip() for check in wrong)
        raise PreflightFailed(
            f"nothing was traded: {len(wrong)} of {len(checks)} checks failed ({named}); "
            "--mode doctor shows all of them"
        )


async def asked(
    name: str, subject: str, look: Callable[[], Awaitable[Sequence[Check]]], patience: Patience | None = None
) -> Sequence[Check]:
    """What `look` finds; a question that cannot be asked is a check that failed.

    Raises:
        VenueError: If there was `patience`, and the venue is away still: there is nothing for a person to put right.
    """
    try:
        return await (look() if patience is None else patience.asked(look))
    except AuthenticationFailed as error:
        return [
            failed(name, subject, str(error), "check key, secret, rights and the addresses that the key is bound to")
        ]
    except BotError as error:
        if patience is not None and isinstance(error, VenueError) and patience.may_help(error):
            raise
        return [failed(name, subject, str(error), "try again; if it stays, look at the venue's status page")]
