"""Counts a key's requests: each adds to a counter, which falls by itself.

Source: https://docs.kraken.com/exchange/guides/rest/ratelimits (the lowest tier).
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
