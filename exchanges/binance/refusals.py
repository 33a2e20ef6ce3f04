"""What Binance's error answers mean for a request that would change something: refused, turned away, or nobody knows.

Source: https://developers.binance.com/docs (error codes of spot and USDⓈ-M).
"""

import json
from typing import Any

from bot.errors import AboveMaximum, BelowMinimum, InsufficientBalance, VenueError, VenueUnavailable
from exchanges.binance.endpoints import VENUE
from exchanges.binance.errors import as_venue_error, retry_after_s
from exchanges.binance.library import BinanceAPIException
from exchanges.common.market.plan import printable
from exchanges.common.requests.refusals import Refusal, RefusalCodes, ServerFault
from exchanges.common.requests.venue_http import Answer

_OVERLOADED = -1008
"""Turned away before the matching engine saw it, for all that the status is a 503."""
_SHUTTING_DOWN = -1016
"""Not served any more."""
_CLOSED = "Service Unavailable."
"""Of the three kinds of 503 the one without a code of its own that says that nothing was executed. It must be this to
the letter: whatever else is said, the order may exist."""
_UNKNOWN = frozenset({-1000, -1001, -1006, -1007})


def _is_definite(code: int) -> bool:
    """Whether a code says that a request was refused for what it asked.

    The families: 10xx is about server and network, and but for a few says nothing of the order; 11xx is what is wrong
    with the request; 20xx and 40xx to 51xx are what the engine and its rules refused.
    """
    return code in _REQUEST or -1199 <= code <= -1100 or -2099 <= code <= -2010 or -5199 <= code <= -4000


_REQUEST = frozenset({-1010, -1013, -1014, -1020, -1023})
_CODES = RefusalCodes(
    VENUE,
    no_such_order=frozenset({-2011, -2013, -2026}),
    # Spot says -2010 for a client order id that is there already, and for a wallet that does not cover the order.
    may_exist=frozenset({-2010}),
    exists=frozenset({-4116}),
    is_definite=_is_definite,
    rejections={
        -2018: InsufficientBalance,
        -2019: InsufficientBalance,
        -2024: InsufficientBalance,
        -2027: InsufficientBalance,
        -4003: BelowMinimum,
        -4004: BelowMinimum,
        -4164: BelowMinimum,
        -4005: AboveMaximum,
    },
)


def checked(answer: Answer) -> str:
    """The text of an answer that is none of an error.

    Raises:
        Refusal: Binance refused what was asked.
        ServerFault: It may have done what was asked.
        VenueError: It refuses us.
    """
    if 200 <= answer.status < 300:
        return answer.text
    code, message = _complaint(answer.text)
    words = f"HTTP {answer.status}, code {code}: {printable(message)}"
    if code in (_OVERLOADED, _SHUTTING_DOWN) or (answer.status == 503 and not code and message == _CLOSED):
        raise VenueUnavailable(VENUE, words, retry_after_s=retry_after_s(answer.headers))
    if answer.status >= 500 or answer.status == 408 or code in _UNKNOWN:
        raise ServerFault(VENUE, words)
    body = json.dumps({"code": code, "msg": message})
    error = as_venue_error(BinanceAPIException(answer, answer.status, body))
    if type(error) is VenueError:
        raise Refusal(_CODES, code, words)
    raise error


def code_of(answer: Answer) -> int:
    """Binance's code in an answer that is an error; 0 where it has none."""
    return _complaint(answer.text)[0]


def _complaint(text: str) -> tuple[int, str]:
    try:
        body: Any = json.loads(text)
        return int(body["code"]), str(body["msg"])
    except (ValueError, TypeError, KeyError):
        return 0, ""


def complaint(venue_code: int, message: str, status: int) -> VenueError:
    """An error that came over the WebSocket API, as the same one over REST."""
    try:
        checked(Answer(status, {}, json.dumps({"code": venue_code, "msg": message})))
    except VenueError as error:
        return error
    return VenueUnavailable(VENUE, f"answered with status {status} and an error")
