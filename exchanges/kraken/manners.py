"""How requests to Kraken leave through ccxt."""

from exchanges.ccxt.wire import Manners
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.kraken.refusals import complaint
from exchanges.kraken.request_costs import cost

_NEW_ORDER = "private/AddOrder"


def manners(budget: RequestBudget) -> Manners:
    """Paid out of `budget`, judged by Kraken's own errors; a new order is sent once, whatever is answered."""
    return Manners(budget, cost, complaint, once=frozenset({_NEW_ORDER}))
