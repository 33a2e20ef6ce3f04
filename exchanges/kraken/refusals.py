"""What Kraken's errors mean for a request: refused, turned away, or nobody knows.

Kraken has no numbers: an error is `E`, a category, a type and sometimes more, between colons. Category and type are
what it documents, and stand here for the code; what follows them is for people, but for `EGeneral:Invalid arguments`,
where it alone says what is wrong.

Source: https://support.kraken.com/hc/en-us/articles/360001491786-API-error-messages.
"""

from typing import Any

from bot.errors import (
    AuthenticationFailed,
    Banned,
    BelowMinimum,
    ClockSkew,
    InsufficientBalance,
    RateLimited,
    VenueError,
    VenueUnavailable,
)
from exchanges.common.market.plan import printable
from exchanges.common.requests.refusals import Refusal, RefusalCodes, ServerFault
from exchanges.kraken.endpoints import VENUE

_LOCKOUT_S = 900.0
_BY_CODE: dict[str, type[VenueError]] = {
    "EAPI:Invalid key": AuthenticationFailed,
    "EAPI:Invalid signature": AuthenticationFailed,
    "EAPI:Bad request": AuthenticationFailed,
    "EAPI:Feature disabled": AuthenticationFailed,
    "EGeneral:Permission denied": AuthenticationFailed,
    "ESession:Invalid session": AuthenticationFailed,
    "ETrade:User Locked": AuthenticationFailed,
    "ETrade:Locked": AuthenticationFailed,
    "EAuth:Account temporary disabled": AuthenticationFailed,
    "EAuth:Account unconfirmed": AuthenticationFailed,
    "EAPI:Invalid nonce": ClockSkew,
    # Of a deadline that is too near, by Kraken's own clock.
    "EGeneral:Invalid arguments:deadline": ClockSkew,
    "EAPI:Rate limit exceeded": RateLimited,
    "EAuth:Rate limit exceeded": RateLimited,
    "EAuth:Too many requests": RateLimited,
    "EOrder:Rate limit exceeded": RateLimited,
    "EGeneral:Too many requests": RateLimited,
    "EService:Throttled": RateLimited,
    "EGeneral:Temporary lockout": Banned,
    # Turned away before the engine saw it.
    "EService:Market in cancel_only mode": VenueUnavailable,
    "EService:Market in post_only mode": VenueUnavailable,
    "EService:Market in limit_only mode": VenueUnavailable,
    # A fault inside: orders were seen to exist after each of these.
    "EService:Unavailable": ServerFault,
    "EService:Busy": ServerFault,
    "EService:Timeout": ServerFault,
    # "The order may have been placed despite the timeout": https://docs.kraken.com/exchange/guides/general/errors
    "EService:Deadline elapsed": ServerFault,
    "EGeneral:Internal error": ServerFault,
    "EGeneral:Unknown error": ServerFault,
    "EDatabase:Internal error": ServerFault,
}
_INVALID = "EGeneral:Invalid arguments"
_WAIT_S: dict[type[VenueError], float] = {RateLimited: 15.0, Banned: _LOCKOUT_S}
_COUNTER_S = {"EAPI:Rate limit exceeded": 4.0, "EOrder:Rate limit exceeded": 2.0}
"""Counters that fall by themselves, by one in three seconds and by one in one: there is room for the next by then."""
_RESTRICTED = "EAccount:Invalid permissions"
"""Of one asset: `USDT trading restricted for DE`. It says nothing of the key."""
_DEFINITE = (
    _RESTRICTED,
    "EOrder:",
    "EQuery:",
    "ETrade:",
    _INVALID,
    "EGeneral:Unknown method",
    "EFunding:",
)
_UNKNOWN_ORDER = "EOrder:Unknown order"
_CODES = RefusalCodes(
    VENUE,
    no_such_order=frozenset({_UNKNOWN_ORDER, "EOrder:Invalid order", "EOrder:Order not found"}),
    may_exist=frozenset(),
    exists=frozenset({"EGeneral:Invalid arguments:cl_ord_id not unique"}),
    is_definite=lambda code: str(code).startswith(_DEFINITE),
    rejections={
        "EOrder:Insufficient funds": InsufficientBalance,
        "EOrder:Insufficient initial margin": InsufficientBalance,
        "EOrder:Insufficient margin": InsufficientBalance,
        "EOrder:Order minimum not met": BelowMinimum,
        "EGeneral:Invalid arguments:volume minimum not met": BelowMinimum,
        "EOrder:Cost minimum not met": BelowMinimum,
    },
)


def complaint(status: int, answer: Any) -> VenueError | None:
    """What an answer of Kraken's says is wrong; None where nothing is.

    Args:
        status: Of HTTP; Kraken's own errors come with 200.
        answer: Its JSON; None where it is none.
    """
    if not isinstance(answer, dict) or not isinstance(answer.get("error"), list):
        return ServerFault(VENUE, f"answered something that is not understood (HTTP {status})")
    # `W...` warns: what was asked has been done.
    errors = [str(one) for one in answer["error"] if str(one).startswith("E")]
    return of_text(errors[0]) if errors else None


def of_text(text: str) -> VenueError:
    """What one error means; `text` as Kraken spells it."""
    # `EService: Throttled: 1788471234` has room in it.
    code = ":".join(part.strip() for part in text.split(":")[: 3 if text.startswith(_INVALID) else 2])
    kind = _BY_CODE.get(code)
    words = printable(text)
    if kind is None:
        return Refusal(_CODES, code, words)
    return kind(VENUE, words, retry_after_s=_COUNTER_S.get(code, _WAIT_S.get(kind)))
