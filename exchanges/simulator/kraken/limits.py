"""Counts a key's requests, and its orders on each pair: each adds to a counter, which falls by itself.

Source: https://docs.kraken.com/exchange/guides/rest/ratelimits and .../guides/general/ratelimits (the lowest tier).
"""

from exchanges.simulator.kraken.errors import ApiError

_MOST = 15.0
_A_SECOND = 0.33
_MOST_TRACKED = 4_096
_COSTS = {"TradesHistory": 2.0, "AddOrder": 0.0, "CancelOrder": 0.0}
_S = 1_000_000_000


class Counters:
    """Of one exchange."""

    def __init__(self, *, is_counting: bool = True) -> None:
        self._is_counting = is_counting
        self._counted: dict[str, tuple[float, int]] = {}

    def count(self, key: str, method: str, now_ns: int) -> None:
        """Count a request of `key`.

        Raises:
            ApiError: It is one too many.
        """
        counted, at_ns = self._counted.pop(key, (0.0, now_ns))
        counted = max(0.0, counted - (now_ns - at_ns) / _S * _A_SECOND) + _COSTS.get(method, 1.0)
        self._counted[key] = counted, now_ns
        if len(self._counted) > _MOST_TRACKED:
            del self._counted[next(iter(self._counted))]
        if self._is_counting and counted > _MOST:
            raise ApiError("EAPI:Rate limit exceeded")


_MOST_ORDERS = 60.0
_CANCELS = ((5, 8.0), (10, 6.0), (15, 5.0), (45, 4.0), (90, 2.0), (300, 1.0))
"""What a cancel costs by the age of its order: under so many seconds."""


class OrderCounters:
    """Of one exchange, by key and pair. One that is above its most refuses until it has fallen."""

    def __init__(self, *, is_counting: bool = True) -> None:
        self._is_counting = is_counting
        self._counted: dict[tuple[str, int], tuple[float, int]] = {}

    def count_new(self, key: str, pair: int, now_ns: int) -> None:
        """Count an order, whatever becomes of it.

        Raises:
            ApiError: There were too many.
        """
        self._count(key, pair, 1.0, now_ns)

    def count_cancel(self, key: str, pair: int, age_ns: int, now_ns: int) -> None:
        """Count a cancel of an order of this age.

        Raises:
            ApiError: There were too many.
        """
        self._count(key, pair, next((cost for under_s, cost in _CANCELS if age_ns < under_s * _S), 0.0), now_ns)

    def _count(self, key: str, pair: int, cost: float, now_ns: int) -> None:
        counted, at_ns = self._counted.pop((key, pair), (0.0, now_ns))
        counted = max(0.0, counted - (now_ns - at_ns) / _S)
        self._counted[key, pair] = counted + cost, now_ns
        if len(self._counted) > _MOST_TRACKED:
            del self._counted[next(iter(self._counted))]
        if self._is_counting and counted > _MOST_ORDERS:
            raise ApiError("EOrder:Rate limit exceeded")
