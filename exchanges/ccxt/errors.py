"""ccxt's exceptions as our errors, by class alone: their words hold the whole URL, with keys and signatures."""

from collections.abc import Iterator
from contextlib import contextmanager

from bot.errors import AuthenticationFailed, BotError, ClockSkew, RateLimited, VenueError, VenueUnavailable
from exchanges.ccxt.library import error_class
from exchanges.common.requests.refusals import ServerFault

_RATE_WAIT_S = 1.0

_KINDS: tuple[tuple[str, type[VenueError], str], ...] = (
    # The first that fits counts: InvalidNonce, DDoSProtection and RateLimitExceeded are NetworkErrors to ccxt.
    ("InvalidNonce", ClockSkew, "refused the request's time or nonce"),
    ("DDoSProtection", RateLimited, "has had too many requests"),
    ("RateLimitExceeded", RateLimited, "has had too many requests"),
    ("AuthenticationError", AuthenticationFailed, "refused the key"),
    ("RequestTimeout", VenueUnavailable, "did not answer in time"),
    ("NetworkError", VenueUnavailable, "cannot be reached"),
    ("OperationFailed", ServerFault, "gave no answer that can be used"),
    ("ExchangeError", VenueError, "refused the request"),
)
NOT_UNDERSTOOD = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What ccxt itself trips over where an answer is JSON and not what it expects: an order may have been taken by then."""


@contextmanager
def translated(venue: str) -> Iterator[None]:
    """Requests through ccxt within this block raise our errors, and nothing of ccxt's own words.

    Raises:
        VenueError: The request failed; the class says what to do.
    """
    try:
        yield
    except BotError:
        raise
    except error_class("BaseError") as error:
        raise as_venue_error(venue, error) from None
    except NOT_UNDERSTOOD as error:
        words = f"answered something that ccxt does not understand ({type(error).__name__})"
        raise ServerFault(venue, words) from None
    except OSError as error:
        raise VenueUnavailable(venue, f"cannot be reached ({type(error).__name__})") from None


def as_venue_error(venue: str, error: Exception) -> VenueError:
    """What to do about one of ccxt's errors; a plain VenueError where asking again will not change the answer."""
    for name, kind, words in _KINDS:
        if isinstance(error, error_class(name)):
            wait_s = _RATE_WAIT_S if kind is RateLimited else None
            return kind(venue, f"{words} ({type(error).__name__})", retry_after_s=wait_s)
    return VenueError(venue, f"ccxt failed ({type(error).__name__})")
