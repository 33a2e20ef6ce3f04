"""A venue's own token that fees are paid in: told before it runs out, and when it has.

Routes are priced with the discount that it brings. Without it a venue takes the whole fee from what is traded, with no
word: every leg costs more than was decided, and one that buys spot brings less.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from bot.clock import Clock, Timer
from bot.domain.account import Balance
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed

LOOK_S = 10.0
LEAST_H = 6.0
"""Less than would last so long at the pace of the last hour is too little."""
_PACE_NS = 3_600_000_000_000
_LEAST_SPAN_NS = 300_000_000_000
"""A pace of a few minutes is none."""
_HOUR_NS = 3_600_000_000_000


class _Stock:
    """What one wallet had of its token lately."""

    def __init__(self) -> None:
        self._spent: deque[tuple[int, Decimal]] = deque()
        self._last: Decimal | None = None
        self._begun_ns: int | None = None
        self.trouble = ""

    def hours_left(self, now_ns: int, total: Decimal) -> float:
        """At the pace of the last hour; infinite where nothing was spent, or it is too early to tell."""
        if self._begun_ns is None:
            self._begun_ns = now_ns
        if self._last is not None and total < self._last:
            self._spent.append((now_ns, self._last - total))
        self._last = total
        while self._spent and now_ns - self._spent[0][0] > _PACE_NS:
            self._spent.popleft()
        span_ns = min(now_ns - self._begun_ns, _PACE_NS)
        spent = float(sum(amount for _, amount in self._spent))
        if not spent or span_ns < _LEAST_SPAN_NS:
            return float("inf")
        return float(total) / spent * span_ns / _HOUR_NS


class FeeTokens:
    """Looks every ten seconds. Implements `bot.engine.run.Watch`."""

    def __init__(
        self,
        fees: Callable[[], Mapping[Feed, FeeSchedule]],
        balances: Callable[[], Iterable[Balance]],
        clock: Clock,
        event: Callable[[str, str], None],
    ) -> None:
        """Nothing is looked at before `start`.

        Args:
            fees: As they hold at the moment; those of an account that pays in a token are watched.
            balances: Of every wallet; those that are named like a feed are a feed's own.
            clock: Of the engine.
            event: Takes a level and a line, for a person and the journal.
        """
        self._fees = fees
        self._balances = balances
        self._clock = clock
        self._event = event
        self._stocks: dict[str, _Stock] = {}
        self._timer: Timer | None = None

    def start(self) -> None:
        """Begin to look."""
        self._tick()

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def look(self) -> None:
        """Look now."""
        held: dict[str, dict[str, Decimal]] = {}
        for one in self._balances():
            held.setdefault(one.wallet, {})[one.asset] = one.total
        for feed, schedule in self._fees().items():
            wallet = held.get(str(feed))
            if schedule.token is not None and wallet is not None:
                self._judge(str(feed), schedule.token, wallet.get(schedule.token, Decimal(0)))

    def _judge(self, wallet: str, token: str, total: Decimal) -> None:
        stock = self._stocks.setdefault(wallet, _Stock())
        hours = stock.hours_left(self._clock.monotonic_ns(), total)
        if total <= 0:
            what = "has run out: fees are taken from what is traded, without the discount that routes are priced with"
            self._tell(stock, "out", f"ALARM: {wallet} {token} {what}")
        elif hours < LEAST_H:
            words = f"ALARM: {wallet} {token} for fees runs out in about {hours:.1f} h: {total:f} left"
            self._tell(stock, "low", words)
        elif stock.trouble:
            stock.trouble = ""
            self._event("info", f"{wallet} {token} for fees: {total:f} again")

    def _tell(self, stock: _Stock, trouble: str, words: str) -> None:
        if trouble != stock.trouble:
            stock.trouble = trouble
            self._event("error", words)

    def _tick(self) -> None:
        self.look()
        self._timer = self._clock.call_later(LOOK_S, self._tick)
