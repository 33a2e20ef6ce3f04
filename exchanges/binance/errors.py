"""Binance's refusals as our errors, told apart by HTTP status and code, never by text."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import aiohttp

from bot.errors import (
    AuthenticationFailed,
    Banned,
    ClockSkew,
    GeoBlocked,
    RateLimited,
    VenueError,
    VenueUnavailable,
)
from exchanges.binance.endpoints import REFUSED, VENUE
from exchanges.binance.library import BinanceAPIException, BinanceRequestException
from exchanges.common.market.plan import printable
from exchanges.common.requests.retry_after import seconds_of

_AUTHENTICATION = frozenset({-1002, -1011, -1022, -1035, -1099, -2014, -2015, -2017})
_RATE = frozenset({-1003, -1015, -1034})
_CLOCK = frozenset({-1021, -5028})
_BY_STATUS: dict[int, type[VenueError]] = {401: AuthenticationFailed, 403: Banned, 418: Banned, 429: RateLimited}
"""403 on a request is the firewall's: not one request more. (A stream's handshake that it refuses never starts.)"""


def as_venue_error(error: BinanceAPIException) -> VenueError:
    """What to do about an answer that is an error."""
    status, code = int(error.status_code), error.code
    if status == 451:
        return GeoBlocked(VENUE, REFUSED[451])
    kind = _kind(status, code if isinstance(code, int) else 0)
    words = f"HTTP {status}, code {code}: {printable(error.message)}" if code else f"HTTP {status}"
    return kind(VENUE, words, retry_after_s=retry_after_s(error.response.headers))


def _kind(status: int, code: int) -> type[VenueError]:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if code in _AUTHENTICATION:
        return AuthenticationFailed
    if code in _RATE:
        return RateLimited
    if code in _CLOCK:
        return ClockSkew
    return VenueUnavailable if status >= 500 or status == 408 else VenueError


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """How long an answer says to wait; None where it does not say."""
    return seconds_of(headers.get("Retry-After", ""))


@contextmanager
def translated() -> Iterator[None]:
    """Requests to Binance within this block raise our errors.

    Raises:
        VenueError: The request failed; the class says what to do.
    """
    try:
        yield
    except BinanceAPIException as error:
        raise as_venue_error(error) from error
    # Neither the words of the errors below nor these themselves, as a cause: they may hold the URL, and with it a
    # signature.
    except TimeoutError:
        raise VenueUnavailable(VENUE, "no answer in time") from None
    except (aiohttp.ClientError, OSError) as error:
        raise VenueUnavailable(VENUE, f"cannot be reached ({type(error).__name__})") from None
    except BinanceRequestException:
        raise VenueUnavailable(VENUE, "answered with something that is not JSON") from None
    except AttributeError as error:
        # python-binance 1.0.37 reads `code` off an error body before it knows that the body is an object.
        raise VenueUnavailable(VENUE, "answered with an error that is not an object") from error
