"""What Kraken counts, and what each request of ours takes of it: a counter of the key, and one of orders.

Both fall by themselves, so that what was spent is given back over a time: the lowest tier's 15 at 0.33 a second, and
60 at one a second of orders, where a cancel costs up to 8 while its order is young. Higher tiers have more of both.

Sources: https://docs.kraken.com/exchange/guides/rest/ratelimits and .../guides/general/ratelimits.
"""

from exchanges.common.requests.request_budget import Cost
from exchanges.common.requests.request_pool import Rate

COUNTER = "counter"
ORDERS = "orders"
PUBLIC = "public"
_YOUNG_CANCEL = 8
_COSTS: dict[str, Cost] = {
    "private/AddOrder": {ORDERS: 1},
    "private/CancelOrder": {ORDERS: _YOUNG_CANCEL},
    "private/TradesHistory": {COUNTER: 2},
}


def rates() -> list[Rate]:
    """The lowest tier's, less one: Kraken's answers do not tell which tier an account has."""
    return [Rate(COUNTER, 14, 42.4, leaks=True), Rate(ORDERS, 59, 59.0, leaks=True), Rate(PUBLIC, 15, 15.0)]


def cost(name: str) -> Cost:
    """What a request takes, by ccxt's name of what is asked."""
    return _COSTS.get(name) or ({PUBLIC: 1} if name.startswith("public/") else {COUNTER: 1})


def new_order_cost() -> Cost:
    """What must be there before an order adds risk: itself, its cancel, and to ask what became of it and of one more.

    An order is asked for twice, for its state and for its trades; so is the one that evens it out.
    """
    return {ORDERS: 2 + _YOUNG_CANCEL, COUNTER: 4}
