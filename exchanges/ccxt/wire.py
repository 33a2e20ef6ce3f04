"""How requests leave through ccxt: what each takes of the venue's budget, and what the venue's own errors mean.

Which of its errors ccxt makes of an answer is not used where orders are concerned: it holds Bybit's and Kraken's
unknown outcomes for refusals, and a lost answer for a connection that was refused.
"""

import asyncio
import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bot.errors import VenueError, VenueUnavailable
from exchanges.common.requests.request_budget import Cost, RequestBudget
from exchanges.common.requests.request_pool import Lane
from exchanges.common.requests.venue_http import AnswerLost

_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, socket.gaierror)


def _nothing(status: int, answer: Any) -> VenueError | None:
    return None


Besides = Callable[[str], Mapping[str, Any]]
"""What a request is told besides what it asks for, by ccxt's name of it; asked for when it is about to be signed."""


def nothing_besides(name: str) -> Mapping[str, Any]:
    """A `Besides`: nothing, whatever is asked."""
    return {}


def _no_turn(name: str, lane: Lane) -> AbstractAsyncContextManager[None]:
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Manners:
    """One venue's."""

    budget: RequestBudget
    cost: Callable[[str], Cost]
    """What a request takes of it, by ccxt's name of what is asked: `private/AddOrder`."""
    complaint: Callable[[int, Any], VenueError | None] = _nothing
    """What an answer (status; its JSON, None where it is none) says is wrong, by code; None: ask ccxt."""
    once: Collection[str] = ()
    """What is never sent again, by ccxt's name; all else is where it was turned away unread for its number."""
    besides: Besides = nothing_besides
    turn: Callable[[str, Lane], AbstractAsyncContextManager[None]] = _no_turn
    """What a request is signed and sent within, by ccxt's name and its lane."""
    patience_s: Mapping[str, float] = field(default_factory=dict)
    """How long a request waits for room, by ccxt's name; any other as its lane does."""


_LANE: ContextVar[Lane] = ContextVar("lane", default=Lane.READ)


@contextmanager
def in_lane(lane: Lane) -> Iterator[None]:
    """Requests of this task within the block stand in this lane of the budget; others read."""
    before = _LANE.set(lane)
    try:
        yield
    finally:
        _LANE.reset(before)


def lane() -> Lane:
    """Of what this task sends now."""
    return _LANE.get()


def of_network(venue: str, error: Exception) -> VenueError:
    """What one of ccxt's errors that something of the network has caused means: never sent, or nobody knows.

    ccxt calls both `ExchangeNotAvailable`; what it has caught tells them apart.
    """
    cause = error.__cause__
    if isinstance(cause, _NEVER_SENT):
        return VenueUnavailable(venue, f"cannot be reached ({type(cause).__name__})")
    if isinstance(cause, asyncio.TimeoutError):
        return AnswerLost(venue, "no answer in time")
    return AnswerLost(venue, f"the connection was lost ({type(cause).__name__})")
