"""How requests to Kraken leave through ccxt."""

from contextlib import AbstractAsyncContextManager, nullcontext
from weakref import WeakKeyDictionary

from bot.clock import Clock
from exchanges.ccxt.wire import Besides, Manners, nothing_besides
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.common.requests.request_pool import Lane
from exchanges.kraken.deadlines import NEW_ORDER
from exchanges.kraken.refusals import complaint
from exchanges.kraken.request_costs import cost
from exchanges.kraken.turns import Turns

_TURNS: WeakKeyDictionary[RequestBudget, Turns] = WeakKeyDictionary()
"""Who shares a budget shares a key."""

_PATIENCE_S = {"private/CancelAllOrdersAfter": 5.0}
"""In its lane it would be turned away whenever the counter is full, and orders that rest, asked for again and again,
keep it full, which gives back one in three seconds. The switch has to be set before its time is over."""


def manners(budget: RequestBudget, clock: Clock, besides: Besides = nothing_besides) -> Manners:
    """Paid out of `budget`, judged by Kraken's own errors; a new order is sent once, whatever is answered.

    `besides`: what requests are told at the last moment.
    """
    turns = _TURNS.setdefault(budget, Turns(clock))

    def turn(name: str, lane: Lane) -> AbstractAsyncContextManager[None]:
        return turns.turn(lane) if name.startswith("private/") else nullcontext()

    return Manners(
        budget, cost, complaint, once=frozenset({NEW_ORDER}), besides=besides, turn=turn, patience_s=_PATIENCE_S
    )
