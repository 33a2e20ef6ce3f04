"""Request weights and order counts: the windows Binance keeps, their headers, 429, and the ban after it."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.domain.instrument import Segment
from exchanges.simulator.binance.errors import Rejected

_SECOND_NS = 1_000_000_000
_UNITS = {"SECOND": 1, "MINUTE": 60, "DAY": 86_400}
_LETTERS = {"SECOND": "S", "MINUTE": "M", "DAY": "D"}
_ADVICE = "Please use WebSocket Streams for live updates to avoid polling the API."


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so much time, counted in windows that start on the clock (each full minute, …)."""

    kind: str
    interval: str
    number: int
    limit: int

    @property
    def window_s(self) -> int:
        """Length of a window."""
        return _UNITS[self.interval] * self.number

    @property
    def label(self) -> str:
        """`1M`, `10S`, as in headers."""
        return f"{self.number}{_LETTERS[self.interval]}"

    def row(self, count: int | None = None) -> dict[str, object]:
        """As in exchangeInfo, or with the count as in ws-api replies."""
        row: dict[str, object] = {
            "rateLimitType": self.kind,
            "interval": self.interval,
            "intervalNum": self.number,
            "limit": self.limit,
        }
        if count is not None:
            row["count"] = count
        return row


class Window:
    """One rate being counted."""

    __slots__ = ("_count", "_index", "rate")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._index = -1
        self._count = 0

    def count(self, now_ns: int) -> int:
        """What this window holds so far."""
        index = now_ns // (self.rate.window_s * _SECOND_NS)
        if index != self._index:
            self._index, self._count = index, 0
        return self._count

    def add(self, amount: int, now_ns: int) -> int:
        """Count; the new sum."""
        self._count = self.count(now_ns) + amount
        return self._count

    def seconds_left(self, now_ns: int) -> int:
        """Until the next window starts, rounded up."""
        length = self.rate.window_s * _SECOND_NS
        return -(-(length - now_ns % length) // _SECOND_NS)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a segment; fewer in tests that want to meet them."""

    weight: Rate
    orders: tuple[Rate, ...]
    raw: Rate | None = None
    patience: int = 20
    """Requests that are answered by 429 before the ban."""


SPOT = Limits(
    weight=Rate("REQUEST_WEIGHT", "MINUTE", 1, 6000),
    orders=(Rate("ORDERS", "SECOND", 10, 50), Rate("ORDERS", "DAY", 1, 160_000)),
    raw=Rate("RAW_REQUESTS", "MINUTE", 5, 61_000),
)
LINEAR = Limits(
    weight=Rate("REQUEST_WEIGHT", "MINUTE", 1, 2400),
    orders=(Rate("ORDERS", "MINUTE", 1, 1200), Rate("ORDERS", "SECOND", 10, 300)),
)


class Meter:
    """Requests of one address against a segment: weight, then 429, then a ban that doubles up to three days."""

    def __init__(self, limits: Limits) -> None:
        self.weight = Window(limits.weight)
        self._raw = Window(limits.raw) if limits.raw else None
        self._patience = limits.patience
        self._over = 0
        self._banned_until_ns = 0
        self._ban_s = 120

    def charge(self, weight: int, now_ns: int) -> None:
        """Count a request.

        Raises:
            Rejected: 429 with -1003 when it is too many, 418 while banned.
        """
        self.check(now_ns)
        if self._raw is not None and self._raw.add(1, now_ns) > self._raw.rate.limit:
            self._refuse("Too many requests", self._raw, now_ns)
        if self.weight.add(weight, now_ns) > self.weight.rate.limit:
            self._refuse("Too much request weight used", self.weight, now_ns)
        self._over = 0

    def check(self, now_ns: int) -> None:
        """Raise 418 while the address is banned."""
        if now_ns < self._banned_until_ns:
            seconds = -(-(self._banned_until_ns - now_ns) // _SECOND_NS)
            raise Rejected(-1003, self._ban_text(), status=418, retry_after_s=seconds)

    def _ban_text(self) -> str:
        until_ms = self._banned_until_ns // 1_000_000
        return (
            f"Way too much request weight used; IP banned until {until_ms}. "
            "Please use WebSocket Streams for live updates to avoid bans."
        )

    def _refuse(self, what: str, window: Window, now_ns: int) -> None:
        self._over += 1
        if self._over > self._patience:
            self._banned_until_ns = now_ns + self._ban_s * _SECOND_NS
            self._ban_s = min(self._ban_s * 2, 3 * 86_400)
            self._over = 0
            self.check(now_ns)
        rate = window.rate
        text = f"{what}; current limit is {rate.limit} request weight per {rate.number} {rate.interval}. {_ADVICE}"
        raise Rejected(-1003, text, status=429, retry_after_s=window.seconds_left(now_ns))


class OrderMeter:
    """Orders of one account in a segment; accepted ones count."""

    def __init__(self, limits: Limits) -> None:
        self.windows: Sequence[Window] = [Window(rate) for rate in limits.orders]

    def check(self, now_ns: int) -> None:
        """Raise 429 with -1015 when one more would be too many."""
        for window in self.windows:
            rate = window.rate
            if window.count(now_ns) >= rate.limit:
                text = f"Too many new orders; current limit is {rate.limit} orders per {rate.number} {rate.interval}."
                raise Rejected(-1015, text, status=429, retry_after_s=window.seconds_left(now_ns))

    def add(self, now_ns: int) -> None:
        """One more was accepted."""
        for window in self.windows:
            window.add(1, now_ns)


def limits_of(segment: Segment) -> Limits:
    """Binance's published limits."""
    return SPOT if segment is Segment.SPOT else LINEAR
