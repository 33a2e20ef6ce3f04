"""Bybit's refusals as our errors: by code, status and class, never by text.

Source: https://bybit-exchange.github.io/docs/v5/error.
"""

from pybit.exceptions import FailedRequestError, InvalidRequestError

from bot.errors import (
    AuthenticationFailed,
    Banned,
    ClockSkew,
    GeoBlocked,
    RateLimited,
    VenueError,
    VenueUnavailable,
)
from exchanges.bybit.endpoints import FORBIDDEN
from exchanges.common.market.plan import printable

_VENUE = "bybit"
_IP_BAN_S = 600.0
"""A breached IP limit is lifted after ten minutes without a request."""

_BY_RET_CODE: dict[int, type[VenueError]] = {
    429: VenueUnavailable,  # high server load
    10000: VenueUnavailable,  # server timeout
    10002: ClockSkew,
    10003: AuthenticationFailed,  # key
    10004: AuthenticationFailed,  # signature
    10005: AuthenticationFailed,  # permission
    10006: RateLimited,
    10007: AuthenticationFailed,
    10008: AuthenticationFailed,  # the account is banned
    10009: Banned,  # IP
    10010: AuthenticationFailed,  # IP not bound to the key
    10016: VenueUnavailable,  # internal error or restart
    10018: RateLimited,  # IP
    10019: VenueUnavailable,  # the trade socket restarts
    10024: GeoBlocked,  # compliance rules
    10028: AuthenticationFailed,  # not a unified account
    10403: Banned,  # IP, on a socket
    10429: RateLimited,  # the whole system's
    20003: RateLimited,  # a session's
    33004: AuthenticationFailed,  # key expired
    170005: RateLimited,  # new orders, spot
    170222: RateLimited,  # spot
}
_BY_STATUS: dict[int, type[VenueError]] = {
    401: AuthenticationFailed,
    403: GeoBlocked,
    409: VenueUnavailable,  # pybit's own: the answer was not JSON
    429: RateLimited,
}
_RETRY_AFTER_S: dict[type[VenueError], float] = {
    RateLimited: 1.0,  # limits are counted per second (IP: per 5 s)
    Banned: _IP_BAN_S,
    GeoBlocked: _IP_BAN_S,
}


def venue_error(error: Exception) -> VenueError:
    """What a request's failure means for us.

    Args:
        error: Raised by pybit (PermissionError: it has no keys), or by `requests` inside it, whose errors are all
            OSErrors.

    Returns:
        The error to raise; a plain VenueError where Bybit refused for a reason that asking again will not change.
    """
    if isinstance(error, InvalidRequestError):
        return _of_ret_code(error.status_code, error.message)
    if isinstance(error, FailedRequestError):
        return _of_status(error.status_code)
    if isinstance(error, PermissionError):
        return AuthenticationFailed(_VENUE, "this request needs an API key and a secret")
    if isinstance(error, OSError):
        return VenueUnavailable(_VENUE, f"cannot be asked: {printable(_innermost(error))}")
    return VenueUnavailable(_VENUE, f"answered something that is not understood ({type(error).__name__})")


def _innermost(error: BaseException) -> object:
    """The system's own words (`Connection refused`), which requests and urllib3 wrap three times over."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return getattr(error, "strerror", None) or error


def _of_ret_code(code: int, message: str) -> VenueError:
    kind = _BY_RET_CODE.get(code, VenueError)
    return kind(_VENUE, f"{printable(message)} (code {code})", retry_after_s=_RETRY_AFTER_S.get(kind))


def _of_status(status: int) -> VenueError:
    kind = _BY_STATUS.get(status, VenueUnavailable if status >= 500 else VenueError)
    words = FORBIDDEN if status == 403 else f"HTTP {status}"
    return kind(_VENUE, words, retry_after_s=_RETRY_AFTER_S.get(kind))
