"""What a venue's error says became of an order, whichever way it was sent or cancelled."""

from collections.abc import Iterator
from contextlib import contextmanager

from bot.errors import OrderError, OrderOutcomeUnknown, VenueError
from exchanges.common.requests.refusals import Refusal, ServerFault
from exchanges.common.requests.venue_http import AnswerLost


def outcome_of(client_order_id: str, error: VenueError) -> OrderError | None:
    """What became of a new order that was answered with `error`.

    None: it did not arrive; or, where `error` is a `Refusal`, one of its id may be there already.
    """
    if isinstance(error, AnswerLost | ServerFault):
        return OrderOutcomeUnknown(client_order_id, str(error))
    if not isinstance(error, Refusal) or error.may_exist:
        return None
    if not error.is_definite:
        return OrderOutcomeUnknown(client_order_id, f"{error}, which is not known")
    return error.of_order(client_order_id)


@contextmanager
def cancelling() -> Iterator[None]:
    """A cancel is asked for within the block; one that is refused since the order is unknown, or over, is done.

    Raises:
        VenueError: Any other refusal, or it cannot be asked.
    """
    try:
        yield
    except Refusal as refusal:
        if not refusal.is_no_such_order:
            raise
