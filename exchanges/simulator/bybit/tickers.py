"""Ticker rows and topics, candles: statistics of a listing, as the tape knows them.

Source: https://bybit-exchange.github.io/docs/v5/websocket/public/ticker.
"""

from decimal import Decimal

from exchanges.simulator.bybit.catalogue import Entry, plain
from exchanges.simulator.bybit.channel import PacedChannel
from exchanges.simulator.bybit.mirror import Mirror
from exchanges.simulator.bybit.tape import Candle, Tape, merged
from exchanges.simulator.bybit.wire import dumps
from exchanges.simulator.core.values import MarkPriced

_MS = 1_000_000
_MINUTE_MS = 60_000
_INTERVAL_MS = 8 * 60 * _MINUTE_MS
_FUNDING_CAP = Decimal("0.005")
_OPEN_INTEREST_LOTS = 52_774_528
"""Bybit's BTCUSDT perpetual on 2023-04-05: no simulated figure depends on it."""

Row = dict[str, str]


def quotes(entry: Entry, mirror: Mirror) -> Row:
    """Best prices and sizes; an empty side is empty text."""
    bids, asks = mirror.best(1)
    bid, ask = bids[0] if bids else None, asks[0] if asks else None
    grid = entry.grid
    return {
        "bid1Price": grid.price(bid[0]) if bid else "",
        "bid1Size": grid.quantity(bid[1]) if bid else "",
        "ask1Price": grid.price(ask[0]) if ask else "",
        "ask1Size": grid.quantity(ask[1]) if ask else "",
    }


def day(entry: Entry, tape: Tape) -> Row:
    """Prices and volume of the last 24 hours."""
    grid, before = entry.grid, tape.day_ago
    step = entry.instrument.tick_size * entry.instrument.lot_size
    change = Decimal(tape.last - before) / before if before else Decimal(0)
    return {
        "lastPrice": grid.price(tape.last),
        "highPrice24h": grid.price(tape.high),
        "lowPrice24h": grid.price(tape.low),
        "prevPrice24h": grid.price(before),
        "volume24h": plain(tape.lots * entry.instrument.lot_size),
        "turnover24h": f"{tape.turnover * step:.4f}",
        "price24hPcnt": f"{change:.6f}" if not entry.is_spot else f"{change:.4f}",
    }


def funding(entry: Entry, tape: Tape, mark: Decimal) -> Row:
    """What contracts have and spot has not."""
    told = tape.mark
    price = told.mark if told else mark
    interest = _OPEN_INTEREST_LOTS * entry.instrument.lot_size
    return {
        "tickDirection": tape.direction,
        "prevPrice1h": entry.grid.price(tape.hour_ago),
        "markPrice": entry.grid.decimal_price(price),
        "indexPrice": entry.grid.decimal_price(told.index if told else price),
        "openInterest": plain(interest),
        "openInterestValue": f"{interest * price:.2f}",
        **_rate(told, tape.candles[-1].minute * _MINUTE_MS),
    }


def _rate(told: MarkPriced | None, now_ms: int) -> Row:
    # Before the first mark price, a second from the start: the usual interval, and the interest that it begins with.
    following = (now_ms // _INTERVAL_MS + 1) * _INTERVAL_MS
    return {
        "nextFundingTime": str(told.next_funding_ns // _MS if told else following),
        "fundingRate": plain(told.rate) if told else "0.0001",
        "fundingIntervalHour": str(told.interval_h) if told else "8",
        "fundingCap": str(_FUNDING_CAP),
    }


def socket_row(entry: Entry, mirror: Mirror, tape: Tape, mark: Decimal) -> Row:
    """A ticker as its topic pushes it: spot has no quotes there, contracts have everything."""
    row = {"symbol": entry.symbol, **day(entry, tape)}
    if entry.is_spot:
        return {**row, "usdIndexPrice": entry.grid.decimal_price(mark)}
    return {**row, **funding(entry, tape, mark), **quotes(entry, mirror)}


def rest_row(entry: Entry, mirror: Mirror, tape: Tape, mark: Decimal) -> Row:
    """A ticker as `/v5/market/tickers` lists it."""
    row = {"symbol": entry.symbol, **quotes(entry, mirror), **day(entry, tape)}
    if entry.is_spot:
        return {**row, "usdIndexPrice": entry.grid.decimal_price(mark)}
    nothing = dict.fromkeys(("predictedDeliveryPrice", "basisRate", "deliveryFeeRate", "basis", "basisRateYear"), "")
    return {**row, **funding(entry, tape, mark), **nothing, "deliveryTime": "0", "preOpenPrice": "", "preQty": ""}


class TickerChannel(PacedChannel):
    """`tickers`: for contracts a snapshot, then the fields that changed; for spot snapshots only."""

    def __init__(self, entry: Entry, mirror: Mirror, tape: Tape, mark: Decimal, interval_ns: int) -> None:
        super().__init__(interval_ns)
        self._entry, self._mirror, self._tape = entry, mirror, tape
        self.mark = mark
        self._row: Row = {}
        self._seq = 0

    def begin(self) -> None:
        """Take the row as it is."""
        self._row = socket_row(self._entry, self._mirror, self._tape, self.mark)
        self._seq = self._mirror.seq

    def snapshot(self, now_ms: int) -> str:
        """All of the last row."""
        return self._frame("snapshot", self._row, now_ms)

    def update(self, now_ms: int) -> str | None:
        """The new row, or what of it is new."""
        before = self._row
        self.begin()
        if self._row == before:
            return None
        if self._entry.is_spot:
            return self.snapshot(now_ms)
        news = {name: value for name, value in self._row.items() if before.get(name) != value}
        return self._frame("delta", {"symbol": self._entry.symbol, **news}, now_ms)

    def _frame(self, kind: str, row: Row, now_ms: int) -> str:
        topic = f"tickers.{self._entry.symbol}"
        if self._entry.is_spot:
            return dumps({"topic": topic, "ts": now_ms, "type": kind, "cs": self._seq, "data": row})
        return dumps({"topic": topic, "type": kind, "data": row, "cs": self._seq, "ts": now_ms})


def candle_texts(entry: Entry, candle: Candle) -> list[str]:
    """Start (ms), open, high, low, close, volume, turnover."""
    grid = entry.grid
    step = entry.instrument.tick_size * entry.instrument.lot_size
    prices = [grid.price(ticks) for ticks in (candle.open, candle.high, candle.low, candle.close)]
    volume = plain(candle.lots * entry.instrument.lot_size)
    return [str(candle.minute * _MINUTE_MS), *prices, volume, plain(candle.turnover * step)]


class CandleChannel(PacedChannel):
    """`kline`: the running candle."""

    def __init__(self, entry: Entry, tape: Tape, interval: str, minutes: int, interval_ns: int) -> None:
        super().__init__(interval_ns)
        self._entry, self._tape = entry, tape
        self._interval = interval
        self._minutes = minutes

    def begin(self) -> None:
        """The candle is the tape's: nothing to keep."""

    def snapshot(self, now_ms: int) -> str:
        """The running candle."""
        start = self._tape.candles[-1].minute // self._minutes * self._minutes
        candle = merged((one for one in self._tape.candles if one.minute >= start), self._minutes)[-1]
        names = ("start", "open", "high", "low", "close", "volume", "turnover")
        row: dict[str, object] = dict(zip(names, candle_texts(self._entry, candle), strict=True))
        end_ms = (start + self._minutes) * _MINUTE_MS - 1
        row |= {"start": start * _MINUTE_MS, "end": end_ms, "interval": self._interval, "confirm": now_ms > end_ms}
        row["timestamp"] = now_ms
        topic = f"kline.{self._interval}.{self._entry.symbol}"
        return dumps({"topic": topic, "data": [row], "ts": now_ms, "type": "snapshot"})

    def update(self, now_ms: int) -> str:
        """The running candle."""
        return self.snapshot(now_ms)
