"""Counts requests: each key's a second by group, each address's in five.

Source: https://bybit-exchange.github.io/docs/v5/rate-limit.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from exchanges.simulator.bybit.errors import ApiError
from exchanges.simulator.bybit.options import BybitOptions

_SECOND_MS = 1_000
_MOST_TRACKED = 4_096
"""Keys and addresses remembered; older ones are forgotten, so that strangers cannot fill the memory."""

_PER_SECOND: Mapping[str, int] = {
    "order.linear": 10,
    "order.spot": 20,
    "amend.linear": 10,
    "amend.spot": 10,
    "cancel.linear": 10,
    "cancel.spot": 20,
    "cancel-all.linear": 10,
    "cancel-all.spot": 20,
    "read": 50,
    "position": 10,
    "account": 10,
    "asset": 10,
    "withdraw": 5,
    "transfer": 20,
}


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a limit, as the `X-Bapi-Limit` headers tell it."""

    limit: int
    left: int
    reset_ms: int

    def headers(self) -> dict[str, str]:
        """The three headers."""
        return {
            "X-Bapi-Limit": str(self.limit),
            "X-Bapi-Limit-Status": str(self.left),
            "X-Bapi-Limit-Reset-Timestamp": str(self.reset_ms),
        }


class RateExceeded(ApiError):
    """10006, with what the headers are to say."""

    def __init__(self, allowance: Allowance) -> None:
        super().__init__(10006, "Too many visits. Exceeded the API Rate Limit.")
        self.allowance = allowance


class KeyLimits:
    """Requests of each key in the running second."""

    def __init__(self, options: BybitOptions) -> None:
        self._factor = options.limit_factor
        self._counts: OrderedDict[tuple[str, str], tuple[int, int]] = OrderedDict()

    def count(self, key: str, group: str, now_ms: int, cost: int = 1) -> Allowance | None:
        """Count `cost` requests; None where nothing is counted.

        Raises:
            RateExceeded: They are more than the second has left; nothing is counted then.
        """
        if not self._factor or group not in _PER_SECOND:
            return None
        limit = max(1, int(_PER_SECOND[group] * self._factor))
        second = now_ms // _SECOND_MS
        counted_in, used = self._counts.pop((key, group), (second, 0))
        used = used if counted_in == second else 0
        if used + cost > limit:
            self._counts[key, group] = (second, used)
            raise RateExceeded(Allowance(limit, 0, (second + 1) * _SECOND_MS))
        self._counts[key, group] = (second, used + cost)
        if len(self._counts) > _MOST_TRACKED:
            self._counts.popitem(last=False)
        return Allowance(limit, limit - used - cost, now_ms)


class AddressLimits:
    """Requests of each IP address; too many of them and it is banned."""

    def __init__(self, options: BybitOptions) -> None:
        self._options = options
        self._counts: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._banned: OrderedDict[str, int] = OrderedDict()

    def is_allowed(self, address: str, now_ms: int) -> bool:
        """Count a request; False while the address is banned. A banned request starts the ban anew."""
        most = self._options.requests_per_ip
        if not most:
            return True
        if now_ms < self._banned.get(address, 0):
            self._ban(address, now_ms)
            return False
        window = now_ms // (self._options.ip_window_s * _SECOND_MS)
        counted_in, used = self._counts.pop(address, (window, 0))
        used = used + 1 if counted_in == window else 1
        self._counts[address] = (window, used)
        if len(self._counts) > _MOST_TRACKED:
            self._counts.popitem(last=False)
        if used > most:
            self._ban(address, now_ms)
            return False
        return True

    def _ban(self, address: str, now_ms: int) -> None:
        self._banned[address] = now_ms + self._options.ip_ban_s * _SECOND_MS
        if len(self._banned) > _MOST_TRACKED:
            self._banned.popitem(last=False)
