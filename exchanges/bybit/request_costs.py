"""What Bybit counts, and what each request of ours takes of it: an address's in five seconds, a key's each second.

Source: https://bybit-exchange.github.io/docs/v5/rate-limit.
"""

from collections.abc import Mapping

from bot.domain.instrument import Feed
from exchanges.common.figures import whole_number
from exchanges.common.requests.request_budget import Cost, RequestBudget
from exchanges.common.requests.request_pool import Rate
from exchanges.common.requests.venue_http import Answer

ADDRESS = "address 5s"
_ADDRESS_CODES = frozenset({10018, 10429})
_PER_SECOND = {
    "order linear": 10,
    "order spot": 20,
    "cancel linear": 10,
    "cancel spot": 20,
    "cancel-all linear": 10,
    "cancel-all spot": 20,
    "amend linear": 10,
    "amend spot": 10,
    "read": 50,
    "position": 10,
    "account": 10,
    "asset": 10,
    "withdraw": 5,
    "transfer": 20,
}
_BY_CATEGORY = {
    "/v5/order/create": "order",
    "/v5/order/cancel": "cancel",
    "/v5/order/cancel-all": "cancel-all",
    "/v5/order/amend": "amend",
}
_GROUPS = {
    "/v5/account/fee-rate": "account",
    "/v5/user/query-api": "account",
    "/v5/order/disconnected-cancel-all": "account",
    "/v5/position/set-leverage": "position",
    "/v5/position/switch-mode": "position",
    "/v5/asset/withdraw/create": "withdraw",
    "/v5/asset/transfer/inter-transfer": "transfer",
}


def rates() -> list[Rate]:
    """The published limits: what holds until Bybit's answers say otherwise."""
    own = [Rate(name, limit, 1.0) for name, limit in _PER_SECOND.items()]
    return [Rate(ADDRESS, 600, 5.0), *own]


def cost(path: str, values: Mapping[str, object]) -> Cost:
    """What a request takes."""
    group = group_of(path, values)
    return {ADDRESS: 1} if group is None else {ADDRESS: 1, group: 1}


def new_order_cost(feed: Feed) -> Cost:
    """What a new order takes."""
    return cost("/v5/order/create", {"category": str(feed.segment)})


def group_of(path: str, values: Mapping[str, object]) -> str | None:
    """The limit of the key that it counts against; None: none does."""
    if path in _BY_CATEGORY:
        return f"{_BY_CATEGORY[path]} {'spot' if values.get('category') == 'spot' else 'linear'}"
    if path.startswith(("/v5/market/", "/v5/system/")):
        return None
    return _GROUPS.get(path) or ("asset" if path.startswith("/v5/asset/") else "read")


def learn(budget: RequestBudget, charged: Cost, answer: Answer) -> None:
    """Take what an answer's headers say of the limit that its request counted against."""
    limit, left = _number(answer, "X-Bapi-Limit"), _number(answer, "X-Bapi-Limit-Status")
    for name in charged:
        if name != ADDRESS and limit is not None and left is not None:
            budget.told(name, used=limit - left, limit=limit)


def reset_ms(answer: Answer) -> int | None:
    """When the limit that was exceeded counts anew, UTC ms by Bybit's clock; None where it is not told."""
    return _number(answer, "X-Bapi-Limit-Reset-Timestamp")


def refused_for(charged: Cost, code: int) -> list[str]:
    """The limits that a refusal with this code is about."""
    if code in _ADDRESS_CODES or len(charged) == 1:
        return [ADDRESS]
    return [name for name in charged if name != ADDRESS]


def _number(answer: Answer, header: str) -> int | None:
    return whole_number(answer.headers.get(header, ""))
