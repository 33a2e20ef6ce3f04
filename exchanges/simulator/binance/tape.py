"""What was traded in one listing since the server started: trades, aggregated trades, minutes."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from exchanges.simulator.core.values import TradePrinted

MINUTE_NS = 60_000_000_000
_KEPT_TRADES = 1000
_KEPT_MINUTES = 1500


@dataclass(slots=True)
class Aggregate:
    """Trades of one taker at one price."""

    number: int
    ts_ns: int
    ticks: int
    lots: int
    first_id: int
    last_id: int
    buyer_is_maker: bool


@dataclass(slots=True)
class Candle:
    """A span of time: prices in ticks, volume in lots, turnover in ticks × lots."""

    start_ns: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    turnover: int = 0
    count: int = 0
    taker_volume: int = 0
    taker_turnover: int = 0
    first_id: int = -1
    last_id: int = -1

    def add(self, trade: TradePrinted) -> None:
        """One more trade; the first one makes the open."""
        if not self.count:
            self.open = self.high = self.low = trade.ticks
        self.high, self.low, self.close = max(self.high, trade.ticks), min(self.low, trade.ticks), trade.ticks
        self.volume += trade.lots
        self.turnover += trade.ticks * trade.lots
        self.count += 1
        if not trade.buyer_is_maker:
            self.taker_volume += trade.lots
            self.taker_turnover += trade.ticks * trade.lots
        self.first_id = trade.trade_id if self.first_id < 0 else self.first_id
        self.last_id = trade.trade_id

    def join(self, later: "Candle") -> None:
        """Extend over the next span."""
        self.high, self.low, self.close = max(self.high, later.high), min(self.low, later.low), later.close
        self.volume += later.volume
        self.turnover += later.turnover
        self.count += later.count
        self.taker_volume += later.taker_volume
        self.taker_turnover += later.taker_turnover
        self.first_id = later.first_id if self.first_id < 0 else self.first_id
        self.last_id = max(self.last_id, later.last_id)


class Tape:
    """Bounded history of one listing; 24-hour figures reach back as far as it does."""

    def __init__(self, first_ticks: int, start_ns: int) -> None:
        self.trades: deque[TradePrinted] = deque(maxlen=_KEPT_TRADES)
        self.aggregates: deque[Aggregate] = deque(maxlen=_KEPT_TRADES)
        self.open: Aggregate | None = None
        self.minutes: deque[Candle] = deque(maxlen=_KEPT_MINUTES)
        self.last_ticks = first_ticks
        self._started_ns = start_ns
        self._minute(start_ns)

    def add(self, trade: TradePrinted, within_ns: int) -> Aggregate | None:
        """Take in a trade; the aggregate that it closes, if it does."""
        self.trades.append(trade)
        # The minutes in between are flat at the price before this one.
        self._minute(trade.ts_ns).add(trade)
        self.last_ticks = trade.ticks
        current = self.open
        if current is not None and self._continues(current, trade, within_ns):
            current.lots += trade.lots
            current.last_id = trade.trade_id
            return None
        closed = self.close()
        number = self.aggregates[-1].number + 1 if self.aggregates else 1
        self.open = Aggregate(
            number, trade.ts_ns, trade.ticks, trade.lots, trade.trade_id, trade.trade_id, trade.buyer_is_maker
        )
        return closed

    @staticmethod
    def _continues(current: Aggregate, trade: TradePrinted, within_ns: int) -> bool:
        return (
            current.ticks == trade.ticks
            and current.buyer_is_maker == trade.buyer_is_maker
            and trade.ts_ns - current.ts_ns <= within_ns
        )

    def close(self) -> Aggregate | None:
        """End the open aggregate and hand it over."""
        closed, self.open = self.open, None
        if closed is not None:
            self.aggregates.append(closed)
        return closed

    def _minute(self, ts_ns: int) -> Candle:
        start_ns = ts_ns - ts_ns % MINUTE_NS
        if not self.minutes:
            self.minutes.append(self._flat(start_ns))
        while self.minutes[-1].start_ns < start_ns:
            # A minute without a trade still has a candle, at the last price.
            skipped = max(self.minutes[-1].start_ns + MINUTE_NS, start_ns - _KEPT_MINUTES * MINUTE_NS)
            self.minutes.append(self._flat(skipped))
        return self.minutes[-1]

    def _flat(self, start_ns: int) -> Candle:
        ticks = self.last_ticks
        return Candle(start_ns, ticks, ticks, ticks, ticks)

    def candles(self, span_ns: int, now_ns: int) -> list[Candle]:
        """Candles of `span_ns` (whole minutes) up to now, oldest first."""
        self._minute(now_ns)
        return list(_grouped(self.minutes, span_ns))

    def day(self, now_ns: int) -> Candle:
        """The last 24 hours, or what there is of them."""
        self._minute(now_ns)
        since_ns = now_ns - 1440 * MINUTE_NS
        minutes = [one for one in self.minutes if one.start_ns >= since_ns]
        day = Candle(max(since_ns, self._started_ns), *([minutes[0].open] * 4))
        for minute in minutes:
            day.join(minute)
        return day


def _grouped(minutes: deque[Candle], span_ns: int) -> Iterator[Candle]:
    current: Candle | None = None
    for minute in minutes:
        start_ns = minute.start_ns - minute.start_ns % span_ns
        if current is None or current.start_ns != start_ns:
            if current is not None:
                yield current
            current = Candle(start_ns, minute.open, minute.high, minute.low, minute.close)
        current.join(minute)
    if current is not None:
        yield current
