"""How requests to Kraken leave through ccxt."""

from exchanges.ccxt.wire import Besides, Manners, nothing_besides
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.kraken.deadlines import NEW_ORDER
from exchanges.kraken.refusals import complaint
from exchanges.kraken.request_costs import cost


def manners(budget: RequestBudget, besides: Besides = nothing_besides) -> Manners:
    """Paid out of `budget`, judged by Kraken's own errors; a new order is sent once, whatever is answered.

    `besides`: what requests are told at the last moment.
    """
    return Manners(budget, cost, complaint, once=frozenset({NEW_ORDER}), besides=besides)
