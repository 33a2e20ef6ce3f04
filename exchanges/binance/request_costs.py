"""What Binance counts, and what each request of ours takes of it.

Sources: https://developers.binance.com/docs (limits and weights of spot, wallet and USDⓈ-M). `/sapi` has limits of its
own, one for each path and account; here it counts against spot's, which is the more careful. The one that a bot comes
near to is kept as well: ten looks a minute at the withdrawals.
"""

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from bot.domain.instrument import Feed, Segment
from exchanges.binance.endpoints import LINEAR, SPOT
from exchanges.common.figures import whole_number
from exchanges.common.requests.request_budget import Cost, RequestBudget
from exchanges.common.requests.request_pool import Rate
from exchanges.common.requests.venue_http import Answer

_UNKNOWN = 40
"""Of a request that stands in no table: as much as the dearest of its kind."""
_LETTERS = {"SECOND": "S", "MINUTE": "M", "DAY": "D"}
_SECONDS = {"SECOND": 1, "MINUTE": 60, "DAY": 86_400}
_ORDERS = {SPOT: ("10S", "1D"), LINEAR: ("10S", "1M")}
WITHDRAWALS = "wallet withdrawals 1M"
"""What one account may look at its withdrawals."""
_LOOK = 18_000
"""Weight of one look."""
_PUBLISHED = {
    "spot weight 1M": (6_000, 60),
    "spot orders 10S": (50, 10),
    "spot orders 1D": (160_000, 86_400),
    "spot requests 5M": (61_000, 300),
    WITHDRAWALS: (180_000, 60),
    "linear weight 1M": (2_400, 60),
    "linear orders 10S": (300, 10),
    "linear orders 1M": (1_200, 60),
}
_NAMES = {"REQUEST_WEIGHT": "weight", "ORDERS": "orders", "RAW_REQUESTS": "requests"}
_TOO_MANY_ORDERS = -1015

_SPOT: Mapping[tuple[str, str], int] = {
    ("GET", "/v3/time"): 1,
    ("GET", "/v3/exchangeInfo"): 20,
    ("POST", "/v3/order"): 1,
    ("DELETE", "/v3/order"): 1,
    ("GET", "/v3/order"): 4,
    ("DELETE", "/v3/openOrders"): 1,
    ("GET", "/v3/allOrders"): 20,
    ("GET", "/v3/account"): 20,
    ("GET", "/v3/account/commission"): 20,
    ("GET", "/v3/rateLimit/order"): 40,
    ("GET", "/sapi/v1/account/apiRestrictions"): 1,
    ("GET", "/sapi/v1/asset/tradeFee"): 1,
    ("GET", "/sapi/v1/bnbBurn"): 1,
    ("GET", "/sapi/v1/capital/config/getall"): 10,
    ("GET", "/sapi/v1/capital/deposit/address"): 10,
    ("GET", "/sapi/v1/capital/deposit/hisrec"): 1,
    ("GET", "/sapi/v1/capital/withdraw/history"): 1,
    ("POST", "/sapi/v1/capital/withdraw/apply"): 1,
    ("GET", "/sapi/v1/asset/transfer"): 1,
    ("POST", "/sapi/v1/asset/transfer"): 900,
}
_LINEAR: Mapping[tuple[str, str], int] = {
    ("GET", "/v1/time"): 1,
    ("GET", "/v1/exchangeInfo"): 1,
    ("POST", "/v1/order"): 0,
    ("DELETE", "/v1/order"): 1,
    ("GET", "/v1/order"): 1,
    ("DELETE", "/v1/allOpenOrders"): 1,
    ("GET", "/v1/openOrder"): 1,
    ("GET", "/v1/allOrders"): 5,
    ("GET", "/v1/userTrades"): 5,
    ("POST", "/v1/countdownCancelAll"): 10,
    ("POST", "/v1/listenKey"): 1,
    ("PUT", "/v1/listenKey"): 1,
    ("DELETE", "/v1/listenKey"): 1,
    ("GET", "/v2/account"): 5,
    ("GET", "/v3/account"): 5,
    ("GET", "/v3/balance"): 5,
    ("GET", "/v2/positionRisk"): 5,
    ("GET", "/v3/positionRisk"): 5,
    ("GET", "/v1/accountConfig"): 5,
    ("GET", "/v1/symbolConfig"): 5,
    ("GET", "/v1/commissionRate"): 20,
    ("GET", "/v1/feeBurn"): 30,
    ("GET", "/v1/positionSide/dual"): 30,
    ("GET", "/v1/multiAssetsMargin"): 30,
    ("GET", "/v1/leverageBracket"): 1,
    ("GET", "/v1/income"): 30,
    ("GET", "/v1/fundingRate"): 0,
    ("GET", "/v1/rateLimit/order"): 1,
}


def rates() -> list[Rate]:
    """The published limits of spot and USDⓈ-M: what holds until Binance says otherwise."""
    return [Rate(name, limit, window_s) for name, (limit, window_s) in _PUBLISHED.items()]


def cost(feed: Feed, method: str, path: str, values: Mapping[str, str]) -> Cost:
    """What a request takes; `path` without the segment's prefix."""
    segment = feed.segment
    weighs = {f"{segment} weight 1M": _weight(feed, method, path, values)}
    if segment is Segment.SPOT:
        weighs["spot requests 5M"] = 1
    if (method, path) == ("GET", "/sapi/v1/capital/withdraw/history"):
        weighs[WITHDRAWALS] = _LOOK
    if (method, path) == ("POST", "/v3/order" if segment is Segment.SPOT else "/v1/order"):
        weighs |= order_cost(feed)
    return weighs


def order_cost(feed: Feed) -> dict[str, int]:
    """What a new order takes of the limits that count orders."""
    return {f"{feed.segment} orders {label}": 1 for label in _ORDERS.get(feed, ())}


def new_order_cost(feed: Feed) -> Cost:
    """All that a new order takes, and that may be held."""
    return cost(feed, "POST", "/v3/order" if feed.segment is Segment.SPOT else "/v1/order", {})


def _weight(feed: Feed, method: str, path: str, values: Mapping[str, str]) -> int:
    by_symbol = {"/v3/openOrders": (6, 80), "/v1/openOrders": (1, 40)}
    if method == "GET" and path in by_symbol:
        return by_symbol[path]["symbol" not in values]
    if path == "/v3/myTrades":
        return 5 if "orderId" in values else 20
    return (_SPOT if feed.segment is Segment.SPOT else _LINEAR).get((method, path), _UNKNOWN)


def learn(budget: RequestBudget, feed: Feed, answer: Answer) -> None:
    """Take what an answer's headers say is used."""
    for name, header in _headers(feed):
        budget.told(name, used=whole_number(answer.headers.get(header, "")))


def _headers(feed: Feed) -> Iterable[tuple[str, str]]:
    yield f"{feed.segment} weight 1M", "X-MBX-USED-WEIGHT-1M"
    for label in _ORDERS.get(feed, ()):
        yield f"{feed.segment} orders {label}", f"X-MBX-ORDER-COUNT-{label}"


def refused_for(feed: Feed, code: int, charged: Cost) -> list[str]:
    """The limits that a 429 with this code is about: of orders, of looks at withdrawals, or all of the address.

    The looks have a limit of their own: no order has to wait for them.
    """
    if WITHDRAWALS in charged:
        return [WITHDRAWALS]
    if code == _TOO_MANY_ORDERS:
        return list(order_cost(feed))
    return list(cost(feed, "GET", "/v3/time", {}))


class _LimitRow(BaseModel):
    model_config = ConfigDict(frozen=True)

    kind: str = Field(validation_alias="rateLimitType")
    interval: str
    number: int = Field(validation_alias="intervalNum", gt=0)
    limit: int = Field(gt=0)


class _Limits(BaseModel):
    model_config = ConfigDict(frozen=True)

    rows: list[_LimitRow] = Field(validation_alias="rateLimits")


_LIMITS = TypeAdapter(_Limits)


def adopt(budget: RequestBudget, feed: Feed, text: str) -> None:
    """Take the limits that `exchangeInfo` names; what is not understood changes nothing.

    Raises:
        ValidationError: If it names none.
    """
    for row in _LIMITS.validate_json(text).rows:
        if row.kind in _NAMES and row.interval in _SECONDS:
            label = f"{row.number}{_LETTERS[row.interval]}"
            budget.told(f"{feed.segment} {_NAMES[row.kind]} {label}", limit=row.limit)
