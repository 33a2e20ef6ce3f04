"""What Binance's error answers mean for a request that would change something: refused, turned away, or nobody knows.

Source: https://developers.binance.com/docs (error codes of spot and USDⓈ-M).
"""

import json
from typing import Any

from bot.errors import BelowMinimum, InsufficientBalance, VenueError, VenueUnavailable
from exchanges.binance.endpoints import VENUE
from exchanges.binance.errors import as_venue_error
from exchanges.binance.library import BinanceAPIException
from exchanges.common.plan import printable
from exchanges.common.refusals import Refusal, RefusalCodes, ServerFault
from exchanges.common.venue_http import Answer

_OVERLOADED = -1008
"""Turned away before the matching engine saw it, for all that the status is a 503."""
_UNKNOWN = frozenset({-1006, -1007})
_CODES = RefusalCodes(
    VENUE,
    no_such_order=frozenset({-2011, -2013}),
    # A client order id that is there already; spot says -2010 for that and for a wallet that does not cover it.
    may_exist=frozenset({-2010, -4116}),
    rejections={
        -2018: InsufficientBalance,
        -2019: InsufficientBalance,
        -4004: BelowMinimum,
        -4164: BelowMinimum,
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
    if code != _OVERLOADED and (answer.status >= 500 or answer.status == 408 or code in _UNKNOWN):
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
