"""What was earned: by day and run, and against what was expected."""

from collections import deque
from decimal import Decimal
from math import isfinite

_DAY_NS = 86_400_000_000_000
_HOUR_NS = 3_600_000_000_000


class Results:
    """Realised profit since midnight UTC and of the run, in quote units."""

    __slots__ = ("_by_day", "total")

    def __init__(self) -> None:
        self._by_day: dict[int, Decimal] = {}
        """The newest last."""
        self.total = Decimal(0)

    def add(self, profit: Decimal, now_ns: int) -> None:
        """A pair ended with this profit."""
        self.restore(profit, now_ns)
        self.total += profit

    def restore(self, profit: Decimal, now_ns: int) -> None:
        """What earlier runs of this day realised: it counts for the day, and not for this run."""
        # Never for a day before another: a clock that is set back over midnight and on again must not forget a loss.
        day = max(now_ns // _DAY_NS, next(reversed(self._by_day), 0))
        self._by_day[day] = self._by_day.get(day, Decimal(0)) + profit

    def today(self, now_ns: int) -> Decimal:
        """Since midnight UTC, with what came while the clock was ahead of that."""
        today, total = now_ns // _DAY_NS, Decimal(0)
        for day, profit in reversed(self._by_day.items()):
            if day < today:
                break
            total += profit
        return total


class Drift:
    """How much less pairs earned than was expected of them, over the newest of the last hours."""

    __slots__ = ("_keep_ns", "_newest")

    def __init__(self, pairs: int, keep_h: float = 1.0) -> None:
        """Keep so many pairs, for so long: what is old should not keep the bot from trying again."""
        self._newest: deque[tuple[int, float]] = deque(maxlen=pairs)
        self._keep_ns = round(keep_h * _HOUR_NS)

    def add(self, expected_bps: float, realised_bps: float, now_ns: int) -> None:
        """A pair ended: net edge expected and realised, of its notional."""
        short_bps = expected_bps - realised_bps
        # Infinities of both signs would add up to a figure; each of them is none.
        self._newest.append((now_ns, short_bps if isfinite(short_bps) else float("nan")))

    def mean(self, now_ns: int) -> tuple[float, int]:
        """Mean shortfall in bps, positive is bad, NaN where a figure was broken; and over how many pairs."""
        newest = self._newest
        while newest and newest[0][0] <= now_ns - self._keep_ns:
            newest.popleft()
        count = len(newest)
        return (sum(short_bps for _, short_bps in newest) / count if count else 0.0, count)
