"""What has been traded: the last price, 24 hours of statistics, one-minute candles, and the newest trades."""

from collections import deque
from collections.abc import Iterable

from exchanges.simulator.core.values import FundingDue, MarkPriced, TradePrinted

_MINUTE_NS = 60_000_000_000
_DAY_MINUTES = 24 * 60
_HOUR_MINUTES = 60
_TRADES = 1_000
_FUNDINGS = 1_000


class Candle:
    """One minute: prices in ticks, volume in lots, turnover in ticks × lots."""

    __slots__ = ("close", "high", "lots", "low", "minute", "open", "turnover")

    def __init__(self, minute: int, ticks: int) -> None:
        self.minute = minute
        self.open = self.high = self.low = self.close = ticks
        self.lots = 0
        self.turnover = 0

    def add(self, ticks: int, lots: int) -> None:
        """A trade."""
        self.close = ticks
        self.high = max(self.high, ticks)
        self.low = min(self.low, ticks)
        self.lots += lots
        self.turnover += ticks * lots


class Tape:
    """One listing's trades; before the first one, every price is that of the book."""

    def __init__(self, ticks: int, ts_ns: int) -> None:
        self.last = ticks
        self.direction = "ZeroPlusTick"
        self.trades: deque[tuple[TradePrinted, str]] = deque(maxlen=_TRADES)
        self.candles: deque[Candle] = deque([Candle(ts_ns // _MINUTE_NS, ticks)], maxlen=_DAY_MINUTES)
        self.fundings: deque[FundingDue] = deque(maxlen=_FUNDINGS)
        self.mark: MarkPriced | None = None
        self.lots = 0
        self.turnover = 0
        self.high = self.low = ticks

    def add(self, trade: TradePrinted) -> str:
        """Take a trade in; its tick direction."""
        minute = trade.ts_ns // _MINUTE_NS
        if minute > self.candles[-1].minute:
            self._begin(minute)
        self.direction = self._direction(trade.ticks)
        self.last = trade.ticks
        self.trades.append((trade, self.direction))
        self.candles[-1].add(trade.ticks, trade.lots)
        self.lots += trade.lots
        self.turnover += trade.ticks * trade.lots
        self.high = max(self.high, trade.ticks)
        self.low = min(self.low, trade.ticks)
        return self.direction

    @property
    def day_ago(self) -> int:
        """The price 24 hours ago, or the first one known."""
        return self.candles[0].open

    @property
    def hour_ago(self) -> int:
        """The price an hour ago, or the first one known."""
        newest = self.candles[-1].minute
        for candle in reversed(self.candles):
            if newest - candle.minute >= _HOUR_MINUTES:
                return candle.close
        return self.candles[0].open

    def _direction(self, ticks: int) -> str:
        if ticks > self.last:
            return "PlusTick"
        if ticks < self.last:
            return "MinusTick"
        return self.direction if self.direction.startswith("Zero") else "Zero" + self.direction

    def _begin(self, minute: int) -> None:
        self.candles.append(Candle(minute, self.last))
        # Minutes without a trade have no candle, so the oldest ones are told by their time and not by their number.
        while self.candles[0].minute <= minute - _DAY_MINUTES:
            self.candles.popleft()
        self.lots = sum(candle.lots for candle in self.candles)
        self.turnover = sum(candle.turnover for candle in self.candles)
        self.high = max(candle.high for candle in self.candles)
        self.low = min(candle.low for candle in self.candles)


def merged(candles: Iterable[Candle], minutes: int) -> list[Candle]:
    """Candles of `minutes` each, oldest first."""
    result: list[Candle] = []
    for candle in candles:
        start = candle.minute - candle.minute % minutes
        if not result or result[-1].minute != start:
            result.append(Candle(start, candle.open))
        whole = result[-1]
        whole.close = candle.close
        whole.high = max(whole.high, candle.high)
        whole.low = min(whole.low, candle.low)
        whole.lots += candle.lots
        whole.turnover += candle.turnover
    return result
