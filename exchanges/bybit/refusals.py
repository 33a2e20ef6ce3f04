"""What Bybit's error answers mean for a request that would change something: refused, turned away, or nobody knows.

Source: https://bybit-exchange.github.io/docs/v5/error.
"""

from pybit.exceptions import FailedRequestError, InvalidRequestError
from pydantic import ValidationError

from bot.errors import AboveMaximum, BelowMinimum, GeoBlocked, InsufficientBalance, VenueError
from exchanges.bybit.errors import venue_error
from exchanges.bybit.normalize import VENUE
from exchanges.bybit.private_schemas import Envelope
from exchanges.common.market.plan import printable
from exchanges.common.requests.refusals import Refusal, RefusalCodes, ServerFault
from exchanges.common.requests.venue_http import Answer

_UNKNOWN = frozenset({10000, 10016, 131001, 131003, 131200, 131201, 170001, 170007, 170032, 170146, 170147, 170234})
"""Faults inside Bybit (131xxx: its service errors), and creating or cancelling that it gave up waiting for."""
_REQUEST = frozenset({10001, 10017, 10020, 10027, 10029, 10404})


def _is_definite(code: int) -> bool:
    """Whether a code says that a request was refused for what it asked: 110xxx of contracts, 170xxx of spot, 131xxx of
    wallets, and a few that are general."""
    return code in _REQUEST or 110_000 <= code < 111_000 or 131_000 <= code < 132_000 or 170_000 <= code < 171_000


_CODES = RefusalCodes(
    VENUE,
    no_such_order=frozenset({110001, 110008, 110010, 170139, 170142, 170143, 170213}),
    may_exist=frozenset({10014, 20006}),
    exists=frozenset({110072, 170141}),
    is_definite=_is_definite,
    rejections={
        110004: InsufficientBalance,
        110006: InsufficientBalance,
        110007: InsufficientBalance,
        110012: InsufficientBalance,
        110044: InsufficientBalance,
        110045: InsufficientBalance,
        110051: InsufficientBalance,
        110052: InsufficientBalance,
        110053: InsufficientBalance,
        131212: InsufficientBalance,
        170033: InsufficientBalance,
        170131: InsufficientBalance,
        110094: BelowMinimum,
        170136: BelowMinimum,
        170140: BelowMinimum,
        170124: AboveMaximum,
        170135: AboveMaximum,
    },
)


def checked(answer: Answer) -> Envelope:
    """The envelope of an answer that is none of an error.

    Raises:
        Refusal: Bybit refused what was asked.
        ServerFault: It may have done what was asked.
        VenueError: It refuses us.
    """
    if answer.status >= 500 or answer.status == 408:
        raise ServerFault(VENUE, f"HTTP {answer.status}")
    if answer.status == 403 and answer.headers.get("Content-Type", "").startswith("text/html"):
        # A page is the content network's. Bybit's own 403 is plain, and means ten minutes without a request.
        raise GeoBlocked(VENUE, "refused with HTTP 403 before it was asked: a firewall, or a place that is not served")
    if answer.status != 200:
        raise venue_error(FailedRequestError("", "", answer.status, "", None))
    try:
        envelope = Envelope.model_validate_json(answer.text)
    except ValidationError as error:
        # Whatever it was, it was not a refusal.
        raise ServerFault(VENUE, "answered something that is not understood") from error
    if envelope.code:
        raise _complaint(envelope)
    return envelope


def code_of(answer: Answer) -> int:
    """Bybit's code in an answer; 0 where it has none."""
    try:
        return Envelope.model_validate_json(answer.text).code
    except ValidationError:
        return 0


def _complaint(envelope: Envelope) -> VenueError:
    words = f"{printable(envelope.message)} (code {envelope.code})"
    if envelope.code in _UNKNOWN:
        return ServerFault(VENUE, words)
    error = venue_error(InvalidRequestError("", envelope.message, envelope.code, "", None))
    return Refusal(_CODES, envelope.code, words) if type(error) is VenueError else error
